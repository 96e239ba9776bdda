// JsonObject and JsonList: JSON text, written member by member. Pure. Used by answers of the API
// and by what commands print.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace alertstream::schemas {

class JsonObject {
 public:
  // Text that is no UTF-8 shows its malformed bytes as U+FFFD.
  JsonObject& Text(std::string_view name, std::string_view value);
  JsonObject& Integer(std::string_view name, std::int64_t value);
  JsonObject& Number(std::string_view name, double value);  // With three digits of fraction.
  JsonObject& Bool(std::string_view name, bool value);
  JsonObject& Null(std::string_view name);
  // `json` is JSON already.
  JsonObject& Raw(std::string_view name, std::string_view json);
  // The whole object; this one is empty afterwards.
  std::string Take();

 private:
  void Name(std::string_view name);
  std::string text_;
};

class JsonList {
 public:
  JsonList& Raw(std::string_view json);
  JsonList& Text(std::string_view value);
  std::string Take();

 private:
  void Comma();
  std::string text_;
};

// `text` as a quoted JSON string.
std::string JsonText(std::string_view text);

}  // namespace alertstream::schemas

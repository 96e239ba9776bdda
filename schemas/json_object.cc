#include "schemas/json_object.h"

#include <fmt/format.h>

#include "schemas/json.h"
#include "schemas/text.h"

namespace alertstream::schemas {
namespace {

// Every byte above 7 bits becomes U+FFFD: the text is no UTF-8, so none of them means anything
// sure.
std::string WithoutMalformed(std::string_view text) {
  std::string clean;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x80) {
      clean.push_back(c);
    } else {
      clean += "\xEF\xBF\xBD";
    }
  }
  return clean;
}

}  // namespace

std::string JsonText(std::string_view text) {
  std::string quoted;
  if (IsUtf8(text)) {
    AppendJsonString(text, &quoted);
  } else {
    AppendJsonString(WithoutMalformed(text), &quoted);
  }
  return quoted;
}

void JsonObject::Name(std::string_view name) {
  text_ += text_.empty() ? "" : ",";
  text_ += JsonText(name);
  text_ += ':';
}

JsonObject& JsonObject::Text(std::string_view name, std::string_view value) {
  return Raw(name, JsonText(value));
}

JsonObject& JsonObject::Integer(std::string_view name, std::int64_t value) {
  return Raw(name, std::to_string(value));
}

JsonObject& JsonObject::Number(std::string_view name, double value) {
  return Raw(name, fmt::format("{:.3f}", value));
}

JsonObject& JsonObject::Bool(std::string_view name, bool value) {
  return Raw(name, value ? "true" : "false");
}

JsonObject& JsonObject::Null(std::string_view name) { return Raw(name, "null"); }

JsonObject& JsonObject::Raw(std::string_view name, std::string_view json) {
  Name(name);
  text_ += json;
  return *this;
}

std::string JsonObject::Take() {
  std::string whole = "{" + text_ + "}";
  text_.clear();
  return whole;
}

void JsonList::Comma() { text_ += text_.empty() ? "" : ","; }

JsonList& JsonList::Raw(std::string_view json) {
  Comma();
  text_ += json;
  return *this;
}

JsonList& JsonList::Text(std::string_view value) { return Raw(JsonText(value)); }

std::string JsonList::Take() {
  std::string whole = "[" + text_ + "]";
  text_.clear();
  return whole;
}

}  // namespace alertstream::schemas

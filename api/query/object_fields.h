// ObjectFields: one object of an answer as named values, written as JSON or as a line of CSV.
// Pure. Used by every route that answers with objects.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/time.h"

namespace alertstream::api {

// "2026-01-31T09:00:00.250Z": always with milliseconds; what is below them is cut off.
std::string FormatMillis(LogTime time);

class ObjectFields {
 public:
  // Names are literals.
  ObjectFields& Text(std::string_view name, std::string_view value);
  // A template, because a string would convert to both.
  template <std::same_as<std::optional<std::string>> Optional>
  ObjectFields& Text(std::string_view name, const Optional& value) {
    return value ? Text(name, std::string_view(*value)) : Null(name);
  }
  ObjectFields& Time(std::string_view name, LogTime value);
  ObjectFields& Time(std::string_view name, const std::optional<LogTime>& value);
  ObjectFields& Integer(std::string_view name, std::int64_t value);
  ObjectFields& Integer(std::string_view name, const std::optional<std::int64_t>& value);
  ObjectFields& Bool(std::string_view name, bool value);
  ObjectFields& Null(std::string_view name);
  // `json` is JSON already; in CSV it is that text.
  ObjectFields& Json(std::string_view name, std::string json);

  void AppendJson(std::string* out) const;
  std::string ToJson() const;

  // RFC 4180: names, values, CRLF behind each line; null is empty. A text that a spreadsheet would
  // take for a formula (it begins with = + - @, a tabulator or a line break) gets an apostrophe in
  // front, which spreadsheets do not show.
  void AppendCsvNames(std::string* out) const;
  void AppendCsvValues(std::string* out) const;

 private:
  enum class Kind : std::uint8_t { kNull, kText, kPlain, kJson };
  struct Field {
    std::string_view name;
    Kind kind;
    std::string value;
  };
  ObjectFields& Add(std::string_view name, Kind kind, std::string value);

  std::vector<Field> fields_;
};

}  // namespace alertstream::api

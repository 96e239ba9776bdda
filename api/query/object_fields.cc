#include "api/query/object_fields.h"

#include <chrono>
#include <utility>

#include "processor/base/rfc3339.h"
#include "schemas/json_object.h"

namespace alertstream::api {
namespace {

void AppendCsvText(std::string_view text, std::string* out) {
  constexpr std::string_view kFormulaStarts = "=+-@\t\r\n";
  const bool is_formula =
      !text.empty() && kFormulaStarts.find(text.front()) != std::string_view::npos;
  if (!is_formula && text.find_first_of("\",\r\n") == std::string_view::npos) {
    out->append(text);
    return;
  }
  out->push_back('"');
  if (is_formula) {
    out->push_back('\'');
  }
  for (const char c : text) {
    if (c == '"') {
      out->push_back('"');
    }
    out->push_back(c);
  }
  out->push_back('"');
}

}  // namespace

std::string FormatMillis(LogTime time) {
  const LogTime whole = std::chrono::floor<std::chrono::milliseconds>(time);
  std::string text = FormatRfc3339(whole);
  if (text.size() == std::string_view("2026-01-31T09:00:00Z").size()) {
    text.insert(text.size() - 1, ".000");
  }
  return text;
}

ObjectFields& ObjectFields::Add(std::string_view name, Kind kind, std::string value) {
  fields_.push_back({name, kind, std::move(value)});
  return *this;
}

ObjectFields& ObjectFields::Text(std::string_view name, std::string_view value) {
  return Add(name, Kind::kText, std::string(value));
}

ObjectFields& ObjectFields::Time(std::string_view name, LogTime value) {
  return Text(name, FormatMillis(value));
}

ObjectFields& ObjectFields::Time(std::string_view name, const std::optional<LogTime>& value) {
  return value ? Time(name, *value) : Null(name);
}

ObjectFields& ObjectFields::Integer(std::string_view name, std::int64_t value) {
  return Add(name, Kind::kPlain, std::to_string(value));
}

ObjectFields& ObjectFields::Integer(std::string_view name,
                                    const std::optional<std::int64_t>& value) {
  return value ? Integer(name, *value) : Null(name);
}

ObjectFields& ObjectFields::Bool(std::string_view name, bool value) {
  return Add(name, Kind::kPlain, value ? "true" : "false");
}

ObjectFields& ObjectFields::Null(std::string_view name) { return Add(name, Kind::kNull, ""); }

ObjectFields& ObjectFields::Json(std::string_view name, std::string json) {
  return Add(name, Kind::kJson, std::move(json));
}

void ObjectFields::AppendJson(std::string* out) const {
  out->push_back('{');
  bool first = true;
  for (const Field& field : fields_) {
    out->append(first ? "\"" : ",\"").append(field.name).append("\":");
    first = false;
    switch (field.kind) {
      case Kind::kNull:
        out->append("null");
        break;
      case Kind::kText:
        out->append(schemas::JsonText(field.value));
        break;
      case Kind::kPlain:
      case Kind::kJson:
        out->append(field.value);
        break;
    }
  }
  out->push_back('}');
}

std::string ObjectFields::ToJson() const {
  std::string json;
  AppendJson(&json);
  return json;
}

void ObjectFields::AppendCsvNames(std::string* out) const {
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    out->append(i == 0 ? "" : ",").append(fields_[i].name);
  }
  out->append("\r\n");
}

void ObjectFields::AppendCsvValues(std::string* out) const {
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    out->append(i == 0 ? "" : ",");
    const Field& field = fields_[i];
    if (field.kind == Kind::kPlain) {
      out->append(field.value);
    } else {
      AppendCsvText(field.value, out);
    }
  }
  out->append("\r\n");
}

}  // namespace alertstream::api

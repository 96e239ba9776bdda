#include "tests/support/openapi_check.h"

#include <algorithm>
#include <optional>
#include <regex>

#include <fmt/format.h>

#include "processor/base/check.h"
#include "processor/base/rfc3339.h"

namespace alertstream::api {
namespace {

using schemas::JsonType;
using schemas::JsonValue;

std::string TextOf(JsonValue value) {
  std::string text;
  schemas::AppendJson(value, &text);
  return text;
}

std::vector<std::string_view> Split(std::string_view text, char divider) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = std::min(text.find(divider), text.size());
    parts.push_back(text.substr(0, end));
    if (end == text.size()) {
      return parts;
    }
    text.remove_prefix(end + 1);
  }
}

std::string_view MediaType(std::string_view field) {
  field = field.substr(0, field.find(';'));
  while (field.ends_with(' ')) {
    field.remove_suffix(1);
  }
  return field;
}

double NumberOf(JsonValue value) {
  return value.type() == JsonType::kInt ? static_cast<double>(value.AsInt()) : value.AsDouble();
}

bool IsNumber(JsonValue value) {
  return value.type() == JsonType::kInt || value.type() == JsonType::kDouble;
}

// Characters, as JSON Schema counts.
std::size_t LengthOf(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

bool IsOfType(JsonValue value, std::string_view type) {
  switch (value.type()) {
    case JsonType::kNull:
      return type == "null";
    case JsonType::kBool:
      return type == "boolean";
    case JsonType::kInt:
      return type == "integer" || type == "number";
    case JsonType::kDouble:
      return type == "number";
    case JsonType::kString:
      return type == "string";
    case JsonType::kArray:
      return type == "array";
    case JsonType::kObject:
      return type == "object";
  }
  return false;
}

// Checks values by schemas of one document.
class SchemaCheck {
 public:
  explicit SchemaCheck(JsonValue document) : document_(document) {}

  void Check(JsonValue schema, JsonValue value, const std::string& at);
  JsonValue Resolve(JsonValue object) const;
  std::vector<std::string> faults;

 private:
  void Fault(const std::string& at, std::string what) {
    faults.push_back(fmt::format("{}: {}", at.empty() ? "#" : at, what));
  }
  // No fault by `schema`.
  bool Fits(JsonValue schema, JsonValue value) const {
    SchemaCheck inner(document_);
    inner.Check(schema, value, "");
    return inner.faults.empty();
  }
  void CheckType(JsonValue schema, JsonValue value, const std::string& at);
  void CheckChoices(JsonValue schema, JsonValue value, const std::string& at);
  void CheckText(JsonValue schema, JsonValue value, const std::string& at);
  void CheckNumber(JsonValue schema, JsonValue value, const std::string& at);
  void CheckArray(JsonValue schema, JsonValue value, const std::string& at);
  void CheckObject(JsonValue schema, JsonValue value, const std::string& at);

  JsonValue document_;
};

JsonValue SchemaCheck::Resolve(JsonValue object) const {
  while (const auto reference = object.Find("$ref")) {
    const std::string_view text = reference->AsString();
    ALERTSTREAM_CHECK(text.starts_with("#/"));
    std::optional<JsonValue> at = document_;
    for (const std::string_view name : Split(text.substr(2), '/')) {
      at = at->Find(name);
      ALERTSTREAM_CHECK(at.has_value());
    }
    object = *at;
  }
  return object;
}

void SchemaCheck::CheckType(JsonValue schema, JsonValue value, const std::string& at) {
  const auto type = schema.Find("type");
  if (!type) {
    return;
  }
  bool fits = type->type() == JsonType::kString && IsOfType(value, type->AsString());
  for (auto each = type->first_child(); each; each = each->next_sibling()) {
    fits = fits || IsOfType(value, each->AsString());
  }
  if (!fits) {
    Fault(at, "expected the type " + TextOf(*type));
  }
}

void SchemaCheck::CheckChoices(JsonValue schema, JsonValue value, const std::string& at) {
  if (const auto constant = schema.Find("const"); constant && TextOf(*constant) != TextOf(value)) {
    Fault(at, "expected " + TextOf(*constant));
  }
  if (const auto words = schema.Find("enum")) {
    bool found = false;
    for (auto word = words->first_child(); word; word = word->next_sibling()) {
      found = found || TextOf(*word) == TextOf(value);
    }
    if (!found) {
      Fault(at, "expected one of " + TextOf(*words));
    }
  }
  for (const std::string_view name : {"oneOf", "anyOf"}) {
    const auto schemas = schema.Find(name);
    if (!schemas) {
      continue;
    }
    std::size_t fitting = 0;
    for (auto each = schemas->first_child(); each; each = each->next_sibling()) {
      fitting += Fits(*each, value) ? 1 : 0;
    }
    if (fitting == 0 || (name == "oneOf" && fitting > 1)) {
      Fault(at, fmt::format("fits {} of {}", fitting, name));
    }
  }
  if (const auto all = schema.Find("allOf")) {
    for (auto each = all->first_child(); each; each = each->next_sibling()) {
      Check(*each, value, at);
    }
  }
}

void SchemaCheck::CheckText(JsonValue schema, JsonValue value, const std::string& at) {
  const std::string text(value.AsString());
  if (const auto min = schema.Find("minLength");
      min && LengthOf(text) < static_cast<std::size_t>(min->AsInt())) {
    Fault(at, "shorter than " + TextOf(*min));
  }
  if (const auto max = schema.Find("maxLength");
      max && LengthOf(text) > static_cast<std::size_t>(max->AsInt())) {
    Fault(at, "longer than " + TextOf(*max));
  }
  if (const auto pattern = schema.Find("pattern");
      pattern && !std::regex_search(text, std::regex(std::string(pattern->AsString())))) {
    Fault(at, "does not match " + TextOf(*pattern));
  }
  const auto format = schema.Find("format");
  if (format && format->AsString() == "date-time" && !ParseRfc3339(text).ok()) {
    Fault(at, "no time of RFC 3339");
  }
}

void SchemaCheck::CheckNumber(JsonValue schema, JsonValue value, const std::string& at) {
  if (const auto min = schema.Find("minimum"); min && NumberOf(value) < NumberOf(*min)) {
    Fault(at, "less than " + TextOf(*min));
  }
  if (const auto max = schema.Find("maximum"); max && NumberOf(value) > NumberOf(*max)) {
    Fault(at, "more than " + TextOf(*max));
  }
}

void SchemaCheck::CheckArray(JsonValue schema, JsonValue value, const std::string& at) {
  const auto size = static_cast<std::int64_t>(value.size());
  if (const auto min = schema.Find("minItems"); min && size < min->AsInt()) {
    Fault(at, "fewer elements than " + TextOf(*min));
  }
  if (const auto max = schema.Find("maxItems"); max && size > max->AsInt()) {
    Fault(at, "more elements than " + TextOf(*max));
  }
  if (const auto items = schema.Find("items")) {
    std::size_t index = 0;
    for (auto each = value.first_child(); each; each = each->next_sibling()) {
      Check(*items, *each, fmt::format("{}/{}", at, index++));
    }
  }
}

void SchemaCheck::CheckObject(JsonValue schema, JsonValue value, const std::string& at) {
  const auto size = static_cast<std::int64_t>(value.size());
  if (const auto min = schema.Find("minProperties"); min && size < min->AsInt()) {
    Fault(at, "fewer members than " + TextOf(*min));
  }
  if (const auto max = schema.Find("maxProperties"); max && size > max->AsInt()) {
    Fault(at, "more members than " + TextOf(*max));
  }
  if (const auto required = schema.Find("required")) {
    for (auto name = required->first_child(); name; name = name->next_sibling()) {
      if (!value.Find(name->AsString())) {
        Fault(at, fmt::format("has no member '{}'", name->AsString()));
      }
    }
  }
  const auto properties = schema.Find("properties");
  const auto additional = schema.Find("additionalProperties");
  for (auto member = value.first_child(); member; member = member->next_sibling()) {
    const std::string below = fmt::format("{}/{}", at, member->name());
    if (const auto known = properties ? properties->Find(member->name()) : std::nullopt) {
      Check(*known, *member, below);
    } else if (additional && additional->type() == JsonType::kBool && !additional->AsBool()) {
      Fault(below, "is not described");
    } else if (additional && additional->type() == JsonType::kObject) {
      Check(*additional, *member, below);
    }
  }
}

void SchemaCheck::Check(JsonValue schema, JsonValue value, const std::string& at) {
  schema = Resolve(schema);
  CheckType(schema, value, at);
  CheckChoices(schema, value, at);
  if (value.type() == JsonType::kString) {
    CheckText(schema, value, at);
  } else if (IsNumber(value)) {
    CheckNumber(schema, value, at);
  } else if (value.type() == JsonType::kArray) {
    CheckArray(schema, value, at);
  } else if (value.type() == JsonType::kObject) {
    CheckObject(schema, value, at);
  }
}

// True if `path` is one of the pattern; a pattern with fewer parameters is the better one.
bool Matches(std::string_view pattern, std::string_view path, std::size_t* parameters) {
  const auto wanted = Split(pattern, '/');
  const auto given = Split(path, '/');
  if (wanted.size() != given.size()) {
    return false;
  }
  *parameters = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i].starts_with('{')) {
      ++*parameters;
    } else if (wanted[i] != given[i]) {
      return false;
    }
  }
  return true;
}

std::optional<JsonValue> OperationOf(JsonValue document, std::string_view method,
                                     std::string_view path) {
  std::optional<JsonValue> best;
  std::size_t best_parameters = 0;
  const auto paths = document.Find("paths");
  for (auto each = paths->first_child(); each; each = each->next_sibling()) {
    std::size_t parameters = 0;
    if (Matches(each->name(), path, &parameters) && (!best || parameters < best_parameters)) {
      best = each;
      best_parameters = parameters;
    }
  }
  std::string lower(method == "HEAD" ? "GET" : method);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
  return best ? best->Find(lower) : std::nullopt;
}

void CheckBody(const http::Response& response, JsonValue described, SchemaCheck* check) {
  const auto content = described.Find("content");
  const auto field = response.headers.Find("Content-Type");
  if (!content) {
    if (!response.body.empty()) {
      check->faults.emplace_back("has a body that is not described");
    }
    return;
  }
  const auto type = field ? content->Find(MediaType(*field)) : std::nullopt;
  if (!type) {
    check->faults.push_back(
        fmt::format("has the media type '{}', which is not described", field.value_or("")));
    return;
  }
  const auto schema = type->Find("schema");
  const std::string_view media = MediaType(*field);
  if (!schema || !(media.ends_with("/json") || media.ends_with("+json"))) {
    return;
  }
  schemas::JsonDocument body;
  if (!body.Parse(response.body).ok()) {
    check->faults.emplace_back("its body is no JSON");
    return;
  }
  check->Check(*schema, body.root(), "");
}

}  // namespace

OpenApiCheck::OpenApiCheck(std::string_view document) {
  ALERTSTREAM_CHECK(document_.Parse(document).ok());
}

std::vector<std::string> OpenApiCheck::SchemaFaults(std::string_view schema_name,
                                                    std::string_view json) const {
  SchemaCheck check(document_.root());
  schemas::JsonDocument value;
  ALERTSTREAM_CHECK(value.Parse(json).ok());
  const auto schema = document_.root().Find("components")->Find("schemas")->Find(schema_name);
  ALERTSTREAM_CHECK(schema.has_value());
  check.Check(*schema, value.root(), "");
  return check.faults;
}

std::vector<std::string> OpenApiCheck::Faults(std::string_view method, std::string_view path,
                                              const http::Response& response) const {
  SchemaCheck check(document_.root());
  const auto operation = OperationOf(document_.root(), method, path);
  if (!operation) {
    if (response.status != 404 && response.status != 405) {
      return {fmt::format("{} {} is not described", method, path)};
    }
    return {};
  }
  const auto found = operation->Find("responses")->Find(std::to_string(response.status));
  if (!found) {
    return {fmt::format("{} {}: the status {} is not described", method, path, response.status)};
  }
  const JsonValue described = check.Resolve(*found);
  if (const auto headers = described.Find("headers")) {
    for (auto header = headers->first_child(); header; header = header->next_sibling()) {
      const auto required = check.Resolve(*header).Find("required");
      // X-Request-Id is added by the server, behind the routes.
      if (required && required->AsBool() && header->name() != "X-Request-Id" &&
          !response.headers.Find(header->name())) {
        check.faults.push_back(fmt::format("has no field {}", header->name()));
      }
    }
  }
  CheckBody(response, described, &check);
  for (std::string& fault : check.faults) {
    fault = fmt::format("{} {} {}: {}", method, path, response.status, fault);
  }
  return check.faults;
}

}  // namespace alertstream::api

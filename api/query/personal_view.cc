#include "api/query/personal_view.h"

#include <algorithm>
#include <cstddef>

#include "schemas/common.pb.h"
#include "schemas/personal.h"

namespace alertstream::api {
namespace {

constexpr std::string_view kMask = "\"***\"";

// An identifier of ordinary length: no number, no address.
bool IsName(std::string_view name) {
  constexpr std::size_t kNameBytesMax = 64;
  constexpr int kDigitsMax = 4;
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return !name.empty() && name.size() <= kNameBytesMax && (is_letter(name[0]) || name[0] == '_') &&
         std::count_if(name.begin(), name.end(), is_digit) <= kDigitsMax &&
         std::all_of(name.begin(), name.end(), [&](char c) {
           return is_letter(c) || is_digit(c) || c == '_' || c == '-' || c == '.';
         });
}

}  // namespace

std::optional<std::string> RevealSealed(const std::optional<std::string>& sealed) {
  v1::Personal personal;
  if (!sealed || !personal.ParseFromString(*sealed)) {
    return std::nullopt;
  }
  const auto plain = schemas::Unseal(personal);
  return plain.ok() ? std::optional(std::string(plain.value())) : std::nullopt;
}

void AppendMaskedJson(schemas::JsonValue value, std::string* out) {
  const bool is_object = value.type() == schemas::JsonType::kObject;
  if (!is_object && value.type() != schemas::JsonType::kArray) {
    out->append(value.type() == schemas::JsonType::kNull ? "null" : kMask);
    return;
  }
  out->push_back(is_object ? '{' : '[');
  bool first = true;
  int hidden_names = 0;  // Numbered, so that no two members have one name.
  for (auto child = value.first_child(); child; child = child->next_sibling()) {
    out->append(first ? "" : ",");
    first = false;
    if (is_object) {
      if (IsName(child->name())) {
        schemas::AppendJsonString(child->name(), out);
      } else {
        out->append("\"***").append(std::to_string(++hidden_names)).append("\"");
      }
      out->push_back(':');
    }
    AppendMaskedJson(*child, out);
  }
  out->push_back(is_object ? '}' : ']');
}

}  // namespace alertstream::api

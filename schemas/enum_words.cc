#include "schemas/enum_words.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

namespace alertstream::schemas {
namespace {

// "EventVerdict" to "EVENT_VERDICT_".
std::string PrefixOfType(std::string_view type) {
  std::string prefix;
  for (const char c : type) {
    if (std::isupper(static_cast<unsigned char>(c)) != 0 && !prefix.empty()) {
      prefix.push_back('_');
    }
    prefix.push_back(static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  }
  return prefix + "_";
}

std::string WordOf(const google::protobuf::EnumValueDescriptor& value) {
  std::string_view name = value.name();
  const std::string prefix = PrefixOfType(value.type()->name());
  if (name.starts_with(prefix)) {
    name.remove_prefix(prefix.size());
  }
  std::string word(name);
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return word;
}

}  // namespace

std::string EnumWord(const google::protobuf::EnumDescriptor* type, int number) {
  const auto* value = type->FindValueByNumber(number);
  return value == nullptr ? std::to_string(number) : WordOf(*value);
}

std::optional<int> EnumOfWord(const google::protobuf::EnumDescriptor* type, std::string_view word) {
  for (int i = 0; i < type->value_count(); ++i) {
    if (type->value(i)->number() != 0 && WordOf(*type->value(i)) == word) {
      return type->value(i)->number();
    }
  }
  return std::nullopt;
}

std::string WordsOf(const google::protobuf::EnumDescriptor* type) {
  std::string words;
  for (int i = 0; i < type->value_count(); ++i) {
    if (type->value(i)->number() != 0) {
      words += (words.empty() ? "" : ", ") + WordOf(*type->value(i));
    }
  }
  return words;
}

Error UnknownWord(const google::protobuf::EnumDescriptor* type, std::string_view what) {
  return Error(ErrorCode::kInvalid, fmt::format("{}: expected one of {}", what, WordsOf(type)));
}

}  // namespace alertstream::schemas

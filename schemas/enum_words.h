// Enums as words: how names of stored enums are written in JSON, files and on the command line.
// Pure. Used by the API and the command line.
#pragma once

#include <google/protobuf/generated_enum_reflection.h>

#include <optional>
#include <string>
#include <string_view>

#include "processor/base/result.h"

namespace alertstream::schemas {

// Value `number` of `type` without the type's own name: OUTCOME_SEND is "send". A number that has
// no name shows as itself.
std::string EnumWord(const google::protobuf::EnumDescriptor* type, int number);

template <typename Enum>
std::string Word(Enum value) {
  return EnumWord(google::protobuf::GetEnumDescriptor<Enum>(), static_cast<int>(value));
}

// The number of the value whose word is `word`; nothing if there is none, or if it is UNSPECIFIED.
std::optional<int> EnumOfWord(const google::protobuf::EnumDescriptor* type, std::string_view word);

// "sms, whatsapp, email": the words of a type, without UNSPECIFIED.
std::string WordsOf(const google::protobuf::EnumDescriptor* type);

// kInvalid lists the words of the type.
template <typename Enum>
Result<Enum> ParseWord(std::string_view what, std::string_view word);
Error UnknownWord(const google::protobuf::EnumDescriptor* type, std::string_view what);

template <typename Enum>
Result<Enum> ParseWord(std::string_view what, std::string_view word) {
  const auto* type = google::protobuf::GetEnumDescriptor<Enum>();
  const auto number = EnumOfWord(type, word);
  if (!number) {
    return UnknownWord(type, what);
  }
  return static_cast<Enum>(*number);
}

}  // namespace alertstream::schemas

// How commands show what is stored: enums as words, ids, places in the log, and people without
// their numbers. Pure.
#pragma once

#include <google/protobuf/generated_enum_reflection.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "processor/base/id.h"
#include "processor/base/result.h"
#include "schemas/common.pb.h"

namespace alertstream::cli {

// Value `number` of `type` without the type's own name: OUTCOME_SEND is "send". A number that has
// no name shows as itself.
std::string EnumWord(const google::protobuf::EnumDescriptor* type, int number);

template <typename Enum>
std::string Word(Enum value) {
  return EnumWord(google::protobuf::GetEnumDescriptor<Enum>(), static_cast<int>(value));
}

// The number of the value whose word is `word`; nothing if there is none, or if it is UNSPECIFIED.
std::optional<int> EnumOfWord(const google::protobuf::EnumDescriptor* type, std::string_view word);

// kInvalid lists the words of the type.
template <typename Enum>
Result<Enum> ParseWord(std::string_view what, std::string_view word);
Error UnknownWord(const google::protobuf::EnumDescriptor* type, std::string_view what);

// "site-events@3:88213"; "" for a position that names no topic.
std::string PositionText(const v1::Position& position);
std::string PositionText(std::uint32_t topic, std::uint32_t partition, std::int64_t offset);

// The first characters of an id, enough to tell it from others of the same millisecond.
std::string ShortId(IdKind kind, std::string_view bytes);

// "+254 700 *** 001". What is too short to hide a part of it is hidden whole.
std::string MaskPhone(std::string_view e164);
// A telephone number as above, "a***@example.com", or "***".
std::string MaskAddress(std::string_view address);

// The first `characters` of UTF-8 text, with "…" if there is more.
std::string Clip(std::string_view text, std::size_t characters);

// "1,234,567".
std::string Grouped(std::uint64_t number);

template <typename Enum>
Result<Enum> ParseWord(std::string_view what, std::string_view word) {
  const auto* type = google::protobuf::GetEnumDescriptor<Enum>();
  const auto number = EnumOfWord(type, word);
  if (!number) {
    return UnknownWord(type, what);
  }
  return static_cast<Enum>(*number);
}

}  // namespace alertstream::cli

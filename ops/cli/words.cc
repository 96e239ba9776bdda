#include "ops/cli/words.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "processor/engine/phone.h"
#include "schemas/topics.h"

namespace alertstream::cli {
namespace {

// Digits that stay visible at the end of a number, and after the country code.
constexpr std::size_t kTailDigits = 3;
constexpr std::size_t kHeadDigits = 3;
// Fewer hidden digits than this could be guessed.
constexpr std::size_t kHiddenDigitsMin = 3;

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

Error UnknownWord(const google::protobuf::EnumDescriptor* type, std::string_view what) {
  std::string words;
  for (int i = 0; i < type->value_count(); ++i) {
    if (type->value(i)->number() != 0) {
      words += (words.empty() ? "" : ", ") + WordOf(*type->value(i));
    }
  }
  return Error(ErrorCode::kInvalid, fmt::format("{}: expected one of {}", what, words));
}

std::string PositionText(std::uint32_t topic, std::uint32_t partition, std::int64_t offset) {
  if (topic == 0 || topic > schemas::kTopicCount) {
    return "";
  }
  return fmt::format("{}@{}:{}", schemas::kTopics[topic - 1].name, partition, offset);
}

std::string PositionText(const v1::Position& position) {
  return PositionText(position.topic(), position.partition(), position.offset());
}

std::string ShortId(IdKind kind, std::string_view bytes) {
  // Ten characters are the milliseconds; four more are twenty bits of hash.
  constexpr std::size_t kShown = 14;
  return FormatId(kind, bytes).substr(0, PrefixOf(kind).size() + kShown);
}

std::string MaskPhone(std::string_view e164) {
  const auto country = engine::FindPhoneCountry(e164);
  const std::size_t code = country ? std::to_string(country->code).size() : 0;
  if (!e164.starts_with('+') ||
      e164.size() < 1 + code + kHeadDigits + kHiddenDigitsMin + kTailDigits) {
    return "***";
  }
  return fmt::format("{} {} *** {}", e164.substr(0, 1 + code), e164.substr(1 + code, kHeadDigits),
                     e164.substr(e164.size() - kTailDigits));
}

std::string MaskAddress(std::string_view address) {
  if (address.starts_with('+')) {
    return MaskPhone(address);
  }
  const std::size_t at = address.rfind('@');
  if (at == std::string_view::npos || at == 0) {
    return "***";
  }
  return fmt::format("{}***{}", address.substr(0, 1), address.substr(at));
}

std::string Clip(std::string_view text, std::size_t characters) {
  std::size_t seen = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool begins = (static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80U;
    if (begins && seen++ == characters) {
      return std::string(text.substr(0, i)) + "\xE2\x80\xA6";
    }
  }
  return std::string(text);
}

std::string Grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

}  // namespace alertstream::cli

#include "ops/cli/words.h"

#include <fmt/format.h>

#include "processor/base/rfc3339.h"
#include "processor/engine/phone.h"

namespace alertstream::cli {
namespace {

// Digits that stay visible at the end of a number, and after the country code.
constexpr std::size_t kTailDigits = 3;
constexpr std::size_t kHeadDigits = 3;
// Fewer hidden digits than this could be guessed.
constexpr std::size_t kHiddenDigitsMin = 3;

}  // namespace

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

std::string DeliveryText(const v1::NotificationFact& fact) {
  std::string text = Word(fact.status());
  text += fact.attempt() == 0 ? "" : fmt::format(", attempt {}", fact.attempt());
  text += fact.result() == v1::ATTEMPT_CLASS_UNSPECIFIED ? "" : ": " + Word(fact.result());
  text += fact.error_code().empty() ? "" : ", " + fact.error_code();
  if (fact.retry_at_us() != 0) {
    text += ", again at " + FormatRfc3339(FromMicros(fact.retry_at_us()));
  }
  return text + (fact.changed() ? "" : ", no change");
}

std::string Grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}

}  // namespace alertstream::cli

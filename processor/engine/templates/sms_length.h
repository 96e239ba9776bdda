// How a text travels as SMS: which alphabet, how many units, how many segments. Pure. Used by the
// template gate and by price and quota sums.
//
// GSM-7 (3GPP TS 23.038, basic and extension table) if every character is in it, else UCS-2. A
// message that does not fit one segment loses room in each to the header that joins them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "processor/base/result.h"

namespace alertstream::engine {

// Septets (GSM-7) or UTF-16 code units (UCS-2) of a lone segment, and of one of several.
inline constexpr std::uint32_t kGsm7SingleUnitsMax = 160;
inline constexpr std::uint32_t kGsm7PartUnitsMax = 153;
inline constexpr std::uint32_t kUcs2SingleUnitsMax = 70;
inline constexpr std::uint32_t kUcs2PartUnitsMax = 67;

// Providers take at most 1,600 characters (Twilio's Body); ten segments stay below that in either
// alphabet.
inline constexpr std::uint32_t kSmsSegmentsMax = 10;
static_assert(kSmsSegmentsMax * kGsm7PartUnitsMax <= 1600);

enum class SmsEncoding : std::uint8_t { kGsm7, kUcs2 };

struct SmsLength {
  SmsEncoding encoding;
  std::uint32_t units;     // Septets or UTF-16 code units, headers not counted.
  std::uint32_t segments;  // 0 for the empty text. May exceed kSmsSegmentsMax: the caller judges.

  friend bool operator==(const SmsLength&, const SmsLength&) = default;
};

// A character of GSM-7's extension table counts two septets, one beyond U+FFFF two UCS-2 units;
// neither is split between segments. kInvalid if `text` is not UTF-8.
// REQUIRES: `text` is shorter than 2 GiB.
Result<SmsLength> MeasureSms(std::string_view text);

// The GSM-7 tables in a fixed textual form, for TablesHash (tables.h).
void AppendGsm7Table(std::string* out);

}  // namespace alertstream::engine

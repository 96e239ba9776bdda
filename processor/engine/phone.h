// Telephone numbers in the fold: international notation to E.164, from a pinned table of country
// calling codes. Pure, no allocation beyond the result. Used by the recipient rules of the fold;
// the edge validates more strictly with a full metadata library before a number gets here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "processor/base/result.h"
#include "schemas/limits.h"

namespace alertstream::engine {

// Longest text looked at: 15 digits, each with a separator or two, need less.
using schemas::kPhoneTextBytesMax;
// ITU-T E.164, 6.1: country code and national number together.
inline constexpr std::size_t kPhoneDigitsMax = 15;

// `raw` as E.164 ("+254700000001"). It must begin with + or 00; space, no-break space and - . ( ) /
// may stand between the digits. A national "(0)" is refused, because dropping it is a guess.
// kInvalid says what is wrong without quoting the number.
Result<std::string> NormalizePhone(std::string_view raw);

struct PhoneCountry {
  std::uint16_t code;       // Country calling code: 1, 44, 254.
  std::string_view region;  // ISO 3166-1 code of the main region; "" for satellite, freephone, ...
};

// The country calling code that `e164` begins with. Codes shared by several regions (1, 7, 39, 44,
// ...) name the main one: a Canadian number says "US". Nothing if no code matches.
std::optional<PhoneCountry> FindPhoneCountry(std::string_view e164);

// The region of FindPhoneCountry, "" if there is none.
std::string_view PhoneRegion(std::string_view e164);

// The table in a fixed textual form, for TablesHash (tables.h).
void AppendPhoneTable(std::string* out);

}  // namespace alertstream::engine

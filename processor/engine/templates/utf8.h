// One code point of UTF-8 text at a time (RFC 3629: no overlong forms, no surrogates, nothing above
// U+10FFFF). Pure. Used by the texts of the engine: templates, SMS length, reply keywords.
#pragma once

#include <cstddef>
#include <string_view>

namespace alertstream::engine {

// What a byte that belongs to no code point decodes to; no text can contain it.
inline constexpr char32_t kMalformed = 0xFFFFFFFF;

struct CodePoint {
  char32_t value;
  std::size_t bytes;  // At least 1: a malformed byte is stepped over alone.
};

// The code point at the start of `text`.
// REQUIRES: `text` is not empty.
inline CodePoint FirstCodePoint(std::string_view text) {
  constexpr CodePoint kBad{.value = kMalformed, .bytes = 1};
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) {
    return {.value = lead, .bytes = 1};
  }
  const std::size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) {
    return kBad;
  }
  constexpr unsigned char kLeadBits[] = {0, 0, 0x1F, 0x0F, 0x07};
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  char32_t value = lead & kLeadBits[bytes];
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) {
      return kBad;
    }
    value = value << 6 | (byte(i) & 0x3FU);
  }
  if (value < kSmallest[bytes] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
    return kBad;
  }
  return {.value = value, .bytes = bytes};
}

}  // namespace alertstream::engine

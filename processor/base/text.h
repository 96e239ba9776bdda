// Small readings of text that protocols share. Pure. Used by parsers of headers, URIs and keys.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace alertstream {

// Optional white space of HTTP (RFC 9110, section 5.6.3).
inline constexpr std::string_view kBlanks = " \t";

// Without the characters of `blanks` at both ends.
inline std::string_view Trimmed(std::string_view text, std::string_view blanks = kBlanks) {
  const std::size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) {
    return {};
  }
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

// By character: a look-up where branches on random digits would be guessed wrong half the time.
inline constexpr std::array<std::int8_t, 256> kHexValues = [] {
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  for (const std::string_view digits : {"0123456789abcdef", "0123456789ABCDEF"}) {
    for (std::size_t i = 0; i < digits.size(); ++i) {
      values[static_cast<unsigned char>(digits[i])] = static_cast<std::int8_t>(i);
    }
  }
  return values;
}();

// 0 to 15, or -1 if it is no hexadecimal digit.
constexpr int HexValue(char c) { return kHexValues[static_cast<unsigned char>(c)]; }

}  // namespace alertstream

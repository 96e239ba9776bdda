// Small readings of text that protocols share. Pure. Used by parsers of headers, URIs and keys.
#pragma once

#include <cstddef>
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

// 0 to 15, or -1 if it is no hexadecimal digit.
constexpr int HexValue(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

}  // namespace alertstream

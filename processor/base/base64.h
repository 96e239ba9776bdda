// Base64 with the alphabet of RFC 4648, section 4, and padding. Pure. Used where a protocol of
// somebody else's asks for it: Basic authentication, webhook signatures.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace alertstream {

std::string ToBase64(std::string_view bytes);

// Strict: padded, no white space, no bits left over, so that every text has one meaning and every
// bytes one text. Nothing if `text` is not like that.
std::optional<std::string> FromBase64(std::string_view text);

}  // namespace alertstream

// Base64 with the alphabet of RFC 4648, section 4, and padding; and for tokens the alphabet of
// section 5, without. Pure. Used where a protocol of somebody else's asks for it: Basic
// authentication, webhook signatures, JWT.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace alertstream {

std::string ToBase64(std::string_view bytes);

// Strict: padded, no white space, no bits left over, so that every text has one meaning and every
// bytes one text. Nothing if `text` is not like that.
std::optional<std::string> FromBase64(std::string_view text);

// base64url, never padded (RFC 7515, section 2). As strict.
std::string ToBase64Url(std::string_view bytes);
std::optional<std::string> FromBase64Url(std::string_view text);

}  // namespace alertstream

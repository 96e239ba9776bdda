// HMAC-SHA1 (RFC 2104): only for providers whose signatures are made with it, such as Twilio.
// Whatever is ours uses HMAC-SHA256 (crypto.h). Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace alertstream {

using Sha1Digest = std::array<std::uint8_t, 20>;

inline std::string_view AsView(const Sha1Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// REQUIRES: a key of less than 2 GiB.
Sha1Digest HmacSha1(std::string_view key, std::string_view message);

}  // namespace alertstream

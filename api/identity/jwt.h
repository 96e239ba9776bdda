// JSON Web Tokens, HS256 only (RFC 7515, 7519, with the advice of RFC 8725). Pure. Used for users'
// access tokens.
//
// The algorithm is ours, never the token's: a header that names another one is refused, as is one
// that asks for anything that we do not do (crit). Keys come from a fixed table by `kid`; jku, x5u
// and jwk are not looked at. Both parts are JSON without duplicate members.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "processor/base/crypto.h"
#include "processor/base/result.h"
#include "processor/base/time.h"

namespace alertstream::api {

inline constexpr std::size_t kJwtBytesMax = 4096;
inline constexpr std::size_t kJwtKeyBytesMin = 32;
// How far the clock of the instance that issued a token may be ahead of ours.
inline constexpr std::chrono::seconds kJwtSkewMax{60};

struct JwtKey {
  std::string id;  // `kid`; a token without one means the key without one.
  HmacKey key;
};

struct JwtClaims {
  std::string issuer;
  std::string audience;
  std::string subject;
  std::string tenant;
  std::string scope;
  std::string session;
  std::string id;
  std::int64_t issued_at_s = 0;
  std::int64_t expires_at_s = 0;
};

struct JwtRules {
  std::string_view type;  // `typ`: "at+jwt".
  std::string_view issuer;
  std::string_view audience;
  LogTime now;
};

// The third part: base64url of HMAC-SHA256(key, signing_input).
std::string JwtSignature(const HmacKey& key, std::string_view signing_input);

std::string IssueJwt(const JwtClaims& claims, std::string_view type, const JwtKey& key);

// kDenied: not a token, not ours, or not valid now; the message says which, for tests and nobody
// else. Absent texts among the claims are empty. How long it takes does not depend on which byte of
// the signature is wrong.
Result<JwtClaims> VerifyJwt(std::string_view token, std::span<const JwtKey> keys,
                            const JwtRules& rules);

}  // namespace alertstream::api

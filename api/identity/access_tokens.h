// AccessTokens: what a user shows instead of a password: a JWT that is good for 15 minutes and says
// who acts for which tenant in which role. Immutable, thread-safe. Issued by accounts, read by the
// mirror, which knows which ones were revoked.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/identity/jwt.h"
#include "api/identity/roles.h"
#include "processor/base/redacted.h"
#include "processor/base/result.h"
#include "processor/base/time.h"

namespace alertstream::api {

inline constexpr std::chrono::seconds kAccessTokenLife{15 * 60};

struct TokenSubject {
  std::string user;
  std::string tenant;
  Role role = Role::kViewer;
  std::int64_t membership_version = 0;
  std::string session;
};

class AccessTokens {
 public:
  // Keys are derived from the master keys: the first signs, all verify.
  explicit AccessTokens(const std::vector<Redacted<std::string>>& master_keys);

  std::string Issue(const TokenSubject& subject, LogTime now) const;
  // kDenied: as VerifyJwt, or not an access token.
  Result<TokenSubject> Read(std::string_view token, LogTime now) const;

 private:
  std::vector<JwtKey> keys_;
};

}  // namespace alertstream::api

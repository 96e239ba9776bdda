#include "api/identity/access_tokens.h"

#include <charconv>
#include <optional>

#include "api/identity/new_id.h"
#include "processor/base/check.h"
#include "processor/base/crypto.h"

namespace alertstream::api {
namespace {

constexpr std::string_view kType = "at+jwt";
constexpr std::string_view kIssuer = "alertstream";
constexpr std::string_view kAudience = "alertstream-api";
// What the signing key is derived for; another text makes every token that is out invalid.
constexpr std::string_view kPurpose = "alertstream access tokens 1";
constexpr std::size_t kKeyIdBytes = 4;

// "role:owner version:3"
std::string ScopeOf(const TokenSubject& subject) {
  return "role:" + std::string(RoleName(subject.role)) +
         " version:" + std::to_string(subject.membership_version);
}

bool ReadScope(std::string_view scope, TokenSubject* subject) {
  constexpr std::string_view kRole = "role:";
  constexpr std::string_view kVersion = " version:";
  const std::size_t second = scope.find(kVersion);
  if (!scope.starts_with(kRole) || second == std::string_view::npos) {
    return false;
  }
  const auto role = ParseRole(scope.substr(kRole.size(), second - kRole.size()));
  const std::string_view digits = scope.substr(second + kVersion.size());
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, subject->membership_version);
  if (!role || error != std::errc() || stop != end) {
    return false;
  }
  subject->role = *role;
  return true;
}

}  // namespace

AccessTokens::AccessTokens(const std::vector<Redacted<std::string>>& master_keys) {
  ALERTSTREAM_CHECK(!master_keys.empty());
  for (const Redacted<std::string>& master : master_keys) {
    const Digest derived = HmacKey(master.Reveal()).Sign(kPurpose);
    static_assert(sizeof(Digest) >= kJwtKeyBytesMin);
    const Digest id = Sha256::Of(AsView(derived));
    keys_.push_back(
        {.id = ToHex(AsView(id).substr(0, kKeyIdBytes)), .key = HmacKey(AsView(derived))});
  }
}

std::string AccessTokens::Issue(const TokenSubject& subject, LogTime now) const {
  const std::int64_t now_s = ToMicros(now) / 1'000'000;
  return IssueJwt({.issuer = std::string(kIssuer),
                   .audience = std::string(kAudience),
                   .subject = subject.user,
                   .tenant = subject.tenant,
                   .scope = ScopeOf(subject),
                   .session = subject.session,
                   .id = NewId("tok_", now),
                   .issued_at_s = now_s,
                   .expires_at_s = now_s + kAccessTokenLife.count()},
                  kType, keys_.front());
}

Result<TokenSubject> AccessTokens::Read(std::string_view token, LogTime now) const {
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const JwtClaims claims,
      VerifyJwt(token, keys_,
                {.type = kType, .issuer = kIssuer, .audience = kAudience, .now = now}));
  TokenSubject subject{.user = claims.subject, .tenant = claims.tenant, .session = claims.session};
  if (subject.tenant.empty() || subject.session.empty() || claims.id.empty() ||
      !ReadScope(claims.scope, &subject)) {
    return Error(ErrorCode::kDenied, "The token is not valid: a claim is missing");
  }
  return subject;
}

}  // namespace alertstream::api

// IdentityMirror: the API keys of the tables of identity in memory, and which access tokens were
// revoked (accounts and numbers: account_mirror.h): the ports Identity and UserTokens, answered
// without asking the database. Thread-safe. Look-ups take a shared lock for as long as a pointer is
// copied, and compare digests, never keys.
//
// A thread listens for changes and looks for them every two seconds besides, so that a revocation
// holds within five on every server. Without the database the keys that are known serve for 15
// minutes; then nobody can say any more what was revoked, and they serve no longer (Available()).
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/auth/identity.h"
#include "api/identity/access.h"
#include "api/identity/access_tokens.h"
#include "processor/base/clock.h"
#include "processor/base/result.h"
#include "processor/base/sealing.h"
#include "projections/sql/database.h"

namespace alertstream::api {

// About 1 KB each, which leaves a third of a server's 150 MB for the rest. Of more the oldest
// serve, the others are answered 503, and Problem() says so.
inline constexpr std::size_t kMirroredKeysMax = 100'000;
inline constexpr std::size_t kMirroredRevocationsMax = 100'000;  // Of 20 minutes.
inline constexpr std::chrono::minutes kServeWithoutDatabase{15};
// How long a revocation has to be remembered: no access token lives longer.
inline constexpr std::chrono::minutes kRevocationKept{20};
static_assert(kRevocationKept > kAccessTokenLife + kJwtSkewMax);

struct IdentityMirrorOptions {
  std::size_t keys_max = kMirroredKeysMax;
  std::chrono::milliseconds look_every{2'000};
  std::chrono::milliseconds reload_every{10 * 60'000};  // Of everything.
  std::chrono::milliseconds note_uses_every{60'000};
  // What became of looking, when that changes; called by the mirror's thread. May be empty.
  std::function<void(const Status& status)> on_change = {};
  // A key whose row cannot be read is as one that is not there; told once, until it can be read
  // again. Called by whoever looks. No secrets; may be empty.
  std::function<void(const std::string& tenant, const std::string& key, const Error& error)>
      on_unreadable_key = {};
  // How many live keys are held, and how many are not because of keys_max. May be empty.
  std::function<void(std::size_t held, std::size_t left_out)> on_count = {};
};

class IdentityMirror final : public Identity, public UserTokens {
 public:
  // Starts the thread and returns when the first try to load was made. All outlive the mirror.
  IdentityMirror(sql::Database& database, const Sealer& sealer, const AccessTokens& tokens,
                 Clock& clock, IdentityMirrorOptions options);
  // As Stop.
  ~IdentityMirror() override;
  IdentityMirror(const IdentityMirror&) = delete;
  IdentityMirror& operator=(const IdentityMirror&) = delete;

  // Takes in what changed before the call: so that whoever was given a key can use it at once.
  // Blocks. kUnavailable.
  Status Look(sql::Session& session);
  void Stop();

  std::shared_ptr<const ApiKey> FindKey(std::string_view presented) const override;
  // False as well while there are more keys than it holds: one that is not found may be there.
  bool Available() const override;
  EventRate RateOf(std::string_view tenant) const override;
  bool OriginAllowed(std::string_view origin) const override;
  // Nothing and null: numbers and accounts are the account mirror's.
  std::optional<std::string> TenantOfNumber(std::string_view provider, std::string_view account,
                                            std::string_view number) const override;
  std::shared_ptr<const WebhookAccount> FindWebhookAccount(std::string_view provider,
                                                           std::string_view account) const override;

  Result<Caller> CallerOf(std::string_view token) const override;

  // The error of the last look; empty: it went well.
  std::string Problem() const;

 private:
  bool IsFresh() const;  // The keys held are known well enough to serve.

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace alertstream::api

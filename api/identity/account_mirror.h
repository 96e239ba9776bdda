// AccountMirror: the provider accounts and claimed numbers of the tables of identity in memory, for
// the dispatcher (ProviderAccounts) and for the webhooks' door. Thread-safe; look-ups never ask the
// database.
//
// A thread listens for changes and looks every two seconds besides, so that a change holds within
// five on every server. Changes that follow one another are taken in together, once a second: what
// one tenant does keeps no server busy with everybody's. Without the database what is known serves
// for 15 minutes; after that nothing is known any more (Known()): commands wait and webhooks are
// answered 503. An account whose credentials cannot be opened is not there and hides no other.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/auth/identity.h"
#include "api/identity/account_store.h"
#include "api/identity/identity_mirror.h"
#include "processor/base/clock.h"
#include "processor/base/result.h"
#include "processor/base/sealing.h"
#include "processor/dispatch/accounts.h"
#include "projections/sql/database.h"

namespace alertstream::api {

struct AccountMirrorOptions {
  std::chrono::milliseconds look_every{2'000};
  std::chrono::milliseconds look_pause{1'000};  // From one look to the next, whatever is heard.
  std::chrono::milliseconds reload_every{10 * 60'000};  // Of everything, changed or not.
  // Changes an account before it comes into force; may be empty.
  std::function<void(dispatch::ProviderAccount* account)> adjust = {};
  // What the file of keys has: it comes first. May be empty, both.
  ConfiguredAccounts configured = {};
  // What became of looking, when that changes; by the mirror's thread. May be empty.
  std::function<void(const Status& status)> on_change = {};
  // An account or a claim (by its id) that does not serve: its row cannot be read, or the file of
  // keys has another one of its name. Told once, until it serves. No secrets; may be empty.
  std::function<void(const std::string& id, const Error& error)> on_unserved = {};
};

class AccountMirror final : public dispatch::ProviderAccounts {
 public:
  // Starts the thread and returns when the first try to load was made. All outlive the mirror.
  AccountMirror(sql::Database& database, const Sealer& sealer, Clock& clock,
                AccountMirrorOptions options);
  // As Stop.
  ~AccountMirror() override;
  AccountMirror(const AccountMirror&) = delete;
  AccountMirror& operator=(const AccountMirror&) = delete;

  // Takes in what changed before the call. Blocks, for long if there are many accounts: not for
  // routes, whose changes the thread hears of. kUnavailable.
  Status Look(sql::Session& session);
  // As Look, with everything anew: what `adjust` does has changed.
  Status Reload(sql::Session& session);
  void Stop();

  std::shared_ptr<const dispatch::ProviderAccount> Find(std::string_view provider,
                                                        std::string_view name) const override;
  std::vector<std::shared_ptr<const dispatch::ProviderAccount>> All() const override;
  bool Known() const override;

  std::optional<std::string> TenantOfNumber(std::string_view provider, std::string_view account,
                                            std::string_view number) const;
  std::shared_ptr<const Identity::WebhookAccount> FindWebhookAccount(
      std::string_view provider, std::string_view account) const;

  // The error of the last look; empty: it went well.
  std::string Problem() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace alertstream::api

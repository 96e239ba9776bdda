// JoinedIdentity: two Identities as one: the file of keys, and the mirror of Postgres, with the
// mirror of accounts and numbers beside it; JoinedAccounts: the provider accounts of both. The file
// comes first: it is whoever runs the deployment, is there without the database, and a row cannot
// take over what it has. Keys are always asked of both, so that the time taken tells nothing.
// Thread-safe as they are. Used by the program's wiring.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/auth/identity.h"
#include "api/identity/account_mirror.h"
#include "processor/dispatch/accounts.h"

namespace alertstream::api {

class JoinedIdentity final : public Identity {
 public:
  // All outlive it; `accounts` may be null.
  JoinedIdentity(const Identity& first, const Identity& second, const AccountMirror* accounts)
      : first_(first), second_(second), accounts_(accounts) {}

  std::shared_ptr<const ApiKey> FindKey(std::string_view presented) const override {
    auto first = first_.FindKey(presented);
    auto second = second_.FindKey(presented);
    return first != nullptr ? std::move(first) : std::move(second);
  }
  bool Available() const override { return first_.Available() && second_.Available(); }
  // Rates of tenants are in the file.
  EventRate RateOf(std::string_view tenant) const override { return first_.RateOf(tenant); }
  bool OriginAllowed(std::string_view origin) const override {
    return first_.OriginAllowed(origin) || second_.OriginAllowed(origin);
  }
  std::optional<std::string> TenantOfNumber(std::string_view provider, std::string_view account,
                                            std::string_view number) const override {
    auto first = first_.TenantOfNumber(provider, account, number);
    return first || accounts_ == nullptr ? first
                                         : accounts_->TenantOfNumber(provider, account, number);
  }
  std::shared_ptr<const WebhookAccount> FindWebhookAccount(
      std::string_view provider, std::string_view account) const override {
    auto first = first_.FindWebhookAccount(provider, account);
    return first != nullptr || accounts_ == nullptr
               ? first
               : accounts_->FindWebhookAccount(provider, account);
  }
  bool AccountsKnown() const override { return accounts_ == nullptr || accounts_->Known(); }

 private:
  const Identity& first_;
  const Identity& second_;
  const AccountMirror* const accounts_;
};

class JoinedAccounts final : public dispatch::ProviderAccounts {
 public:
  // Both outlive it.
  JoinedAccounts(const dispatch::ProviderAccounts& first, const dispatch::ProviderAccounts& second)
      : first_(first), second_(second) {}

  std::shared_ptr<const dispatch::ProviderAccount> Find(std::string_view provider,
                                                        std::string_view name) const override {
    auto first = first_.Find(provider, name);
    return first != nullptr ? std::move(first) : second_.Find(provider, name);
  }
  std::vector<std::shared_ptr<const dispatch::ProviderAccount>> All() const override {
    auto all = first_.All();
    for (auto& account : second_.All()) {
      if (first_.Find(account->provider, account->name) == nullptr) {
        all.push_back(std::move(account));
      }
    }
    return all;
  }
  bool Known() const override { return first_.Known() && second_.Known(); }

 private:
  const dispatch::ProviderAccounts& first_;
  const dispatch::ProviderAccounts& second_;
};

}  // namespace alertstream::api

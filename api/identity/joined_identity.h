// JoinedIdentity: two Identities as one: the file of keys, and the mirror of Postgres. Whatever the
// first has comes first; both are always asked, so that the time taken tells nothing. Thread-safe
// as they are. Used by the program's wiring.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "api/auth/identity.h"

namespace alertstream::api {

class JoinedIdentity final : public Identity {
 public:
  // Both outlive it.
  JoinedIdentity(const Identity& first, const Identity& second) : first_(first), second_(second) {}

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
    return first ? first : second_.TenantOfNumber(provider, account, number);
  }
  std::shared_ptr<const WebhookAccount> FindWebhookAccount(
      std::string_view provider, std::string_view account) const override {
    auto first = first_.FindWebhookAccount(provider, account);
    return first != nullptr ? first : second_.FindWebhookAccount(provider, account);
  }

 private:
  const Identity& first_;
  const Identity& second_;
};

}  // namespace alertstream::api

// FakeKeys: an Identity of keys, numbers and accounts that a test puts in. Filled before it is used
// by several threads.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "api/auth/identity.h"

namespace alertstream::api {

class FakeKeys final : public Identity {
 public:
  void Add(const std::string& presented, ApiKey key) {
    origins_.insert(key.origins.begin(), key.origins.end());
    keys_[presented] = std::make_shared<const ApiKey>(std::move(key));
  }
  void SetAvailable(bool available) { available_ = available; }
  void SetAccountsKnown(bool known) { accounts_known_ = known; }
  void SetRate(const std::string& tenant, const EventRate& rate) { rates_[tenant] = rate; }
  // Of Twilio, as everything that tests have so far.
  void AddNumber(const std::string& account, const std::string& number, const std::string& tenant) {
    numbers_[{std::string(kProvider), account, number}] = tenant;
  }
  void SetAccount(const std::string& name, WebhookAccount account) {
    accounts_[{std::string(kProvider), name}] =
        std::make_shared<const WebhookAccount>(std::move(account));
  }

  std::shared_ptr<const ApiKey> FindKey(std::string_view presented) const override {
    const auto found = keys_.find(presented);
    return found == keys_.end() ? nullptr : found->second;
  }
  bool Available() const override { return available_; }
  bool AccountsKnown() const override { return accounts_known_; }
  EventRate RateOf(std::string_view tenant) const override {
    const auto found = rates_.find(tenant);
    return found == rates_.end() ? EventRate() : found->second;
  }
  bool OriginAllowed(std::string_view origin) const override {
    return origins_.contains("*") || origins_.contains(origin);
  }
  std::optional<std::string> TenantOfNumber(std::string_view provider, std::string_view account,
                                            std::string_view number) const override {
    const auto found =
        numbers_.find({std::string(provider), std::string(account), std::string(number)});
    return found == numbers_.end() ? std::nullopt : std::optional(found->second);
  }
  std::shared_ptr<const WebhookAccount> FindWebhookAccount(
      std::string_view provider, std::string_view account) const override {
    const auto found = accounts_.find({std::string(provider), std::string(account)});
    return found == accounts_.end() ? nullptr : found->second;
  }

 private:
  bool available_ = true;
  bool accounts_known_ = true;
  static constexpr std::string_view kProvider = "twilio";

  std::map<std::string, std::shared_ptr<const ApiKey>, std::less<>> keys_;
  std::map<std::string, EventRate, std::less<>> rates_;
  std::set<std::string, std::less<>> origins_;
  std::map<std::tuple<std::string, std::string, std::string>, std::string> numbers_;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<const WebhookAccount>> accounts_;
};

}  // namespace alertstream::api

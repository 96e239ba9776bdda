// FakeKeys: an Identity of API keys that a test puts in. Filled before it is used by several
// threads.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "api/auth/identity.h"

namespace alertstream::api {

class FakeKeys final : public Identity {
 public:
  void Add(const std::string& presented, ApiKey key) {
    origins_.insert(key.origins.begin(), key.origins.end());
    keys_[presented] = std::make_shared<const ApiKey>(std::move(key));
  }

  std::shared_ptr<const ApiKey> FindKey(std::string_view presented) const override {
    const auto found = keys_.find(presented);
    return found == keys_.end() ? nullptr : found->second;
  }
  bool OriginAllowed(std::string_view origin) const override {
    return origins_.contains("*") || origins_.contains(origin);
  }
  std::optional<std::string> TenantOfNumber(std::string_view /*provider*/,
                                            std::string_view /*account*/,
                                            std::string_view /*number*/) const override {
    return std::nullopt;
  }
  std::shared_ptr<const WebhookAccount> FindWebhookAccount(
      std::string_view /*provider*/, std::string_view /*account*/) const override {
    return nullptr;
  }

 private:
  std::map<std::string, std::shared_ptr<const ApiKey>, std::less<>> keys_;
  std::set<std::string, std::less<>> origins_;
};

}  // namespace alertstream::api

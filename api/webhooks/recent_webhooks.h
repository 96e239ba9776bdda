// RecentWebhooks: which webhooks were appended lately, so that a provider that repeats one is
// answered without a second append. It is a courtesy to the log: what it forgets, or what another
// process took, the fold finds harmless. Thread-safe. Used by the doors of providers.
#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "api/http/responder.h"

namespace alertstream::api {

// Providers repeat within minutes: a thousand webhooks a second for that long, about 15 MB.
inline constexpr std::size_t kRecentWebhooksMax = 100'000;

class RecentWebhooks {
 public:
  explicit RecentWebhooks(std::size_t keys_max = kRecentWebhooksMax) : keys_max_(keys_max) {}

  enum class Seen {
    kNew,       // The caller appends it and then calls End.
    kUnderWay,  // Somebody else does: `responder` was taken and comes back from their End.
    kAppended,
  };
  Seen Begin(const std::string& key, http::Responder* responder);

  // Those who came meanwhile. Without `appended` the key is new again.
  // REQUIRES: Begin(key) was kNew, and this is the first End since.
  std::vector<http::Responder> End(const std::string& key, bool appended);

 private:
  const std::size_t keys_max_;
  std::mutex mutex_;
  std::unordered_map<std::string, std::vector<http::Responder>> under_way_;
  std::unordered_set<std::string> appended_;
  std::deque<const std::string*> oldest_first_;  // Into appended_, whose nodes do not move.
};

}  // namespace alertstream::api

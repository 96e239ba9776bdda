#include "api/webhooks/recent_webhooks.h"

#include <utility>

#include "processor/base/check.h"

namespace alertstream::api {

RecentWebhooks::Seen RecentWebhooks::Begin(const std::string& key, http::Responder* responder) {
  const std::lock_guard lock(mutex_);
  if (appended_.contains(key)) {
    return Seen::kAppended;
  }
  const auto [found, is_new] = under_way_.try_emplace(key);
  if (is_new) {
    return Seen::kNew;
  }
  found->second.push_back(std::move(*responder));
  return Seen::kUnderWay;
}

std::vector<http::Responder> RecentWebhooks::End(const std::string& key, bool appended) {
  const std::lock_guard lock(mutex_);
  auto ended = under_way_.extract(key);
  ALERTSTREAM_CHECK(!ended.empty());
  if (appended) {
    oldest_first_.push_back(&*appended_.insert(key).first);
    if (oldest_first_.size() > keys_max_) {
      appended_.erase(appended_.find(*oldest_first_.front()));
      oldest_first_.pop_front();
    }
  }
  return std::move(ended.mapped());
}

}  // namespace alertstream::api

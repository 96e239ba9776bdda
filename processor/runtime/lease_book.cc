#include "processor/runtime/lease_book.h"

#include <algorithm>

#include "schemas/topics.h"

namespace alertstream::runtime {

void LeaseBook::Read(const schemas::RecordView& record) {
  v1::Lease lease;
  if (record.offset == 0 ||
      !lease.ParseFromArray(record.value.data(), static_cast<int>(record.value.size()))) {
    return;
  }
  if (record.key == kTakeOverKey) {
    if (lease.instance() == instance_) {
      order_ = Order{lease.owner_epoch(), record.append_time};
    }
    return;
  }
  if (lease.instance() == instance_) {
    return;
  }
  if (record.key == kStandbyKey) {
    standbys_[lease.instance()] = record.append_time;
    return;
  }
  if (record.key != schemas::kLogKey || (lease.released() && lease.owner_epoch() == 0)) {
    return;
  }
  standbys_.erase(lease.instance());
  signs_[lease.owner_epoch()] = record.append_time;
  if (!newest_other_ || lease.owner_epoch() >= newest_other_->epoch) {
    newest_other_ = Owner{lease.instance(), lease.owner_epoch()};
    if (lease.owner_epoch() > 0) {
      // Older owners do not matter any more; those that start (0) do.
      signs_.erase(signs_.upper_bound(0), signs_.lower_bound(lease.owner_epoch()));
    }
  }
}

void LeaseBook::Beat(LogTime at) {
  if (!last_beat_ || at - *last_beat_ > kBeatGapMax) {
    since_ = at;
  }
  last_beat_ = at;
}

bool LeaseBook::Ordered(std::uint64_t epoch) const {
  return order_ && last_beat_ && order_->epoch == epoch && *last_beat_ - order_->at < kTakeOverLive;
}

std::vector<std::string> LeaseBook::standbys() const {
  std::vector<std::string> live;
  for (const auto& [instance, at] : standbys_) {
    if (last_beat_ && *last_beat_ - at < kLeaseLive) {
      live.push_back(instance);
    }
  }
  return live;
}

bool LeaseBook::Stale(std::uint64_t epoch) const {
  if (!last_beat_) {
    return false;
  }
  LogTime sign = since_;
  for (const auto& [of, at] : signs_) {
    if (of == 0 || of >= epoch) {
      sign = std::max(sign, at);
    }
  }
  const auto others = standbys();
  const auto before = std::count_if(others.begin(), others.end(),
                                    [&](const std::string& name) { return name < instance_; });
  return *last_beat_ - sign > kLeaseLive + before * kStandbyStagger;
}

void TakeOverGuard::Fenced(std::chrono::microseconds now) {
  if (fenced_ && now - *fenced_ < kFencedWindow) {
    until_ = now + kTakeOverBackOff;
  }
  fenced_ = now;
}

}  // namespace alertstream::runtime

#include "processor/runtime/lease_book.h"

#include <algorithm>

#include "schemas/topics.h"

namespace alertstream::runtime {

std::string_view ProcessOf(const schemas::RecordView& record) {
  const auto found = std::find_if(record.headers.begin(), record.headers.end(),
                                  [](const auto& header) { return header.name == kProcessHeader; });
  return found == record.headers.end() ? std::string_view() : found->value;
}

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
  const std::string_view process = ProcessOf(record);
  if (lease.instance() == instance_ && process == process_) {
    Beat(record.append_time);
    return;
  }
  if (lease.instance() == instance_ && process.empty()) {
    return;  // An older program's, before ours or beside it: it cannot be told.
  }
  if (record.key == kStandbyKey) {
    name_used_twice_ = name_used_twice_ || lease.instance() == instance_;
    standbys_[lease.instance()] = record.append_time;
    return;
  }
  if (record.key != schemas::kLogKey || (lease.released() && lease.owner_epoch() == 0)) {
    return;
  }
  // Who releases a lease is at its end, and makes room for a process of the same name.
  name_used_twice_ = name_used_twice_ || (lease.instance() == instance_ && !lease.released());
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
  if (last_beat_ && at < *last_beat_) {
    Clamp(at);
    since_ = at;
  }
  if (!last_beat_ || at - *last_beat_ > kBeatGapMax) {
    since_ = at;
  }
  last_beat_ = at;
}

void LeaseBook::Clamp(LogTime at) {
  for (auto& [epoch, sign] : signs_) {
    sign = std::min(sign, at);
  }
  for (auto& [instance, sign] : standbys_) {
    sign = std::min(sign, at);
  }
  if (order_) {
    order_->at = std::min(order_->at, at);
  }
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
    if (of > 0 && of >= epoch) {
      sign = std::max(sign, at);
    }
  }
  if (const auto starting = signs_.find(0); starting != signs_.end()) {
    sign = std::max(sign, std::min(starting->second, sign + kStartingCounts));
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

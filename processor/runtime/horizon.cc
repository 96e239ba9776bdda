#include "processor/runtime/horizon.h"

#include <algorithm>

namespace alertstream::runtime {
namespace {

// Often enough that a late answer still leaves one in time.
constexpr std::chrono::milliseconds kAskEvery{60};
constexpr std::chrono::milliseconds kAskTimeout{1000};

}  // namespace

PermissionHorizon::PermissionHorizon(log::EventLog& log, Clock& clock,
                                     std::vector<std::int32_t> partitions)
    : log_(log),
      clock_(clock),
      partitions_(std::move(partitions)),
      ask_now_(log.ExclusiveWriter()) {
  for (const std::int32_t partition : partitions_) {
    for (std::size_t i = 0; i < kPermissionTopics; ++i) {
      asked_.push_back({schemas::kInputTopics[i], partition});
    }
  }
}

PermissionHorizon::~PermissionHorizon() { Stop(); }

void PermissionHorizon::Start() {
  if (ask_now_ || thread_.joinable()) {
    return;
  }
  stop_ = false;
  thread_ = std::thread([this] {
    while (!stop_) {
      // A failure leaves the old answer, which soon is too old: the tasks hold and say so.
      static_cast<void>(Refresh().ok());
      clock_.SleepFor(kAskEvery);
    }
  });
}

void PermissionHorizon::Stop() {
  stop_ = true;
  if (thread_.joinable()) {
    thread_.join();
  }
}

Status PermissionHorizon::Refresh() {
  const auto asked_at = clock_.SinceBoot();
  ALERTSTREAM_ASSIGN_OR_RETURN(auto ends,
                               log_.Ends(asked_, log::EndKind::kUncommitted, kAskTimeout));
  const std::lock_guard lock(mutex_);
  asked_at_ = asked_at;
  ends_ = std::move(ends);
  return Status::Ok();
}

std::optional<PermissionHorizon::Snapshot> PermissionHorizon::Get(std::int32_t partition) {
  if (ask_now_ && !Refresh().ok()) {
    return std::nullopt;
  }
  const auto at = std::find(partitions_.begin(), partitions_.end(), partition);
  const std::lock_guard lock(mutex_);
  if (at == partitions_.end() || ends_.empty() || clock_.SinceBoot() - asked_at_ > kHorizonAgeMax) {
    return std::nullopt;
  }
  Snapshot snapshot{.asked_at = asked_at_};
  const auto begin = static_cast<std::size_t>(at - partitions_.begin()) * kPermissionTopics;
  std::copy_n(ends_.begin() + static_cast<std::ptrdiff_t>(begin), kPermissionTopics,
              snapshot.ends.begin());
  return snapshot;
}

}  // namespace alertstream::runtime

#include "projections/postgres/watchdog.h"

#include <sys/socket.h>

#include "processor/base/check.h"

namespace alertstream::postgres {
namespace {

// How much later than asked for a call may end.
constexpr std::chrono::milliseconds kGrain{500};

}  // namespace

Watchdog::Watchdog(Clock& clock) : clock_(clock), thread_([this] { Watch(); }) {}

Watchdog::~Watchdog() {
  {
    const std::scoped_lock lock(mutex_);
    ALERTSTREAM_CHECK(watched_.empty());
    ends_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Watchdog::Watch() {
  std::unique_lock lock(mutex_);
  while (!ends_) {
    if (watched_.empty()) {
      changed_.wait(lock);
      continue;
    }
    changed_.wait_for(lock, kGrain, [this] { return ends_; });
    const std::int64_t now_us = clock_.SinceBoot().count();
    for (Watched* watched : watched_) {
      const std::int64_t deadline_us = watched->deadline_us_.load(std::memory_order_relaxed);
      if (deadline_us != Watched::kNever && deadline_us <= now_us) {
        watched->expired_.store(true, std::memory_order_relaxed);
        watched->Disarm();
        ::shutdown(watched->socket_, SHUT_RDWR);
      }
    }
  }
}

Watchdog::Watched::Watched(Watchdog& watchdog, int socket) : watchdog_(watchdog), socket_(socket) {
  {
    const std::scoped_lock lock(watchdog_.mutex_);
    watchdog_.watched_.insert(this);
  }
  watchdog_.changed_.notify_one();
}

Watchdog::Watched::~Watched() {
  const std::scoped_lock lock(watchdog_.mutex_);
  watchdog_.watched_.erase(this);
}

void Watchdog::Watched::Arm(std::chrono::milliseconds timeout) {
  deadline_us_.store((watchdog_.clock_.SinceBoot() + timeout).count(), std::memory_order_relaxed);
}

}  // namespace alertstream::postgres

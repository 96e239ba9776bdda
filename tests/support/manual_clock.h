// ManualClock: time that moves only when a test says so, or when somebody sleeps. Thread-safe.
#pragma once

#include <chrono>
#include <mutex>

#include "processor/base/clock.h"

namespace alertstream {

class ManualClock final : public Clock {
 public:
  // 2026-11-20 12:00:00 UTC.
  static constexpr LogTime kNoon = FromMicros(1'795'176'000'000'000);

  explicit ManualClock(LogTime now = kNoon) : now_(now) {}

  LogTime Now() const override {
    const std::lock_guard lock(mutex_);
    return now_;
  }
  std::chrono::microseconds SinceBoot() const override {
    const std::lock_guard lock(mutex_);
    return since_boot_;
  }
  void SleepFor(std::chrono::milliseconds duration) override { Advance(duration); }

  // Time passes.
  void Advance(LogDuration by) {
    const std::lock_guard lock(mutex_);
    now_ += by;
    since_boot_ += by;
  }
  // Somebody sets the wall clock; no time passes.
  void Step(LogDuration by) {
    const std::lock_guard lock(mutex_);
    now_ += by;
  }

 private:
  mutable std::mutex mutex_;
  LogTime now_;
  std::chrono::microseconds since_boot_{std::chrono::hours{1}};
};

}  // namespace alertstream

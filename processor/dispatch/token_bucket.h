// TokenBucket: the pace of one provider account: so many sends a second, and a burst after a pause.
// Pure: time is given, as microseconds of any clock that never jumps. Used by AccountGates.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>

namespace alertstream::dispatch {

struct Pace {
  double per_second = 100;    // Above 0.
  std::uint32_t burst = 100;  // At least 1.

  friend bool operator==(const Pace&, const Pace&) = default;
};

class TokenBucket {
 public:
  using Time = std::chrono::microseconds;

  // Full at `now`.
  TokenBucket(const Pace& pace, Time now)
      : pace_(pace), tokens_(static_cast<double>(pace.burst)), filled_at_(now) {}

  // Takes effect from `now` on.
  void SetPace(const Pace& pace, Time now) {
    Fill(now);
    pace_ = pace;
    tokens_ = std::min(tokens_, static_cast<double>(pace_.burst));
  }

  // True: one send may start.
  bool TryTake(Time now) {
    Fill(now);
    if (now < paused_until_ || tokens_ < 1) {
      return false;
    }
    tokens_ -= 1;
    return true;
  }

  // When TryTake is worth another try; `now` or before: at once.
  Time ReadyAt(Time now) const {
    const double there = std::min(static_cast<double>(pace_.burst), tokens_ + Gain(now));
    const double missing_us = there >= 1 ? 0 : (1 - there) * 1e6 / pace_.per_second;
    return std::max(paused_until_, now + Time(static_cast<Time::rep>(std::ceil(missing_us))));
  }

  // `now` or before: it is not paused.
  Time paused_until() const { return paused_until_; }

  // The provider wants to be left alone. Never shortens a pause.
  void PauseUntil(Time until) { paused_until_ = std::max(paused_until_, until); }

 private:
  double Gain(Time now) const {
    return static_cast<double>(std::max(Time{0}, now - filled_at_).count()) * pace_.per_second /
           1e6;
  }
  void Fill(Time now) {
    tokens_ = std::min(static_cast<double>(pace_.burst), tokens_ + Gain(now));
    filled_at_ = std::max(filled_at_, now);
  }

  Pace pace_;
  double tokens_;
  Time filled_at_;
  Time paused_until_{Time::min()};
};

}  // namespace alertstream::dispatch

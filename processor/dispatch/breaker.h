// Breaker: whether a provider account is called at all. It opens after failures in a row, or when
// too many of the last results failed; then one probe at a time finds out whether it may close, in
// growing pauses. A suspended account (credentials, balance) opens it until a person, or other
// credentials, reset it. Pure: time is given. Used by AccountGates.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string_view>

#include "processor/dispatch/outcome.h"

namespace alertstream::dispatch {

struct BreakerOptions {
  std::uint32_t failures_in_row = 5;  // So many open it.
  // Or this share of the last `window` results, once there are so many.
  std::size_t window = 40;
  double failed_share = 0.5;
  std::chrono::microseconds open_min = std::chrono::seconds(1);  // The first pause; then doubled.
  std::chrono::microseconds open_max = std::chrono::seconds(60);
};

enum class CircuitState : std::uint8_t { kClosed, kHalfOpen, kOpen, kSuspended };

// "closed", "half_open", "open", "suspended": stable, in JSON and messages.
constexpr std::string_view CircuitStateName(CircuitState state) {
  switch (state) {
    case CircuitState::kClosed:
      return "closed";
    case CircuitState::kHalfOpen:
      return "half_open";
    case CircuitState::kOpen:
      return "open";
    case CircuitState::kSuspended:
      return "suspended";
  }
  return "unknown";
}

// What a result says about the account's health.
enum class HealthSignal : std::uint8_t { kHealthy, kFailed, kNeutral, kSuspended };

constexpr HealthSignal HealthSignalOf(OutcomeClass outcome) {
  constexpr auto kHealthy = HealthSignal::kHealthy;
  constexpr auto kFailed = HealthSignal::kFailed;
  // By number: unspecified, accepted, retry, throttle (asks for a pause; that is no illness),
  // ambiguous, perm_address, perm_request, opt_out, window, suspend.
  constexpr std::array<HealthSignal, v1::AttemptClass_ARRAYSIZE> kSignals = {
      HealthSignal::kNeutral,
      kHealthy,
      kFailed,
      HealthSignal::kNeutral,
      kFailed,
      kHealthy,
      kHealthy,
      kHealthy,
      kHealthy,
      HealthSignal::kSuspended};
  return kSignals[static_cast<std::size_t>(outcome)];
}

class Breaker {
 public:
  using Time = std::chrono::microseconds;

  explicit Breaker(const BreakerOptions& options) : options_(options) {}

  CircuitState state() const { return state_; }
  // True: a call may start now. While it is not closed, only the probe.
  bool Allows(Time now) const {
    return state_ == CircuitState::kClosed || (state_ == CircuitState::kOpen && now >= open_until_);
  }
  // When Allows is worth another try. REQUIRES: state() is kOpen.
  Time open_until() const { return open_until_; }

  // A call starts. True: it is the probe, and its result has to say so.
  // REQUIRES: Allows(now)
  bool OnStart() {
    if (state_ == CircuitState::kClosed) {
      return false;
    }
    state_ = CircuitState::kHalfOpen;
    return true;
  }
  // The probe was not made after all.
  void AbandonProbe() {
    if (state_ == CircuitState::kHalfOpen) {
      state_ = CircuitState::kOpen;
    }
  }

  void OnResult(HealthSignal signal, bool probe, Time now) {
    if (signal == HealthSignal::kSuspended) {
      state_ = CircuitState::kSuspended;
    } else if (state_ == CircuitState::kClosed) {
      Count(signal, now);
    } else if (state_ == CircuitState::kHalfOpen && probe) {
      if (signal == HealthSignal::kFailed) {
        Open(now);
      } else {
        Reset();  // It answers.
      }
    }
  }

  void Reset() {
    state_ = CircuitState::kClosed;
    failures_in_row_ = 0;
    opened_in_row_ = 0;
    window_.clear();
    failed_in_window_ = 0;
  }

 private:
  void Count(HealthSignal signal, Time now) {
    if (signal == HealthSignal::kNeutral) {
      return;
    }
    const bool failed = signal == HealthSignal::kFailed;
    failures_in_row_ = failed ? failures_in_row_ + 1 : 0;
    window_.push_back(failed);
    failed_in_window_ += failed ? 1 : 0;
    if (window_.size() > options_.window) {
      failed_in_window_ -= window_.front() ? 1 : 0;
      window_.pop_front();
    }
    const bool share = window_.size() == options_.window &&
                       static_cast<double>(failed_in_window_) >=
                           options_.failed_share * static_cast<double>(options_.window);
    if (failures_in_row_ >= options_.failures_in_row || share) {
      Open(now);
    }
  }

  void Open(Time now) {
    constexpr std::uint32_t kDoublingsMax = 20;  // Far above open_max; no overflow.
    const Time pause =
        options_.open_min * (std::int64_t{1} << std::min(opened_in_row_, kDoublingsMax));
    ++opened_in_row_;
    state_ = CircuitState::kOpen;
    open_until_ = now + std::min(pause, options_.open_max);
    failures_in_row_ = 0;
    window_.clear();
    failed_in_window_ = 0;
  }

  BreakerOptions options_;
  CircuitState state_ = CircuitState::kClosed;
  Time open_until_{0};
  std::uint32_t failures_in_row_ = 0;
  std::uint32_t opened_in_row_ = 0;
  std::deque<bool> window_;
  std::size_t failed_in_window_ = 0;
};

}  // namespace alertstream::dispatch

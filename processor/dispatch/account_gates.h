// AccountGates: pace and breaker of every provider account that this process sends through, shared
// by all its partitions. Other processes have their own: divide sends_per_second among them.
// Thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "processor/base/crypto.h"
#include "processor/dispatch/accounts.h"
#include "processor/dispatch/breaker.h"
#include "processor/dispatch/outcome.h"
#include "processor/dispatch/token_bucket.h"

namespace alertstream::dispatch {

struct CircuitStatus {
  std::string provider;
  std::string account;
  CircuitState state = CircuitState::kClosed;
  std::string code;  // Of the result that opened or suspended it; "" while it is closed.
  std::chrono::microseconds probe_in{};  // Until the next probe; kOpen only.
};

class AccountGates {
 public:
  using Time = std::chrono::microseconds;  // Of Clock::SinceBoot.
  // Called when an account's state changes, and for its first use; must not call back.
  using OnState =
      std::function<void(std::string_view provider, std::string_view account, CircuitState state)>;

  explicit AccountGates(const BreakerOptions& options, OnState on_state = nullptr)
      : options_(options), on_state_(std::move(on_state)) {}

  struct Admission {
    bool go = false;
    bool probe = false;    // Of a `go`: to be returned with its result.
    bool circuit = false;  // Of no `go`: it is the breaker, not the pace.
    Time retry_at{};       // Of no `go`: when to ask again; Time::max(): when a person has acted.
    Digest credentials{};  // Of a `go`: those of the call, to be returned with its result.
  };
  // Takes a place for one call, or says when there may be one. Other credentials than those that
  // the provider refused close a suspended breaker.
  Admission TryStart(const ProviderAccount& account, Time now);
  // The call that was let go is not made.
  void Abandon(const std::string& provider, const std::string& account, bool probe);
  // `credentials`: of the call's admission. That others were refused than those in use now says
  // nothing about these.
  void OnOutcome(const std::string& provider, const std::string& account, bool probe,
                 const Digest& credentials, const Outcome& outcome, Time now);

  // What is in the way of an account's next calls.
  struct Outlook {
    bool circuit = false;   // The breaker is not closed.
    Time paused{};          // So long the provider wants to be left alone.
    double per_second = 0;  // The pace; 0: nothing was sent through it yet.
  };
  Outlook OutlookOf(const std::string& provider, const std::string& account, Time now) const;

  // Closes the breaker. False: nothing was ever sent through such an account.
  bool Reset(const std::string& provider, const std::string& account);
  // By provider and account.
  std::vector<CircuitStatus> All(Time now) const;

 private:
  using Name = std::pair<std::string, std::string>;
  struct Gate {
    TokenBucket bucket;
    Breaker breaker;
    Pace pace;
    Digest credentials;
    std::string code = {};
  };
  void Report(const Name& name, CircuitState state) const;

  const BreakerOptions options_;
  const OnState on_state_;
  mutable std::mutex mutex_;  // Guards gates_.
  std::map<Name, Gate> gates_;
};

}  // namespace alertstream::dispatch

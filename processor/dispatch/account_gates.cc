#include "processor/dispatch/account_gates.h"

#include <algorithm>

namespace alertstream::dispatch {
namespace {

constexpr double kPerSecondMin = 0.001;  // A pace of 0 would divide by it.

// What the provider knows us by: a change may end a suspension.
Digest CredentialsOf(const ProviderAccount& account) {
  Sha256 hash;
  const auto add = [&](const std::string& text) {
    hash.Update(std::to_string(text.size())).Update(":").Update(text);
  };
  add(account.account_sid);
  add(account.api_key_sid);
  add(account.api_key_secret.Reveal());
  add(account.auth_tokens.empty() ? std::string() : account.auth_tokens.front().Reveal());
  add(account.base_url);
  return hash.Final();
}

}  // namespace

void AccountGates::Report(const Name& name, CircuitState state) const {
  if (on_state_) {
    on_state_(name.first, name.second, state);
  }
}

AccountGates::Admission AccountGates::TryStart(const ProviderAccount& account, Time now) {
  const Pace pace{std::max(account.sends_per_second, kPerSecondMin),
                  std::max<std::uint32_t>(account.burst, 1)};
  const Digest credentials = CredentialsOf(account);
  const std::lock_guard lock(mutex_);
  const Name name(account.provider, account.name);
  const auto [place, added] =
      gates_.try_emplace(name, Gate{TokenBucket(pace, now), Breaker(options_), pace, credentials});
  Gate& gate = place->second;
  const CircuitState before = gate.breaker.state();
  if (gate.pace != pace) {
    gate.bucket.SetPace(pace, now);
    gate.pace = pace;
  }
  if (gate.credentials != credentials) {
    gate.credentials = credentials;
    if (before == CircuitState::kSuspended) {
      gate.breaker.Reset();
    }
  }
  Admission admission;
  if (!gate.breaker.Allows(now)) {
    admission.circuit = true;
    admission.retry_at =
        gate.breaker.state() == CircuitState::kOpen ? gate.breaker.open_until() : Time::max();
  } else if (!gate.bucket.TryTake(now)) {
    admission.retry_at = gate.bucket.ReadyAt(now);
  } else {
    admission.go = true;
    admission.probe = gate.breaker.OnStart();
    admission.credentials = credentials;
  }
  if (added || gate.breaker.state() != before) {
    Report(name, gate.breaker.state());
  }
  return admission;
}

void AccountGates::Abandon(const std::string& provider, const std::string& account, bool probe) {
  const std::lock_guard lock(mutex_);
  const auto found = gates_.find({provider, account});
  if (probe && found != gates_.end()) {
    found->second.breaker.AbandonProbe();
    Report(found->first, found->second.breaker.state());
  }
}

void AccountGates::OnOutcome(const std::string& provider, const std::string& account, bool probe,
                             const Digest& credentials, const Outcome& outcome, Time now) {
  const std::lock_guard lock(mutex_);
  const auto found = gates_.find({provider, account});
  if (found == gates_.end()) {
    return;
  }
  Gate& gate = found->second;
  if (outcome.result == v1::ATTEMPT_CLASS_THROTTLE) {
    constexpr std::chrono::seconds kPauseAtLeast{1};
    gate.bucket.PauseUntil(now + outcome.retry_after.value_or(kPauseAtLeast));
  }
  const CircuitState before = gate.breaker.state();
  const HealthSignal signal = HealthSignalOf(outcome.result);
  if (signal != HealthSignal::kSuspended || gate.credentials == credentials) {
    gate.breaker.OnResult(signal, probe, now);
  } else if (probe) {
    gate.breaker.AbandonProbe();
  }
  const CircuitState after = gate.breaker.state();
  if (after != before) {
    gate.code = after == CircuitState::kClosed ? std::string() : outcome.code;
    Report(found->first, after);
  }
}

AccountGates::Outlook AccountGates::OutlookOf(const std::string& provider,
                                              const std::string& account, Time now) const {
  const std::lock_guard lock(mutex_);
  const auto found = gates_.find({provider, account});
  if (found == gates_.end()) {
    return {};
  }
  const Gate& gate = found->second;
  const Time until = gate.bucket.paused_until();
  return {.circuit = gate.breaker.state() != CircuitState::kClosed,
          .paused = until > now ? until - now : Time{0},
          .per_second = gate.pace.per_second};
}

bool AccountGates::Reset(const std::string& provider, const std::string& account) {
  const std::lock_guard lock(mutex_);
  const auto found = gates_.find({provider, account});
  if (found == gates_.end()) {
    return false;
  }
  found->second.breaker.Reset();
  found->second.code.clear();
  Report(found->first, CircuitState::kClosed);
  return true;
}

std::vector<CircuitStatus> AccountGates::All(Time now) const {
  const std::lock_guard lock(mutex_);
  std::vector<CircuitStatus> all;
  for (const auto& [name, gate] : gates_) {
    CircuitStatus status{.provider = name.first,
                         .account = name.second,
                         .state = gate.breaker.state(),
                         .code = gate.code};
    if (status.state == CircuitState::kOpen) {
      status.probe_in = std::max(Time{0}, gate.breaker.open_until() - now);
    }
    all.push_back(std::move(status));
  }
  return all;
}

}  // namespace alertstream::dispatch

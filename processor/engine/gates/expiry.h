// Gate expiry: an event older than the trigger's max_age no longer concerns anybody. An event from
// the future counts as just happened. Pure.
#pragma once

#include <algorithm>

#include "processor/engine/gates/gate.h"
#include "processor/engine/limits.h"

namespace alertstream::engine {

// Observed: the age in µs; limit: max_age in µs. Not passed has no reason: the trigger is no
// candidate any more, and an event without any is EXPIRED.
inline GateOutcome ExpiryGate(LogTime event_time, LogDuration max_age, LogTime now) {
  const LogDuration age = std::max(LogDuration::zero(), now - event_time);
  GateOutcome outcome = Passed(age.count(), max_age.count());
  outcome.passed = age <= max_age;
  return outcome;
}

}  // namespace alertstream::engine

// Gate cooldown: at least `cooldown` between two SENDs of one (recipient, channel, trigger). Pure.
#pragma once

#include "processor/engine/gates/gate.h"
#include "processor/engine/limits.h"
#include "schemas/state.pb.h"

namespace alertstream::engine {

// Observed: µs since the last SEND (-1: never); limit: the cooldown in µs. A SEND exactly
// `cooldown` ago no longer holds back.
inline GateOutcome CooldownGate(const v1::SendState& sends, LogDuration cooldown, LogTime now) {
  if (sends.sent_us_size() == 0) {
    return Passed(-1, cooldown.count());
  }
  const LogDuration since = now - FromMicros(sends.sent_us(sends.sent_us_size() - 1));
  if (since < cooldown) {
    return Suppressed(v1::REASON_COOLDOWN, since.count(), cooldown.count(),
                      SourceAt(sends.source()));
  }
  return Passed(since.count(), cooldown.count(), SourceAt(sends.source()));
}

}  // namespace alertstream::engine

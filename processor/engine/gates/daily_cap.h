// Gate daily cap: at most `cap` SENDs of one (recipient, channel, trigger) in any 24 hours. Pure.
#pragma once

#include "processor/engine/gates/gate.h"
#include "processor/engine/limits.h"
#include "schemas/state.pb.h"

namespace alertstream::engine {

// Observed: SENDs within kCapWindow; limit: the cap. cap 0: none. A SEND exactly 24 hours ago no
// longer counts, so "3 a day" allows the same minute tomorrow.
inline GateOutcome DailyCapGate(const v1::SendState& sends, std::uint32_t cap, LogTime now) {
  std::int64_t sent = 0;
  for (const std::int64_t at : sends.sent_us()) {
    sent += now - FromMicros(at) < kCapWindow ? 1 : 0;
  }
  if (cap != 0 && sent >= cap) {
    return Suppressed(v1::REASON_DAILY_CAP, sent, cap, SourceAt(sends.source()));
  }
  return Passed(sent, cap);
}

// Records a SEND at `now`: keeps what may still count, at most kDailyCapMax.
inline void RecordSend(LogTime now, v1::SendState* sends) {
  auto* sent = sends->mutable_sent_us();
  int expired = 0;
  while (expired < sent->size() && now - FromMicros(sent->Get(expired)) >= kCapWindow) {
    ++expired;
  }
  if (sent->size() - expired >= static_cast<int>(kDailyCapMax)) {
    ++expired;
  }
  if (expired > 0) {
    sent->erase(sent->begin(), sent->begin() + expired);
  }
  sent->Add(ToMicros(now));
}

}  // namespace alertstream::engine

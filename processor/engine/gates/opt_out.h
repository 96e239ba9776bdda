// Gate opt-out: an opt-out for the channel or for all of them stops every class of message. Pure.
#pragma once

#include "processor/engine/gates/gate.h"
#include "schemas/state.pb.h"

namespace alertstream::engine {

// Observed: who opted the person out (v1::OptOutBy, 0: nobody).
inline GateOutcome OptOutGate(const v1::RecipientState& recipient, v1::Channel channel) {
  for (const auto& opt_out : recipient.opt_outs()) {
    const bool covers = opt_out.channel() == channel || opt_out.channel() == v1::CHANNEL_ALL;
    if (covers && opt_out.status() == v1::OPT_OUT_STATUS_ACTIVE) {
      return Suppressed(v1::REASON_OPTED_OUT, opt_out.by(), 0, SourceAt(opt_out.source()));
    }
  }
  return Passed();
}

}  // namespace alertstream::engine

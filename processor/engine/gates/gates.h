// The gates that every (trigger, recipient, channel) passes, in their order: the one list. A pair
// stops at the first gate that does not let it pass. The gates of the event itself (schema, tenant,
// site, dedupe) and of the trigger (expiry, condition) come before and are called by events.cc.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "processor/engine/gates/consent.h"
#include "processor/engine/gates/cooldown.h"
#include "processor/engine/gates/daily_cap.h"
#include "processor/engine/gates/opt_out.h"
#include "processor/engine/gates/plan_quota.h"
#include "processor/engine/gates/recipient.h"
#include "processor/engine/gates/template.h"
#include "processor/engine/rules.h"

namespace alertstream::engine {

// State of one person as the gates need it; reused from pair to pair.
struct PairScratch {
  v1::RecipientState recipient;
  v1::SendState sends;
  RenderedMessage message;
};

struct PairContext {
  const CompiledTrigger& trigger;
  const EventView& event;
  LogTime now;
  const PlanLimit& plan;
  std::int64_t sends_this_month;
  // The recipient: `address` is normalised; if it could not be, `recipient_fault` says why.
  std::string_view address;
  RecipientToken token;
  GateOutcome recipient_outcome;
  const v1::SenderState* sender = nullptr;  // Null: none was found.
  bool sender_needed = true;                // Version 1 sent without one if none was named.
  PairScratch& scratch;
};

struct GateStep {
  v1::Gate gate;
  GateOutcome (*decide)(PairContext& pair);
};

// Recipient, channel, cooldown, consent, opt-out, daily cap, plan quota, template.
std::span<const GateStep> PairGates();

}  // namespace alertstream::engine

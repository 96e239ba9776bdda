// The bodies of the ingest door's answers, as JSON. Pure.
#pragma once

#include <string>

#include "api/ingest/idempotency_index.h"
#include "api/log/answer_watch.h"

namespace alertstream::api {

// `"id":"evt_…","accepted_at":"…","position":{"topic","partition","offset"}`, without braces.
void AppendAccepted(const IdempotencyEntry& entry, std::string* out);

// `"decisions":[…]`: what the fold made of one event. Each has id, trigger, recipient (rcp_…),
// channel, outcome, reason and notification_id, null where there is none. An event without
// decisions has one entry that says why: NO_MATCH, DUPLICATE (with duplicate_of), EXPIRED or
// DEAD_LETTER (with detail).
void AppendDecisions(const RecordAnswer& answer, std::string* out);

}  // namespace alertstream::api

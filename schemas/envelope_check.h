// What makes an Envelope acceptable on a topic: version, key, payload, required fields, known enum
// values, limits (limits.h). Pure. Used by the codec in the fold and, before they append, by the
// API and the command line, so that validity is decided in one place.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "schemas/decode_fault.h"
#include "schemas/envelope.pb.h"
#include "schemas/limits.h"
#include "schemas/topics.h"

namespace alertstream::schemas {

// The fault of a key that may not be used on `topic`: neither a tenant id, nor `_log` on an input
// topic, nor `_unrouted` on inbound-messages and delivery-receipts. `engine_version`: by the checks
// of that version, for the fold; everybody else asks for the newest.
// REQUIRES: `topic` is an input.
std::optional<DecodeFault> CheckKey(Topic topic, std::string_view key,
                                    std::uint32_t engine_version = kChecksVersion);

// The first fault of `envelope` as the value of a record on `topic` with `key`; nothing if it may
// be folded. Event data is not parsed here: the fold does that once (MalformedJson).
//
// Keys: tenant, routing_key and the record's key are the same text. `_log` carries the log-wide
// account changes: engine_activate and skip_requested on account-changes, log_marker on every input
// topic (it opens every partition). `_unrouted` carries inbound messages and receipts whose tenant
// nobody knows.
// REQUIRES: `topic` is an input.
std::optional<DecodeFault> CheckEnvelope(Topic topic, std::string_view key,
                                         const v1::Envelope& envelope,
                                         std::uint32_t engine_version = kChecksVersion);

}  // namespace alertstream::schemas

// CloudEvents 1.0 (JSON format and Kafka binding) to Envelope. Pure. Used by the codec of inputs
// and by the decoder of event lines.
//
// Taken over: id, source, type, time, data, and the extensions site, idempotencykey, traceparent
// and tracestate. The rest is ignored and not stored: `subject` may name a person. The event data
// must be JSON. Trust is always TRUST_KAFKA. A traceparent that W3C calls invalid starts a new
// trace instead of refusing the event.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "schemas/decode_fault.h"
#include "schemas/envelope.pb.h"
#include "schemas/json.h"
#include "schemas/record.h"

namespace alertstream::schemas {

// True for application/json and every media type whose subtype is json or ends in +json; parameters
// are allowed.
bool IsJsonMediaType(std::string_view content_type);

// The value of the only header of this name (case-insensitive); nothing if there is none or it
// occurs more than once (`*repeated` says so).
std::optional<std::string_view> FindHeader(std::span<const HeaderView> headers,
                                           std::string_view name, bool* repeated);

// Structured mode: `event` is the whole event. Its data becomes compact JSON.
// All of these add to an empty `envelope`; the limits on fields are CheckEnvelope's.
std::optional<DecodeFault> DecodeCloudEvent(JsonValue event, std::string_view tenant,
                                            v1::Envelope* envelope);
// The same from bytes.
std::optional<DecodeFault> DecodeStructuredCloudEvent(std::string_view value,
                                                      std::string_view tenant,
                                                      v1::Envelope* envelope);
// Binary mode: attributes are headers `ce_...`, the record's value is the data, kept as it is.
std::optional<DecodeFault> DecodeBinaryCloudEvent(const RecordView& record, v1::Envelope* envelope);

}  // namespace alertstream::schemas

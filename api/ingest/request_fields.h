// Header fields of an ingest request, read strictly. Pure. Used by the ingest door.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "api/http/message.h"
#include "processor/base/result.h"
#include "schemas/common.pb.h"

namespace alertstream::api {

inline constexpr std::size_t kIdempotencyKeyHeaderBytesMax = 255;
// The longest that `Prefer: wait` may ask for: a parked request takes a place of a limited number.
inline constexpr std::chrono::seconds kPreferredWaitMax{10};

// The key of `Idempotency-Key`: a string of structured fields (RFC 8941, section 3.3.3), or the
// same without quotes if it holds nothing but token characters, ':' and '/'. Nothing if there is no
// such field. kInvalid: malformed, empty, too long, or given more than once.
Result<std::optional<std::string>> IdempotencyKeyField(const http::Headers& headers);

// The seconds of `Prefer: wait=N` (RFC 7240), cut to kPreferredWaitMax; 0 without such a
// preference. A malformed one is no preference, as the RFC has it.
std::chrono::seconds PreferredWait(const http::Headers& headers);

// The caller's trace (W3C trace context). Nothing unless there is exactly one traceparent and it is
// valid; one of a later version is taken as version 00, which its first fields are. A tracestate
// that is too long is left out.
std::optional<v1::TraceContext> TraceOf(const http::Headers& headers);

// The value of a CloudEvents attribute in the HTTP binding (section 3.1.3.2): without quotes and
// percent escapes. Nothing if they are malformed or the result is not UTF-8.
std::optional<std::string> CloudEventsFieldValue(std::string_view value);

}  // namespace alertstream::api

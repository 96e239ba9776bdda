// The codec of input records: bytes of a record to Envelope, and back. Pure: the outcome depends on
// the arguments alone, so that a record refused once is refused in every replay. Used in the fold,
// and at the edge before anything is appended. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "processor/base/result.h"
#include "schemas/decode_fault.h"
#include "schemas/envelope.pb.h"
#include "schemas/limits.h"
#include "schemas/record.h"
#include "schemas/topics.h"

namespace alertstream::schemas {

// Decodes the value of `record`, read from input topic `topic`, into `envelope` (cleared first; it
// may live on an arena) and checks it (envelope_check.h). Nothing on success; otherwise what the
// record's dead letter says, and `envelope` holds whatever had been decoded by then.
// `engine_version`: by the checks of that version.
//
// Every input topic carries Envelopes. site-events carries CloudEvents 1.0 as well:
//   content-type begins with application/cloudevents   structured, JSON only
//   header ce_specversion                              binary
//   no content-type, value begins with '{'             structured
//   anything else                                      an Envelope
// REQUIRES: `topic` is an input.
std::optional<DecodeFault> DecodeInput(Topic topic, const RecordView& record,
                                       v1::Envelope* envelope,
                                       std::uint32_t engine_version = kChecksVersion);

// The bytes of `envelope`, the same for equal messages. kInvalid if they exceed the limit on an
// input record.
Result<std::string> EncodeEnvelope(const v1::Envelope& envelope);

}  // namespace alertstream::schemas

// Why a record is no input of ours: what its dead letter will say. Pure vocabulary of the codec.
#pragma once

#include <string>

#include "processor/base/result.h"
#include "schemas/output.pb.h"

namespace alertstream::schemas {

struct DecodeFault {
  v1::DeadLetterStage stage;
  v1::DeadLetterReason reason;
  std::string detail;  // Which field, which limit or what was expected; never a value.
};

// The fault of bytes that break the JSON profile; `error` is the profile's own (json.h). Stage
// DECODE for the record's value, SCHEMA for the data inside a decoded Envelope.
inline DecodeFault MalformedJson(v1::DeadLetterStage stage, const Error& error) {
  return {stage, v1::DEAD_LETTER_REASON_MALFORMED_JSON, error.message()};
}

}  // namespace alertstream::schemas

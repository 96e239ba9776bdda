// Dead letters: a record that could not be processed, with its exact bytes and the reason. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "processor/base/time.h"
#include "processor/engine/effects.h"
#include "schemas/decode_fault.h"
#include "schemas/record.h"
#include "schemas/topics.h"

namespace alertstream::engine {

struct DeadLetterCause {
  schemas::Topic topic{};
  std::uint32_t partition = 0;
  const schemas::RecordView& record;
  const schemas::DecodeFault& fault;
  std::string_view tenant = {};      // Empty if not known.
  std::string_view event_type = {};  // Empty if not known.
  LogTime now;
  std::string_view retry_of = {};  // The dead letter whose retry the record is.
};

// Adds the dead letter to `effects`. The bytes of a record that is TOO_LARGE are not repeated:
// inputs are never deleted, and the letter says where the record lies.
void AddDeadLetter(const DeadLetterCause& cause, Effects* effects);

}  // namespace alertstream::engine

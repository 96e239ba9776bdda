// What a gate answers. A gate is a pure function in a file of its own; the one list of them, in
// their order, is gates.h.
#pragma once

#include <cstdint>

#include "schemas/decision.pb.h"
#include "schemas/topics.h"

namespace alertstream::engine {

// The record that holds the fact that decided; topic 0: there is none.
struct SourceRef {
  std::uint32_t topic = 0;
  std::uint32_t partition = 0;
  std::int64_t offset = 0;
};

inline SourceRef SourceAt(schemas::Topic topic, std::uint32_t partition, std::int64_t offset) {
  return SourceRef{static_cast<std::uint32_t>(topic), partition, offset};
}

inline SourceRef SourceAt(const v1::Position& position) {
  return SourceRef{position.topic(), position.partition(), position.offset()};
}

struct GateOutcome {
  bool passed = true;
  v1::Outcome outcome = v1::OUTCOME_UNSPECIFIED;  // SUPPRESS or FAIL, if not passed.
  v1::Reason reason = v1::REASON_UNSPECIFIED;
  std::int64_t observed = 0;
  std::int64_t limit = 0;
  SourceRef source;
};

inline GateOutcome Passed(std::int64_t observed = 0, std::int64_t limit = 0,
                          SourceRef source = {}) {
  return GateOutcome{.observed = observed, .limit = limit, .source = source};
}

inline GateOutcome Suppressed(v1::Reason reason, std::int64_t observed = 0, std::int64_t limit = 0,
                              SourceRef source = {}) {
  return GateOutcome{.passed = false,
                     .outcome = v1::OUTCOME_SUPPRESS,
                     .reason = reason,
                     .observed = observed,
                     .limit = limit,
                     .source = source};
}

inline GateOutcome Failed(v1::Reason reason, std::int64_t observed = 0, std::int64_t limit = 0) {
  return GateOutcome{.passed = false,
                     .outcome = v1::OUTCOME_FAIL,
                     .reason = reason,
                     .observed = observed,
                     .limit = limit};
}

}  // namespace alertstream::engine

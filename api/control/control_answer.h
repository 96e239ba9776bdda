// The bodies of the control endpoint's answers, as JSON. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "api/control/control_request.h"
#include "api/log/answer_watch.h"

namespace alertstream::api {

// What became of one item of a request.
struct ControlOutcome {
  // Of the rule, if the item found it as it asks for it to be.
  std::optional<std::uint64_t> unchanged_version;
  std::optional<AppendedPosition> position;  // Of its first record.
  std::vector<RecordAnswer> answers;         // Of its records; empty: not known yet.
};

// {"results":[{"status","kind","id","version","reason","detail","position"}]}, in the order of
// `items`. status: accepted, rejected, unchanged, or pending if there is no answer yet; null where
// there is nothing to say. An event has the id evt_…, and in `detail` its verdict.
std::string ControlAnswer(std::span<const ControlItem> items,
                          std::span<const ControlOutcome> outcomes);

}  // namespace alertstream::api

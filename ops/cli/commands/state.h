// `state diff`: two states of the same partitions compared to the key, from their directories and
// without a log. Keys are shown decoded and values by what differs, never by what they are: a state
// knows people as tokens only, but templates and texts are nobody's business here.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "ops/cli/commands/session.h"
#include "ops/cli/exit_code.h"
#include "processor/state/state_store.h"

namespace alertstream::cli {

// Opens the state in a directory, for reading.
using OpenStateIn =
    std::function<Result<std::unique_ptr<state::StateStore>>(const std::string& directory)>;

struct StateDiffOptions {
  // Each a partition's state, or a directory of them named 0, 1, ...; both of the same form.
  std::string left;
  std::string right;
  std::size_t rows_max = 100;  // Differing keys that are shown; all are counted.
};

// One merge over both. kMismatch (exit code): they differ, or one of them is not what its own root
// says. kNotFound: a directory holds no state.
Result<ExitCode> StateDiff(const Streams& io, const StateDiffOptions& options,
                           const OpenStateIn& open);

// "acme trigger paid", "acme sends rcp_... sms paid": the table's name and what the key is made of.
std::string StateKeyText(std::string_view key);

}  // namespace alertstream::cli

// `audit verify`: decides all of history again in scratch stores and compares it bit for bit with
// what was recorded. A library function over the ports of a session.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "ops/cli/commands/session.h"
#include "processor/state/state_store.h"

namespace alertstream::cli {

// Partitions verified at the same time: each takes a core and a cache.
inline constexpr std::size_t kAuditThreadsMax = 2;

using OpenScratchStore =
    std::function<Result<std::unique_ptr<state::StateStore>>(std::int32_t partition)>;

// {"batches","records","decisions","mismatches","elapsed_s","records_per_s"} as json; kMismatch if
// a partition does not come out the same, each with its place and kind. `open_store` is called from
// several threads.
Result<ExitCode> AuditVerify(const Session& session, const OpenScratchStore& open_store);

}  // namespace alertstream::cli

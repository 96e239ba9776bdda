// `processor takeover`: orders an instance that stands by to own partitions, and waits until it
// does. The order is a record on `ownership` (processor/runtime/lease_book.h): whoever may write
// there, which the log's access lists decide, may give it. Library functions over the ports of a
// session.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ops/cli/commands/session.h"

namespace alertstream::cli {

// Who works on a partition and who stands by: whose newest record there is not older than a lease,
// compared with the newest of all.
struct Standing {
  std::string owner;                  // Whose lease is live; "": nobody's.
  std::vector<std::string> standbys;  // By name.
};
Result<Standing> ReadStanding(const Session& session, std::int32_t partition);

struct TakeOverOptions {
  std::vector<std::int32_t> partitions;  // Empty: all.
  std::string to;                        // The instance; "": the only one that stands by.
};
// A row for each partition: who had it, who has it, since when. kInvalid: a local log, or it is not
// clear which instance is meant. kNotFound: nobody stands by. kTimeout (exit code): not all of them
// were taken over in session.ask_timeout; the order is void a minute after it was given.
Result<ExitCode> TakeOver(const Session& session, const TakeOverOptions& options);

}  // namespace alertstream::cli

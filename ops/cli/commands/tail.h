// `tail`: outputs as they are decided, through the journal, so that only what is committed and
// whole is shown. A library function over the ports of a session.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "ops/cli/commands/session.h"

namespace alertstream::cli {

// After this much silence a line on io.err says that the tail still lives.
inline constexpr std::chrono::seconds kHeartbeatEvery{15};

struct TailOptions {
  schemas::Topic topic = schemas::Topic::kDecisions;  // An output, or the journal.
  bool from_beginning = false;
  bool follow = true;
  std::uint64_t records_max = 0;  // 0: no limit.
};

// The word of the command line for the topic: decisions, commands, facts, journal, dead-letters.
Result<schemas::Topic> TailTopic(std::string_view word);

Result<ExitCode> Tail(const Session& session, const TailOptions& options);

}  // namespace alertstream::cli

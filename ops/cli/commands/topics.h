// `topics plan|apply|status`, `topic dump|stats`: the topics of the log and what lies in them.
// Library functions over ports.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "ops/cli/commands/session.h"

namespace alertstream::cli {

// What `topics apply` would do. kWarnings is never returned: a difference is no failure of the
// plan.
Result<ExitCode> TopicsPlan(log::EventLog& log, const log::TopicPlan& plan,
                            std::chrono::milliseconds timeout, const Streams& io);
// Creates and mends, then writes the markers that are missing.
Result<ExitCode> TopicsApply(log::EventLog& log, const HmacKey& token_key,
                             const log::TopicPlan& plan, std::chrono::milliseconds timeout,
                             const Streams& io);
// kNotFound if a topic is missing, kFailed if a setting is wrong.
Result<ExitCode> TopicsStatus(log::EventLog& log, std::chrono::milliseconds timeout,
                              const Streams& io);

struct TopicDumpOptions {
  schemas::Topic topic = schemas::Topic::kSiteEvents;
  std::optional<std::int32_t> partition;  // Nothing: all.
  std::int64_t offset = 0;                // The first one.
  std::uint64_t records_max = 0;          // 0: all that there are.
  bool show_personal = false;
};

// Every committed record as one JSON object a line, whatever the format: it is for programs.
Result<ExitCode> TopicDump(const Session& session, const TopicDumpOptions& options);
// Records and last append time of every partition of every topic.
Result<ExitCode> TopicStats(const Session& session);

}  // namespace alertstream::cli

// `tail`: outputs as they are decided, through the journal, so that only what is committed and
// whole is shown. A library function over the ports of a session.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ops/cli/commands/session.h"
#include "schemas/common.pb.h"
#include "schemas/decision.pb.h"

namespace alertstream::cli {

// After this much silence a line on io.err says that the tail still lives.
inline constexpr std::chrono::seconds kHeartbeatEvery{15};

// Where a tail begins. Except for kEnd everything is read through the journal from its beginning,
// and what lies before is left out.
struct TailFrom {
  enum class Kind : std::uint8_t { kBeginning, kEnd, kOffset, kTime };
  Kind kind = Kind::kEnd;
  std::int64_t offset = 0;  // kOffset: the first one of the topic, in each partition.
  LogTime time{};           // kTime: the first batch that was decided then or later.
};
// "beginning" or "earliest", "end" or "latest", an offset, or an RFC 3339 time.
Result<TailFrom> ParseTailFrom(std::string_view text);

// What a record must have to be shown; unset: anything. A decision record is shown if one of its
// decisions has all of it.
struct TailFilter {
  std::string trigger;                 // Decisions and commands.
  std::optional<v1::Channel> channel;  // Decisions and commands.
  std::optional<v1::Outcome> outcome;  // Decisions.
  std::string reason;                  // Decisions and dead letters: the word of its reason.
};

struct TailOptions {
  schemas::Topic topic = schemas::Topic::kDecisions;  // An output, or the journal.
  TailFrom from = {};
  bool follow = true;
  std::uint64_t records_max = 0;           // 0: no limit.
  std::optional<std::int32_t> partition;   // Nothing: all.
  std::optional<LogDuration> silence_max;  // Ends with kTimeout after this long without a record.
  TailFilter filter = {};
};

// The word of the command line for the topic: decisions, commands, facts, journal, dead-letters.
Result<schemas::Topic> TailTopic(std::string_view word);

// kInvalid: the filter asks for what records of the topic do not have.
Status CheckTailFilter(schemas::Topic topic, const TailFilter& filter);

// kNotFound: there is no such partition.
Result<ExitCode> Tail(const Session& session, const TailOptions& options);

}  // namespace alertstream::cli

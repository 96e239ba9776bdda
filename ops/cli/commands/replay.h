// `replay run`, and the state of the past that `explain --at` and `consent show --at` read: history
// decided again, root by root compared, up to a time or a position. Nothing is sent, and nothing is
// written to the log. Library functions over the ports of a session.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "ops/cli/commands/session.h"
#include "processor/runtime/replayer.h"
#include "processor/state/state_store.h"
#include "schemas/state.pb.h"

namespace alertstream::cli {

struct ReplayUntil {
  std::optional<LogTime> at;             // The last batch whose time is not later.
  std::optional<std::int64_t> position;  // The last journal record at or before this offset.
};

// Opens or makes the state of a partition.
using OpenStateOf = std::function<Result<std::unique_ptr<state::StateStore>>(std::int32_t)>;

struct Replayed {
  std::uint64_t seq = 0;  // 0: nothing was decided by then.
  LogTime now{};
  std::int64_t journal_offset = 0;
  std::string state_root;  // 16 bytes.
  runtime::ReplayProgress progress;
};

// Goes on from what `store` holds; progress goes to the session's err. kConflict: the store stands
// later than `until`, or belongs to another log.
Result<Replayed> ReplayPartition(const Session& session, std::int32_t partition,
                                 state::StateStore& store, const ReplayUntil& until);

struct ReplayRunOptions {
  std::string directory;                  // For messages.
  std::optional<std::int32_t> partition;  // Nothing: all.
  ReplayUntil until;
};
// A row for each partition; as json objects with "partition","seq","time","position","state_root",
// "batches","records".
Result<ExitCode> ReplayRun(const Session& session, const ReplayRunOptions& options,
                           const OpenStateOf& open_store);

// The state of one partition as it was.
struct PastState {
  std::unique_ptr<state::StateStore> store;
  std::uint64_t seq = 0;
  LogTime now{};
};
struct PastOptions {
  std::optional<LogTime> at;  // Nothing: all that `directory` holds.
  OpenStateOf open_replayed;  // What `replay run` made; empty: history is replayed up to `at`.
  OpenStateOf open_scratch;
  bool wanted() const { return at.has_value() || open_replayed != nullptr; }
};
// kConflict: what was replayed stands later than `at`, or is of another log.
Result<PastState> OpenPast(const Session& session, std::int32_t partition,
                           const PastOptions& options);
// What the state has of a person; an empty one if it has nothing.
Result<v1::RecipientState> RecipientThen(const PastState& past, const std::string& tenant,
                                         const std::string& token);

}  // namespace alertstream::cli

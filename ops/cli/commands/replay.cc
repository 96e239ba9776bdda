#include "ops/cli/commands/replay.h"

#include <ostream>
#include <utility>

#include <fmt/format.h>

#include "ops/cli/commands/progress_file.h"
#include "ops/cli/words.h"
#include "processor/base/rfc3339.h"
#include "processor/engine/state_keys.h"
#include "processor/runtime/partition_state.h"

namespace alertstream::cli {
namespace {

constexpr std::chrono::seconds kTellEvery{2};
constexpr std::size_t kCacheBytes = std::size_t{128} << 20U;

runtime::PartitionConfig ConfigOf(const Session& session, std::int32_t partition) {
  return {.log_id = session.identity.log_id,
          .fold = {.token_key = session.token_key,
                   .partition = partition,
                   .partitions = session.identity.partitions},
          .cache_bytes = kCacheBytes,
          .scratch = true};
}

Status CheckNotLater(std::int32_t partition, const journal::Tail& tail, const ReplayUntil& until) {
  const bool later = (until.at && tail.seq > 0 && tail.now > *until.at) ||
                     (until.position && tail.seq > 0 && tail.offset > *until.position);
  if (!later) {
    return Status::Ok();
  }
  return Error(ErrorCode::kConflict,
               fmt::format("the state of partition {} stands at {}, later than what was asked for; "
                           "a state does not go back: use another directory",
                           partition, FormatRfc3339(tail.now)));
}

}  // namespace

Result<Replayed> ReplayPartition(const Session& session, std::int32_t partition,
                                 state::StateStore& store, const ReplayUntil& until) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto state,
                               runtime::PartitionState::Open(ConfigOf(session, partition), store));
  ALERTSTREAM_RETURN_IF_ERROR(CheckNotLater(partition, state->tail(), until));
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto replayer,
      runtime::Replayer::Open(session.log, *state,
                              {.cancelled = [&] { return session.Interrupted(); },
                               .now_max = until.at,
                               .offset_max = until.position}));
  runtime::ProgressMeter meter(session.clock);
  auto told = session.clock.SinceBoot();
  ALERTSTREAM_RETURN_IF_ERROR(replayer->CatchUp([&](std::int64_t at, std::int64_t end) {
    if (session.clock.SinceBoot() - told < kTellEvery) {
      return;
    }
    told = session.clock.SinceBoot();
    const auto progress = meter.At(static_cast<std::uint64_t>(at), static_cast<std::uint64_t>(end));
    session.io.err << fmt::format("partition {}: {}; no notifications will be sent\n", partition,
                                  ProgressText("replaying the journal", progress));
  }));
  ALERTSTREAM_RETURN_IF_ERROR(state->Flush());
  return Replayed{.seq = state->tail().seq,
                  .now = state->tail().now,
                  .journal_offset = state->tail().offset,
                  .state_root = state->map_root().ToBytes(),
                  .progress = replayer->progress()};
}

Result<ExitCode> ReplayRun(const Session& session, const ReplayRunOptions& options,
                           const OpenStateOf& open_store) {
  if (options.partition && *options.partition >= session.identity.partitions) {
    return Error(ErrorCode::kInvalid,
                 fmt::format("partition {}: the log has partitions 0 to {}", *options.partition,
                             session.identity.partitions - 1));
  }
  session.io.err << fmt::format(
      "replaying into {}: no notifications will be sent, nothing is written to the log\n",
      options.directory);
  Table table({{.key = "partition", .right = true},
               {.key = "seq", .right = true},
               {.key = "time"},
               {.key = "position"},
               {.key = "state_root"},
               {.key = "batches", .right = true},
               {.key = "records", .right = true}});
  for (std::int32_t partition = 0; partition < session.identity.partitions; ++partition) {
    if (options.partition && *options.partition != partition) {
      continue;
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto store, open_store(partition));
    ALERTSTREAM_ASSIGN_OR_RETURN(const Replayed replayed,
                                 ReplayPartition(session, partition, *store, options.until));
    const bool empty = replayed.seq == 0;
    table.Add({{static_cast<std::int64_t>(partition)},
               {static_cast<std::int64_t>(replayed.seq)},
               {empty ? Cell::Value(Absent{}) : Cell::Value(replayed.now)},
               {empty ? Cell::Value(Absent{})
                      : Cell::Value(PositionText(
                            static_cast<std::uint32_t>(schemas::Topic::kJournal),
                            static_cast<std::uint32_t>(partition), replayed.journal_offset))},
               {ToHex(replayed.state_root)},
               {static_cast<std::int64_t>(replayed.progress.batches)},
               {static_cast<std::int64_t>(replayed.progress.records)}});
  }
  ALERTSTREAM_RETURN_IF_ERROR(Print(session.io, table));
  return ExitCode::kOk;
}

Result<PastState> OpenPast(const Session& session, std::int32_t partition,
                           const PastOptions& options) {
  PastState past;
  if (options.open_replayed == nullptr) {
    ALERTSTREAM_ASSIGN_OR_RETURN(past.store, options.open_scratch(partition));
    ALERTSTREAM_ASSIGN_OR_RETURN(
        const Replayed replayed,
        ReplayPartition(session, partition, *past.store, {.at = options.at}));
    past.seq = replayed.seq;
    past.now = replayed.now;
    return past;
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(past.store, options.open_replayed(partition));
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto state, runtime::PartitionState::Open(ConfigOf(session, partition), *past.store));
  ALERTSTREAM_RETURN_IF_ERROR(CheckNotLater(partition, state->tail(), {.at = options.at}));
  past.seq = state->tail().seq;
  past.now = state->tail().now;
  return past;
}

Result<v1::RecipientState> RecipientThen(const PastState& past, const std::string& tenant,
                                         const std::string& token) {
  v1::RecipientState person;
  std::string bytes;
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const bool found,
      past.store->Get(engine::StateKey(tenant, engine::Table::kRecipient).Bytes(token), &bytes));
  if (found && !person.ParseFromString(bytes)) {
    return Error(ErrorCode::kCorrupt, "what the state holds of this person cannot be decoded");
  }
  return person;
}

}  // namespace alertstream::cli

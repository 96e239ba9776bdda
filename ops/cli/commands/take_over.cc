#include "ops/cli/commands/take_over.h"

#include <algorithm>
#include <map>
#include <ostream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ops/cli/commands/raw_records.h"
#include "processor/runtime/lease_book.h"
#include "schemas/envelope.pb.h"
#include "schemas/journal.pb.h"

namespace alertstream::cli {
namespace {

using schemas::Topic;

// Of a few instances, each twice a second, for as long as a lease lives.
constexpr std::size_t kRecordsLookedAt = 128;
constexpr std::size_t kJournalLookedAt = 64;
constexpr std::chrono::milliseconds kPause{100};
// By this machine's clock, which may be wrong: nobody has written for so long, so nobody is there.
constexpr std::chrono::minutes kSilenceMax{1};

// One partition that is being taken over.
struct Move {
  std::int32_t partition = 0;
  std::string from;
  std::string to;
  std::uint64_t epoch = 0;  // That is to end.
  std::uint64_t now = 0;    // That the journal shows; above `epoch`: it is done.
  double seconds = 0;
};

// The owner epoch at the end of the journal.
Result<std::uint64_t> ReadEpoch(const Session& session, std::int32_t partition) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto tail,
                               ReadLast(session, {Topic::kJournal, partition}, kJournalLookedAt));
  std::uint64_t epoch = 0;
  for (const OwnedRecord& record : tail.records) {
    v1::JournalRecord journal;
    if (record.offset > 0 && journal.ParseFromString(record.value)) {
      epoch = std::max(epoch, journal.owner_epoch());
    }
  }
  return epoch;
}

Result<std::string> ChooseStandby(const Standing& standing, std::int32_t partition,
                                  const std::string& wanted) {
  const auto& standbys = standing.standbys;
  if (standbys.empty()) {
    return Error(ErrorCode::kNotFound,
                 fmt::format("nobody stands by for partition {}; start one: alertstream serve "
                             "--target=processor --standby --instance NAME",
                             partition));
  }
  if (!wanted.empty()) {
    if (std::find(standbys.begin(), standbys.end(), wanted) == standbys.end()) {
      return Error(ErrorCode::kNotFound,
                   fmt::format("instance '{}' does not stand by for partition {}; those that do: "
                               "{}",
                               wanted, partition, fmt::join(standbys, ", ")));
    }
    return wanted;
  }
  if (standbys.size() > 1) {
    return Error(ErrorCode::kInvalid,
                 fmt::format("several instances stand by for partition {}: {}; name one with --to",
                             partition, fmt::join(standbys, ", ")));
  }
  return standbys.front();
}

Result<std::vector<Move>> Plan(const Session& session, const TakeOverOptions& options) {
  std::vector<std::int32_t> partitions = options.partitions;
  for (std::int32_t p = 0; options.partitions.empty() && p < session.identity.partitions; ++p) {
    partitions.push_back(p);
  }
  std::vector<Move> moves;
  for (const std::int32_t partition : partitions) {
    if (partition >= session.identity.partitions) {
      return Error(ErrorCode::kInvalid, fmt::format("partition {}: the log has partitions 0 to {}",
                                                    partition, session.identity.partitions - 1));
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(const Standing standing, ReadStanding(session, partition));
    Move move{.partition = partition, .from = standing.owner, .to = {}};
    ALERTSTREAM_ASSIGN_OR_RETURN(move.to, ChooseStandby(standing, partition, options.to));
    ALERTSTREAM_ASSIGN_OR_RETURN(move.epoch, ReadEpoch(session, partition));
    moves.push_back(std::move(move));
  }
  return moves;
}

Status Order(const Session& session, const std::vector<Move>& moves) {
  std::vector<std::string> bytes;
  for (const Move& move : moves) {
    v1::Lease order;
    order.set_partition(static_cast<std::uint32_t>(move.partition));
    order.set_instance(move.to);
    order.set_owner_epoch(move.epoch);
    order.set_released(true);
    order.set_at_us(ToMicros(session.clock.Now()));
    bytes.push_back(order.SerializeAsString());
  }
  std::vector<log::NewRecord> records;
  for (std::size_t i = 0; i < moves.size(); ++i) {
    records.push_back({Topic::kOwnership, moves[i].partition, runtime::kTakeOverKey, bytes[i]});
  }
  ALERTSTREAM_RETURN_IF_ERROR(session.log.Append(records, session.ask_timeout));
  return Status::Ok();
}

}  // namespace

Result<Standing> ReadStanding(const Session& session, std::int32_t partition) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto tail,
                               ReadLast(session, {Topic::kOwnership, partition}, kRecordsLookedAt));
  std::map<std::string, LogTime> owners;
  std::map<std::string, LogTime> standbys;
  LogTime log_now{};
  for (const OwnedRecord& record : tail.records) {
    log_now = record.append_time;
    v1::Lease lease;
    if (record.offset == 0 || record.key == runtime::kTakeOverKey ||
        !lease.ParseFromString(record.value)) {
      continue;
    }
    if (record.key == runtime::kStandbyKey) {
      standbys[lease.instance()] = record.append_time;
      continue;
    }
    owners.erase(lease.instance());
    if (!lease.released()) {
      owners[lease.instance()] = record.append_time;
      standbys.erase(lease.instance());
    }
  }
  // Records are compared with the newest one: by the log's clock, as instances do.
  const bool silent = session.clock.Now() - log_now > kSilenceMax;
  const auto is_live = [&](LogTime at) { return !silent && log_now - at < runtime::kLeaseLive; };
  Standing standing;
  LogTime newest{};
  for (const auto& [instance, at] : owners) {
    if (is_live(at) && at >= newest) {
      newest = at;
      standing.owner = instance;
    }
  }
  for (const auto& [instance, at] : standbys) {
    if (is_live(at)) {
      standing.standbys.push_back(instance);
    }
  }
  return standing;
}

Result<ExitCode> TakeOver(const Session& session, const TakeOverOptions& options) {
  if (session.log.ExclusiveWriter()) {
    return Error(ErrorCode::kInvalid,
                 "a local log belongs to one process, so nobody can stand by for it or take it "
                 "over: stop that process and start another, or put the log on Kafka");
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(auto moves, Plan(session, options));
  ALERTSTREAM_RETURN_IF_ERROR(Order(session, moves));
  const auto began = session.clock.SinceBoot();
  std::size_t left = moves.size();
  while (left > 0 && !session.Interrupted() &&
         session.clock.SinceBoot() - began < session.ask_timeout) {
    session.clock.SleepFor(kPause);
    for (Move& move : moves) {
      if (move.now > move.epoch) {
        continue;
      }
      ALERTSTREAM_ASSIGN_OR_RETURN(move.now, ReadEpoch(session, move.partition));
      if (move.now > move.epoch) {
        --left;
        move.seconds = static_cast<double>((session.clock.SinceBoot() - began).count()) / 1e6;
      }
    }
  }
  cli::Table table({{.key = "partition", .right = true},
                    {.key = "from"},
                    {.key = "to"},
                    {.key = "epoch", .right = true},
                    {.key = "seconds", .right = true},
                    {.key = "result"}});
  for (const Move& move : moves) {
    const bool done = move.now > move.epoch;
    table.Add({{static_cast<std::int64_t>(move.partition)},
               {move.from.empty() ? Cell::Value(Absent{}) : Cell::Value(move.from)},
               {move.to},
               {static_cast<std::int64_t>(done ? move.now : move.epoch)},
               {done ? Cell::Value(move.seconds) : Cell::Value(Absent{})},
               {std::string(done ? "taken over" : "not yet"),
                done ? CellStyle::kGood : CellStyle::kBad}});
  }
  ALERTSTREAM_RETURN_IF_ERROR(Print(session.io, table));
  if (left > 0) {
    session.io.err << "not all were taken over in time; the order is void a minute after it was "
                      "given\n";
    return session.Interrupted() ? ExitCode::kInterrupted : ExitCode::kTimeout;
  }
  return ExitCode::kOk;
}

}  // namespace alertstream::cli

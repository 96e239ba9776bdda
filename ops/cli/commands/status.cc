#include "ops/cli/commands/status.h"

#include <algorithm>
#include <filesystem>
#include <ostream>
#include <system_error>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ops/cli/commands/raw_records.h"
#include "ops/cli/commands/take_over.h"
#include "ops/cli/json_object.h"
#include "ops/cli/words.h"
#include "processor/runtime/log_time.h"
#include "schemas/envelope.pb.h"
#include "schemas/journal.pb.h"

namespace alertstream::cli {
namespace {

using schemas::Topic;

// Journal records looked at to find where site events stand.
constexpr std::size_t kJournalLookedAt = 256;
constexpr std::size_t kLeasesLookedAt = 64;
constexpr std::uint64_t kDiskFreeWarn = std::uint64_t{1} << 30U;
constexpr std::uint64_t kDiskFreeFail = std::uint64_t{256} << 20U;
constexpr std::string_view kProbeInstance = "doctor";

struct PartitionView {
  v1::JournalRecord last;  // seq 0: there is none.
  std::optional<std::int64_t> events_next;
};

Result<PartitionView> ViewJournal(const Session& session, std::int32_t partition) {
  PartitionView view;
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto tail,
                               ReadLast(session, {Topic::kJournal, partition}, kJournalLookedAt));
  for (const OwnedRecord& record : tail.records) {
    v1::JournalRecord journal;
    if (record.key == schemas::kLogKey && record.offset == 0) {
      continue;
    }
    if (!journal.ParseFromString(record.value)) {
      return Error(ErrorCode::kCorrupt,
                   fmt::format("journal@{}:{} is no journal record", partition, record.offset));
    }
    for (const auto& input : journal.inputs()) {
      if (input.topic() == static_cast<std::uint32_t>(Topic::kSiteEvents)) {
        view.events_next = input.next();
      }
    }
    view.last = std::move(journal);
  }
  if (!view.events_next && tail.records.size() < kJournalLookedAt) {
    view.events_next = 0;
  }
  return view;
}

// Append time of the first event that is not decided; nothing if all are.
Result<std::optional<LogTime>> OldestUndecided(const Session& session, std::int32_t partition,
                                               std::int64_t next) {
  std::optional<LogTime> oldest;
  ALERTSTREAM_RETURN_IF_ERROR(ForEachRecord(session, {Topic::kSiteEvents, partition}, next,
                                            [&](const log::RecordView& record) -> Result<bool> {
                                              if (record.key == schemas::kLogKey) {
                                                return true;
                                              }
                                              oldest = record.append_time;
                                              return false;
                                            }));
  return oldest;
}

// "consent-changes/3/88213" if that record stops the partition. The first crash may have been
// another record's doing, and site events are skipped without being asked.
std::string StoppedBy(const std::optional<runtime::CrashMarker::Suspect>& suspect,
                      std::int32_t partition) {
  if (!suspect || suspect->crashes < 2 || suspect->topic == Topic::kSiteEvents) {
    return "";
  }
  return fmt::format("{}/{}/{}", schemas::NameOf(suspect->topic), partition, suspect->offset);
}

std::string_view WordOfCheck(CheckResult result) {
  switch (result) {
    case CheckResult::kOk:
      return "ok";
    case CheckResult::kWarning:
      return "WARN";
    case CheckResult::kFailed:
      return "FAIL";
  }
  return "";
}

CellStyle StyleOfCheck(CheckResult result) {
  switch (result) {
    case CheckResult::kOk:
      return CellStyle::kGood;
    case CheckResult::kWarning:
      return CellStyle::kWarning;
    case CheckResult::kFailed:
      return CellStyle::kBad;
  }
  return CellStyle::kPlain;
}

}  // namespace

Result<std::map<std::int32_t, std::string>> ReadLiveLeases(const Session& session) {
  std::map<std::int32_t, std::string> live;
  for (std::int32_t partition = 0; partition < session.identity.partitions; ++partition) {
    ALERTSTREAM_ASSIGN_OR_RETURN(
        const auto tail, ReadLast(session, {Topic::kOwnership, partition}, kLeasesLookedAt));
    std::map<std::string, LogTime> held;
    for (const OwnedRecord& record : tail.records) {
      v1::Lease lease;
      if (record.offset == 0 || !lease.ParseFromString(record.value)) {
        continue;
      }
      if (lease.released()) {
        held.erase(lease.instance());
      } else {
        held[lease.instance()] = record.append_time;
      }
    }
    for (const auto& [instance, at] : held) {
      if (session.clock.Now() - at < runtime::kLeaseLive) {
        live[partition] = instance;
      }
    }
  }
  return live;
}

Result<ExitCode> ShowStatus(const Session& session, const SuspectOf& suspect_of,
                            const ProgressOf& progress_of) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto leases, ReadLiveLeases(session));
  Table table({{.key = "partition", .right = true},
               {.key = "owner"},
               {.key = "standby"},
               {.key = "epoch", .right = true},
               {.key = "seq", .right = true},
               {.key = "engine", .right = true},
               {.key = "last_batch"},
               {.key = "lag_seconds", .title = "LAG S", .right = true},
               {.key = "dead_letters", .right = true},
               {.key = "stopped_by"}});
  std::string skips;
  std::string progress;
  for (std::int32_t partition = 0; partition < session.identity.partitions; ++partition) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const PartitionView view, ViewJournal(session, partition));
    Cell lag{Absent{}};
    if (view.events_next) {
      ALERTSTREAM_ASSIGN_OR_RETURN(const auto oldest,
                                   OldestUndecided(session, partition, *view.events_next));
      const double seconds =
          oldest ? static_cast<double>((session.clock.Now() - *oldest).count()) / 1e6 : 0.0;
      lag = {seconds, seconds > 1.0 ? CellStyle::kWarning : CellStyle::kGood};
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto letters,
                                 ReadLast(session, {Topic::kDeadLetters, partition}, 1));
    const auto lease = leases.find(partition);
    ALERTSTREAM_ASSIGN_OR_RETURN(const Standing standing, ReadStanding(session, partition));
    if (const auto under_way = progress_of(partition)) {
      progress += fmt::format("partition {} is {}\n", partition,
                              ProgressText(under_way->phase, under_way->progress));
    }
    const std::string stopped_by = StoppedBy(suspect_of(partition), partition);
    if (!stopped_by.empty()) {
      skips += fmt::format(
          "partition {} is stopped by a record that crashes the process: look at it "
          "with `topic dump`, then: alertstream dlq skip {} --reason TEXT\n",
          partition, stopped_by);
    }
    table.Add(
        {{static_cast<std::int64_t>(partition)},
         {lease == leases.end() ? Cell::Value(Absent{}) : Cell::Value(lease->second)},
         {standing.standbys.empty()
              ? Cell::Value(Absent{})
              : Cell::Value(fmt::format("{}", fmt::join(standing.standbys, ", ")))},
         {static_cast<std::int64_t>(view.last.owner_epoch())},
         {static_cast<std::int64_t>(view.last.seq())},
         {static_cast<std::int64_t>(view.last.engine_version())},
         {view.last.seq() == 0 ? Cell::Value(Absent{})
                               : Cell::Value(FromMicros(view.last.now_us()))},
         lag,
         {std::max<std::int64_t>(0, letters.end - 1)},
         {stopped_by.empty() ? Cell::Value(Absent{}) : Cell::Value(stopped_by), CellStyle::kBad}});
  }
  if (!session.Json()) {
    session.io.out << fmt::format("log  {}   id {}   {} partitions\n\n", session.log.Describe(),
                                  session.identity.ToText(), session.identity.partitions);
  }
  ALERTSTREAM_RETURN_IF_ERROR(Print(session.io, table));
  session.io.err << progress << skips;
  if (!session.Json()) {
    session.io.err << "dead letters: offsets up to the end of the topic; details: alertstream dlq "
                      "list\n";
  }
  return ExitCode::kOk;
}

DoctorCheck CheckTopics(log::EventLog& log, std::chrono::milliseconds timeout) {
  const auto topics = log.DescribeTopics(timeout);
  if (!topics.ok()) {
    return {CheckResult::kFailed, "topics", topics.error().message()};
  }
  std::string missing;
  std::string wrong;
  for (const auto& info : topics.value()) {
    const std::string_view name = schemas::NameOf(info.topic);
    if (!info.exists) {
      missing += fmt::format("{}{}", missing.empty() ? "" : ", ", name);
    }
    for (const std::string& setting : info.wrong_settings) {
      wrong += fmt::format("{}{}: {}", wrong.empty() ? "" : "; ", name, setting);
    }
  }
  if (!missing.empty()) {
    return {CheckResult::kFailed, "topics",
            fmt::format("missing: {}. Fix: alertstream topics apply", missing)};
  }
  if (!wrong.empty()) {
    return {CheckResult::kWarning, "topics", wrong + ". Fix: alertstream topics apply"};
  }
  return {CheckResult::kOk, "topics",
          fmt::format("{} topics, {} partitions", topics.value().size(),
                      topics.value().front().partitions)};
}

DoctorCheck CheckClock(log::EventLog& log, Clock& clock, std::chrono::milliseconds timeout) {
  v1::Lease lease;
  lease.set_instance(std::string(kProbeInstance));
  lease.set_released(true);
  lease.set_at_us(ToMicros(clock.Now()));
  const std::string bytes = lease.SerializeAsString();
  const log::NewRecord record{Topic::kOwnership, 0, schemas::kLogKey, bytes};
  const auto appended = log.Append(std::span(&record, 1), timeout);
  if (!appended.ok()) {
    return {CheckResult::kFailed, "clock", appended.error().message()};
  }
  const Status skew = runtime::LogTimeSource(clock).CheckSkew(appended.value()[0].append_time);
  if (!skew.ok()) {
    return {CheckResult::kFailed, "clock",
            skew.error().message() + ". Fix: enable time synchronisation on every machine"};
  }
  const auto off = std::chrono::abs(appended.value()[0].append_time - clock.Now());
  return {CheckResult::kOk, "clock",
          fmt::format("within {} ms of the log's clock", off.count() / 1000)};
}

DoctorCheck CheckIdentity(log::EventLog& log, const HmacKey& token_key,
                          std::chrono::milliseconds timeout) {
  const auto partitions = log.Partitions(timeout);
  if (!partitions.ok()) {
    return {CheckResult::kFailed, "markers", partitions.error().message()};
  }
  std::string id;
  for (std::int32_t partition = 0; partition < partitions.value(); ++partition) {
    const auto identity = runtime::CheckMarkers(log, token_key, partition, timeout);
    if (!identity.ok()) {
      return {CheckResult::kFailed, "markers", identity.error().message()};
    }
    if (!id.empty() && id != identity.value().ToText()) {
      return {CheckResult::kFailed, "markers",
              fmt::format("partition {} carries the marker of another log", partition)};
    }
    id = identity.value().ToText();
  }
  return {CheckResult::kOk, "markers", fmt::format("log {}, made with this token key", id)};
}

DoctorCheck CheckDisk(const std::string& directory) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(directory, error);
  while (!error && !std::filesystem::exists(path) && path.has_relative_path()) {
    path = path.parent_path();
  }
  const auto space = std::filesystem::space(path, error);
  if (error) {
    return {CheckResult::kFailed, "disk", fmt::format("{}: {}", directory, error.message())};
  }
  const std::string text =
      fmt::format("{} MiB are free below {}", Grouped(space.available >> 20U), directory);
  if (space.available < kDiskFreeFail) {
    return {CheckResult::kFailed, "disk", text + ". Fix: make room"};
  }
  if (space.available < kDiskFreeWarn) {
    return {CheckResult::kWarning, "disk", text + ". Fix: make room"};
  }
  return {CheckResult::kOk, "disk", text};
}

Result<ExitCode> ReportChecks(const std::vector<DoctorCheck>& checks, bool strict,
                              const Streams& io) {
  Table table({{.key = "result"}, {.key = "check"}, {.key = "text"}});
  std::size_t failed = 0;
  std::size_t warned = 0;
  for (const DoctorCheck& check : checks) {
    failed += check.result == CheckResult::kFailed ? 1 : 0;
    warned += check.result == CheckResult::kWarning ? 1 : 0;
    table.Add({{std::string(WordOfCheck(check.result)), StyleOfCheck(check.result)},
               {check.name},
               {check.text}});
  }
  // A remedy must not be cut off.
  Streams wide = io;
  if (wide.render.format == OutputFormat::kText) {
    wide.render.format = OutputFormat::kWide;
  }
  ALERTSTREAM_RETURN_IF_ERROR(Print(wide, table));
  io.err << fmt::format("{} failed, {} warnings, {} ok\n", failed, warned,
                        checks.size() - failed - warned);
  if (failed > 0) {
    return ExitCode::kFailed;
  }
  return strict && warned > 0 ? ExitCode::kWarnings : ExitCode::kOk;
}

}  // namespace alertstream::cli

#include "ops/cli/commands/audit.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <memory>
#include <ostream>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ops/cli/commands/audit_report.h"
#include "ops/cli/commands/dead_letters.h"
#include "ops/cli/commands/progress_file.h"
#include "ops/cli/words.h"
#include "processor/base/rfc3339.h"
#include "processor/engine/tables.h"
#include "processor/runtime/state_snapshots.h"

namespace alertstream::cli {
namespace {

constexpr std::chrono::milliseconds kTellEvery{10'000};
constexpr std::chrono::milliseconds kTellTerminalEvery{500};
constexpr std::chrono::milliseconds kPause{20};
constexpr std::string_view kClearLine = "\r\x1b[K";
constexpr std::size_t kHashShown = 12;

Error NoSuchPartition(std::string_view text) {
  return {ErrorCode::kInvalid, fmt::format("--partition: '{}' is no number of a partition", text)};
}

Status AddPartitions(std::string_view words, std::vector<std::int32_t>* partitions) {
  while (true) {
    const std::size_t comma = std::min(words.find(','), words.size());
    const std::string_view word = words.substr(0, comma);
    std::int32_t number = -1;
    const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (word.empty() || code != std::errc() || end != word.data() + word.size() || number < 0) {
      return NoSuchPartition(word);
    }
    partitions->push_back(number);
    if (comma == words.size()) {
      return Status::Ok();
    }
    words.remove_prefix(comma + 1);
  }
}

// One end of the range: a time, or an offset with the partition that it belongs to.
Status ParseEnd(std::string_view flag, const std::string& text, std::optional<LogTime>* time,
                std::optional<std::int64_t>* offset, std::optional<std::int32_t>* partition) {
  if (text.empty()) {
    return Status::Ok();
  }
  if (const auto parsed = ParseRfc3339(text); parsed.ok()) {
    *time = parsed.value();
    return Status::Ok();
  }
  const auto position = ParsePosition(text);
  if (!position.ok() ||
      position.value().topic() != static_cast<std::uint32_t>(schemas::Topic::kJournal)) {
    return Error(ErrorCode::kInvalid,
                 fmt::format("{}: expected a time such as 2026-01-31T12:00:00Z, or a place in the "
                             "journal such as journal/3/88213",
                             flag));
  }
  const auto its = static_cast<std::int32_t>(position.value().partition());
  if (*partition && **partition != its) {
    return Error(ErrorCode::kInvalid, "--from and --to name places of two partitions");
  }
  *partition = its;
  *offset = position.value().offset();
  return Status::Ok();
}

std::string TextOf(const std::optional<LogTime>& time, const std::optional<std::int64_t>& offset) {
  return time ? FormatRfc3339(*time) : (offset ? fmt::format("offset {}", *offset) : "-");
}

// A program of another engine decides otherwise; one audit is of one engine.
AuditIdentity IdentityOf(const Session& session, const AuditOptions& options,
                         const std::vector<std::int32_t>& partitions) {
  const Digest& tables = engine::TablesHash();
  return {.log_id = ToHex(session.identity.log_id),
          .engine = fmt::format("version {}, tables {}", engine::kEngineVersion,
                                ToHex(AsView(tables)).substr(0, kHashShown)),
          .asked = fmt::format("partitions {} of {}, from {}, to {}, tenant {}",
                               fmt::join(partitions, ","), session.identity.partitions,
                               TextOf(options.range.from, options.range.from_offset),
                               TextOf(options.range.to, options.range.to_offset),
                               options.tenant.empty() ? "-" : options.tenant)};
}

Result<std::vector<std::int32_t>> PartitionsOf(const Session& session,
                                               const AuditOptions& options) {
  std::vector<std::int32_t> partitions = options.partitions;
  if (partitions.empty()) {
    for (std::int32_t i = 0; i < session.identity.partitions; ++i) {
      partitions.push_back(i);
    }
  }
  if (partitions.back() >= session.identity.partitions) {
    return Error(ErrorCode::kInvalid,
                 fmt::format("partition {}: the log has partitions 0 to {}", partitions.back(),
                             session.identity.partitions - 1));
  }
  return partitions;
}

// Verifies partitions on several threads, and tells how far they are.
class Run {
 public:
  Run(const Session& session, const AuditOptions& options, const AuditStates& states,
      AuditBook& book, const std::vector<std::int32_t>& partitions)
      : session_(session),
        options_(options),
        states_(states),
        book_(book),
        partitions_(partitions),
        progress_(partitions.size()),
        meter_(session.clock) {
    audits_.resize(partitions.size());
    for (std::size_t i = 0; i < partitions.size(); ++i) {
      audits_[i].partition = partitions[i];
      audits_[i].status = Error(ErrorCode::kUnavailable, "stopped before it was begun");
    }
  }

  std::vector<PartitionAudit> Verify() {
    AskEnds();
    const std::size_t cores =
        std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, kAuditJobsDefaultMax);
    const std::size_t jobs =
        std::min(partitions_.size(), options_.jobs == 0 ? cores : options_.jobs);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < jobs; ++i) {
      threads.emplace_back([this] { Work(); });
    }
    auto told = session_.clock.SinceBoot();
    while (finished_ < partitions_.size() && !session_.Interrupted()) {
      session_.clock.SleepFor(kPause);
      if (session_.clock.SinceBoot() - told >
          (options_.terminal ? kTellTerminalEvery : kTellEvery)) {
        told = session_.clock.SinceBoot();
        Tell();
      }
    }
    for (auto& thread : threads) {
      thread.join();
    }
    if (told_on_terminal_) {
      session_.io.err << kClearLine << std::flush;
    }
    return std::move(audits_);
  }

 private:
  // Best effort: without them the rest of the work is not known until it is begun.
  void AskEnds() {
    std::vector<log::TopicPartition> journals;
    for (const std::int32_t partition : partitions_) {
      journals.push_back({schemas::Topic::kJournal, partition});
    }
    const auto ends = session_.log.Ends(journals, log::EndKind::kStable, session_.ask_timeout);
    for (std::size_t i = 0; ends.ok() && i < progress_.size(); ++i) {
      progress_[i].end =
          std::min(ends.value()[i], options_.range.to_offset.value_or(ends.value()[i] - 1) + 1);
    }
  }

  void Work() {
    for (std::size_t mine = next_++; mine < partitions_.size() && !session_.Interrupted();
         mine = next_++) {
      audits_[mine] = AuditPartition(session_,
                                     {.partition = partitions_[mine],
                                      .range = options_.range,
                                      .tenant = options_.tenant,
                                      .checkpoint_every = options_.checkpoint_every},
                                     states_, book_, &progress_[mine]);
      progress_[mine].at = progress_[mine].end.load();
      ++finished_;
    }
  }

  void Tell() {
    std::uint64_t at = 0;
    std::uint64_t end = 0;
    for (const AuditProgress& progress : progress_) {
      at += static_cast<std::uint64_t>(progress.at.load());
      end += static_cast<std::uint64_t>(progress.end.load());
    }
    const std::string text = fmt::format(
        "{} of {} partitions are done; {}; nothing is sent or written", finished_.load(),
        partitions_.size(), ProgressText("verifying the journal", meter_.At(at, end)));
    told_on_terminal_ = options_.terminal;
    session_.io.err << (options_.terminal ? fmt::format("{}{}", kClearLine, text) : text + "\n")
                    << std::flush;
  }

  const Session& session_;
  const AuditOptions& options_;
  const AuditStates& states_;
  AuditBook& book_;
  const std::vector<std::int32_t>& partitions_;
  std::vector<PartitionAudit> audits_;
  std::vector<AuditProgress> progress_;
  runtime::ProgressMeter meter_;
  std::atomic<std::size_t> next_{0};
  std::atomic<std::size_t> finished_{0};
  bool told_on_terminal_ = false;
};

// The first error of a partition that was not compared, which is not the user's stop.
Status FirstFailure(const std::vector<PartitionAudit>& audits) {
  for (const PartitionAudit& audit : audits) {
    ALERTSTREAM_RETURN_IF_ERROR(audit.status);
  }
  return Status::Ok();
}

}  // namespace

Result<AuditOptions> ParseAuditOptions(const AuditWords& words) {
  AuditOptions options;
  for (const std::string& word : words.partitions) {
    ALERTSTREAM_RETURN_IF_ERROR(AddPartitions(word, &options.partitions));
  }
  std::optional<std::int32_t> partition;
  AuditRange& range = options.range;
  ALERTSTREAM_RETURN_IF_ERROR(
      ParseEnd("--from", words.from, &range.from, &range.from_offset, &partition));
  ALERTSTREAM_RETURN_IF_ERROR(ParseEnd("--to", words.to, &range.to, &range.to_offset, &partition));
  if ((range.from && range.to && *range.to < *range.from) ||
      (range.from_offset && range.to_offset && *range.to_offset < *range.from_offset)) {
    return Error(ErrorCode::kInvalid, "--to lies before --from");
  }
  if (partition) {
    options.partitions.push_back(*partition);
  }
  std::sort(options.partitions.begin(), options.partitions.end());
  options.partitions.erase(std::unique(options.partitions.begin(), options.partitions.end()),
                           options.partitions.end());
  if (partition && options.partitions.size() > 1) {
    return Error(ErrorCode::kInvalid,
                 fmt::format("--from and --to name a place in partition {}; others have other "
                             "places: give a time instead, or no --partition",
                             *partition));
  }
  return options;
}

Result<ExitCode> AuditVerify(const Session& session, const AuditOptions& options,
                             const AuditStates& states) {
  const auto began = session.clock.SinceBoot();
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto partitions, PartitionsOf(session, options));
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto book, AuditBook::Open(options.resume, IdentityOf(session, options, partitions)));
  const AuditReport report{.partitions = Run(session, options, states, *book, partitions).Verify(),
                           .tenant = options.tenant,
                           .took = session.clock.SinceBoot() - began};
  bool mismatch = false;
  for (const PartitionAudit& audit : report.partitions) {
    if (audit.finding) {
      mismatch = true;
      session.io.err << FindingText(audit.partition, *audit.finding);
    }
  }
  const Status failure = FirstFailure(report.partitions);
  if (failure.ok()) {
    for (const PartitionAudit& audit : report.partitions) {
      ALERTSTREAM_RETURN_IF_ERROR(states.clear(audit.partition));
    }
    book->Remove();
  } else if (book->keeps()) {
    session.io.err << fmt::format(
        "what was verified is kept in {}, the states in {}; the same command goes on from there\n",
        book->path(), options.states_directory);
  }
  if (session.Interrupted() && !failure.ok()) {
    return ExitCode::kInterrupted;
  }
  if (!failure.ok() && !mismatch) {
    return failure.error();
  }
  if (!failure.ok()) {
    session.io.err << fmt::format("not all was compared: {}\n", failure.error().message());
  }
  PrintAudit(session, report);
  return mismatch ? ExitCode::kMismatch : ExitCode::kOk;
}

}  // namespace alertstream::cli

#include "ops/cli/commands/audit.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "ops/cli/json_object.h"
#include "ops/cli/words.h"
#include "processor/runtime/replayer.h"

namespace alertstream::cli {
namespace {

constexpr std::chrono::milliseconds kProgressEvery{10'000};
constexpr std::chrono::milliseconds kPause{20};
// Of each partition that is verified at the time; a small history needs no store at all.
constexpr std::size_t kCacheBytes = std::size_t{128} << 20;

struct PartitionAudit {
  runtime::ReplayProgress progress;
  std::optional<runtime::Mismatch> mismatch;
  Status status;
};

void VerifyPartition(const Session& session, const OpenScratchStore& open_store,
                     std::int32_t partition, PartitionAudit* audit) {
  audit->status = [&]() -> Status {
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto store, open_store(partition));
    const runtime::PartitionConfig config{.log_id = session.identity.log_id,
                                          .fold = {.token_key = session.token_key,
                                                   .partition = partition,
                                                   .partitions = session.identity.partitions},
                                          .cache_bytes = kCacheBytes,
                                          .scratch = true};
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto state, runtime::PartitionState::Open(config, *store));
    ALERTSTREAM_ASSIGN_OR_RETURN(
        const auto replayer, runtime::Replayer::Open(session.log, *state, {.check_outputs = true}));
    Status caught_up = replayer->CatchUp();
    audit->progress = replayer->progress();
    audit->mismatch = replayer->mismatch();
    return caught_up;
  }();
}

std::string MismatchJson(std::int32_t partition, const runtime::Mismatch& mismatch) {
  JsonObject object;
  object.Integer("partition", partition);
  object.Integer("seq", static_cast<std::int64_t>(mismatch.seq));
  object.Integer("journal_offset", mismatch.journal_offset);
  object.Text("kind", mismatch.history_changed ? "history_changed" : "engine_differs");
  object.Text("what", mismatch.what);
  return object.Take();
}

Result<ExitCode> Report(const Session& session, const std::vector<PartitionAudit>& audits,
                        std::chrono::microseconds took) {
  runtime::ReplayProgress sum;
  JsonList mismatches;
  std::int64_t mismatched = 0;
  for (std::size_t i = 0; i < audits.size(); ++i) {
    const PartitionAudit& audit = audits[i];
    sum.batches += audit.progress.batches;
    sum.records += audit.progress.records;
    sum.decisions += audit.progress.decisions;
    if (!audit.mismatch) {
      ALERTSTREAM_RETURN_IF_ERROR(audit.status);
      continue;
    }
    ++mismatched;
    const auto partition = static_cast<std::int32_t>(i);
    mismatches.Raw(MismatchJson(partition, *audit.mismatch));
    session.io.err << fmt::format(
        "MISMATCH at {}, seq {}: {}: {}\n",
        PositionText(static_cast<std::uint32_t>(schemas::Topic::kJournal),
                     static_cast<std::uint32_t>(i), audit.mismatch->journal_offset),
        audit.mismatch->seq,
        audit.mismatch->history_changed ? "history changed" : "the engine differs",
        audit.mismatch->what);
  }
  const double seconds = std::max(1e-3, static_cast<double>(took.count()) / 1e6);
  const double rate = static_cast<double>(sum.records) / seconds;
  if (session.Json()) {
    JsonObject object;
    object.Integer("batches", static_cast<std::int64_t>(sum.batches));
    object.Integer("records", static_cast<std::int64_t>(sum.records));
    object.Integer("decisions", static_cast<std::int64_t>(sum.decisions));
    object.Integer("mismatches", mismatched);
    object.Number("elapsed_s", seconds);
    object.Number("records_per_s", rate);
    if (mismatched > 0) {
      object.Raw("details", mismatches.Take());
    }
    session.io.out << object.Take() << "\n";
  } else {
    session.io.out << fmt::format(
        "batches        {}\nrecords        {}\ndecisions      {}\nmismatches     {}\n"
        "elapsed        {:.1f} s, {} records a second\n",
        Grouped(sum.batches), Grouped(sum.records), Grouped(sum.decisions), mismatched, seconds,
        Grouped(static_cast<std::uint64_t>(rate)));
  }
  return mismatched == 0 ? ExitCode::kOk : ExitCode::kMismatch;
}

}  // namespace

Result<ExitCode> AuditVerify(const Session& session, const OpenScratchStore& open_store) {
  const auto began = session.clock.SinceBoot();
  const auto partitions = static_cast<std::size_t>(session.identity.partitions);
  std::vector<PartitionAudit> audits(partitions);
  std::atomic<std::size_t> next{0};
  std::atomic<std::size_t> finished{0};
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < std::min(kAuditThreadsMax, partitions); ++i) {
    threads.emplace_back([&] {
      for (std::size_t mine = next++; mine < partitions && !session.Interrupted(); mine = next++) {
        VerifyPartition(session, open_store, static_cast<std::int32_t>(mine), &audits[mine]);
        ++finished;
      }
    });
  }
  auto told = began;
  while (finished < partitions && !session.Interrupted()) {
    session.clock.SleepFor(kPause);
    if (session.clock.SinceBoot() - told > kProgressEvery) {
      told = session.clock.SinceBoot();
      session.io.err << fmt::format("verified {} of {} partitions; nothing is sent or written\n",
                                    finished.load(), partitions);
    }
  }
  for (auto& thread : threads) {
    thread.join();
  }
  if (finished < partitions) {
    return ExitCode::kInterrupted;
  }
  return Report(session, audits, session.clock.SinceBoot() - began);
}

}  // namespace alertstream::cli

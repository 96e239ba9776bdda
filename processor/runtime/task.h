// PartitionTask: owns one partition: collects its inputs, folds them, commits outputs and journal
// record in one transaction, then moves the state. It follows the ownership protocol: a fixed pair
// of transactional ids A and B used in turn; a start or an unknown outcome fences both, reads the
// tail, and claims on A. Belongs to one thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "processor/base/clock.h"
#include "processor/log/event_log.h"
#include "processor/runtime/batch_record.h"
#include "processor/runtime/crash_marker.h"
#include "processor/runtime/horizon.h"
#include "processor/runtime/log_time.h"
#include "processor/runtime/partition_state.h"
#include "processor/runtime/sources.h"

namespace alertstream::runtime {

struct TaskOptions {
  std::string instance;
  bool accept_clock = false;
  // Highest engine version that a BARRIER may put in force.
  std::uint32_t engine_version_max = engine::kEngineVersion;
  std::string crash_marker_path;  // Empty: none is kept.
  std::chrono::milliseconds commit_timeout{8'000};
  // How long a start may take to fence and to read the tail before it reports kUnavailable.
  std::chrono::milliseconds claim_timeout{30'000};
  // Ends waiting for the log and long catch-ups when it returns true. May be empty. Thread-safe.
  std::function<bool()> cancelled;
  // Asked when most of the journal was caught up with, before the present owner is fenced: an error
  // ends the start. May be empty.
  std::function<Status()> before_fence;
  // Told now and then while the journal is caught up with: where, and its end. May be empty.
  std::function<void(std::int64_t at, std::int64_t end)> on_catch_up;
  // Between two records, for tests.
  engine::Fold::Probe probe;
};

// What one batch did, for metrics and for commands that print progress.
struct BatchReport {
  std::uint64_t seq = 0;
  std::size_t inputs = 0;
  std::size_t outputs = 0;
  std::size_t reroutes = 0;
  const engine::Effects* effects = nullptr;  // Until the next RunOnce.
  std::chrono::microseconds fold{};
  std::chrono::microseconds commit{};
  LogDuration lag{};  // now minus the append time of the oldest input of the batch.
  bool held = false;  // Site events and timers waited for the permission topics.
};

// A batch that was folded and is not yet known to be committed. Its inputs stay at hand.
struct PendingBatch {
  v1::JournalRecord record;
  InputSpans consumed;
  state::StateRoot root_before;
  LogTime now;
  bool held = false;
  LogDuration lag{};
  std::chrono::microseconds fold{};
};

class PartitionTask {
 public:
  // Runs the start procedure: catches up with the journal, fences, claims. `state` must outlive the
  // task. kConflict / kCorrupt: see PartitionState and Replayer. kInvalid: the clock.
  static Result<std::unique_ptr<PartitionTask>> Start(log::EventLog& log, PartitionState& state,
                                                      PermissionHorizon& horizon, Clock& clock,
                                                      const TaskOptions& options);
  ~PartitionTask();

  // Folds and commits one batch if there is anything to do. Nothing: there was not; call Wait. An
  // error ends the task: kFenced (another owner), kInvalid (the clock), kCorrupt; after
  // kUnavailable call again: the batch is kept and its outcome is resolved first.
  Result<std::optional<BatchReport>> RunOnce();

  // Blocks until input arrives, at most `timeout`.
  void Wait(std::chrono::milliseconds timeout) {
    // While input is held back there is always something to fetch, and a plain wait would not wait.
    idle_ ? sources_->reader().Wait(timeout) : sources_->Pause(timeout);
  }
  // Ends a Wait. Thread-safe.
  void Wake() { sources_->reader().Wake(); }

  // Writes the state out; call before a clean end.
  Status Flush();

  // After an error of RunOnce: true if the log could not be reached and the task is still whole.
  bool CanGoOn(const Error& error) const {
    return !broken_ &&
           (error.code() == ErrorCode::kUnavailable || error.code() == ErrorCode::kUnknown);
  }

  const Owner& owner() const { return owner_; }
  PartitionState& state() { return state_; }
  // Of each input, everything below was consumed, transaction markers included.
  std::array<std::int64_t, schemas::kInputTopicCount> passed() const;
  // True if every input that the log held at the last look was consumed.
  bool idle() const { return idle_; }
  // False: the ends of the permission topics are not known, so events and timers would wait.
  bool horizon_known() const { return horizon_known_; }
  // Why the partition cannot go on without an operator, if so.
  const std::optional<std::string>& stopped() const { return stopped_; }

 private:
  PartitionTask(log::EventLog& log, PartitionState& state, PermissionHorizon& horizon, Clock& clock,
                TaskOptions options);

  Status OpenTransactors();
  Status Claim();
  Status Fence();
  Status CatchUp(bool near_hint = false);
  Status CatchUpWithPatience();
  Status ResolvePending();
  Status ResolveRecord(const log::RecordView& record);
  Status FillBefore(std::chrono::microseconds deadline, Sources& sources);
  Status OpenSources();
  Status FillSources();
  bool BehindHorizon(const InputSpans& chosen);
  InputSpans Choose();
  Result<bool> FoldNext();
  Status FoldSkip(std::size_t input, const v1::JournalSkip& skip);
  Result<bool> PassSuspect();
  Result<std::optional<v1::JournalSkip>> FindSkipRequest(const CrashMarker::Suspect& suspect);
  Status CommitPending(BatchReport* report);
  void FinishPending(journal::Tail tail);
  Status RaiseEngineVersion();
  Status CommitRecord(const v1::JournalRecord& record, std::size_t id);
  std::uint32_t EngineVersion() const;
  bool Cancelled() const { return options_.cancelled && options_.cancelled(); }
  journal::Tail TailAfter(const v1::JournalRecord& record, std::string_view bytes) const;

  log::EventLog& log_;
  PartitionState& state_;
  PermissionHorizon& horizon_;
  Clock& clock_;
  const TaskOptions options_;
  LogTimeSource time_;
  Owner owner_;
  std::array<std::unique_ptr<log::Transactor>, 2> transactors_;  // A, B.
  std::size_t next_id_ = 0;
  std::optional<Sources> sources_;
  std::unique_ptr<CrashMarker> marker_;
  engine::Effects effects_;
  Transaction transaction_;
  std::optional<PendingBatch> pending_;
  bool unresolved_ = false;  // The outcome of pending_ is not known.
  bool broken_ = false;  // The state store failed; the state in memory must not be used any more.
  bool idle_ = false;
  bool horizon_known_ = true;
  bool one_by_one_ = false;  // Until the suspect of the crash marker is passed.
  std::optional<std::string> stopped_;
  std::chrono::microseconds look_ahead_at_{};
  std::chrono::microseconds flushed_at_{};
};

}  // namespace alertstream::runtime

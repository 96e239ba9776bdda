// Replayer: decides history again from the journal, batch by batch, and compares. The same loop is
// crash recovery (the store catches up), standby (it follows), and audit (everything is compared
// from the beginning, in a scratch store). It never writes to the log. Belongs to one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "processor/log/event_log.h"
#include "processor/runtime/batch_record.h"
#include "processor/runtime/partition_state.h"
#include "processor/runtime/sources.h"

namespace alertstream::runtime {

// A batch as the journal has it and as it was decided again. Valid during the call it is given to.
struct Redecided {
  const v1::JournalRecord& recorded;
  const v1::JournalRecord& refolded;  // Inputs, timers, outputs, re-routes and root.
  const Difference& difference;
  const engine::Effects& effects;
  std::int64_t journal_offset;
};

struct ReplayOptions {
  // Also read the stored outputs and compare them with the roots (audit).
  bool check_outputs = false;
  std::chrono::milliseconds read_timeout{10'000};
  // The highest engine version that this program can fold.
  std::uint32_t engine_version_max = engine::kEngineVersion;
  // A tail that cannot be found from the state's hint on is kConflict at once, instead of being
  // looked for from the journal's beginning.
  bool near_hint = false;
  // Ends CatchUp with kUnavailable when it returns true. May be empty.
  std::function<bool()> cancelled;
  // Stops before the first journal record that is later, as if the journal ended there: the state
  // as it was then.
  std::optional<LogTime> now_max;
  std::optional<std::int64_t> offset_max;
  // Sees every batch before the state moves past it, also one that differs; an error ends the
  // replay with it. May be empty.
  std::function<Status(const Redecided&)> inspect;
};

struct ReplayProgress {
  std::uint64_t batches = 0;
  std::uint64_t records = 0;    // Inputs.
  std::uint64_t decisions = 0;  // Records on `decisions`.
};

// The first batch that did not come out the same.
struct Mismatch {
  std::uint64_t seq = 0;
  std::int64_t journal_offset = 0;
  bool history_changed = false;  // Else the engine differs.
  std::string what;
};

class Replayer {
 public:
  // Continues after `state`'s tail. kConflict: the store is ahead of the journal, or at a record
  // that the journal does not have.
  static Result<std::unique_ptr<Replayer>> Open(log::EventLog& log, PartitionState& state,
                                                const ReplayOptions& options);

  // Takes the next journal record, decides its batch again and moves the state past it. False: the
  // end that the last CatchUp or Follow saw was reached. A mismatch is kCorrupt with mismatch()
  // set; the state must then not be used any further.
  Result<bool> Step();

  // Steps until the journal's stable end as of the call. `progress` is called now and then with the
  // journal offset reached and the end.
  using Progress = std::function<void(std::int64_t at, std::int64_t end)>;
  Status CatchUp(const Progress& progress = nullptr);

  const ReplayProgress& progress() const { return progress_; }
  const std::optional<Mismatch>& mismatch() const { return mismatch_; }

 private:
  Replayer(log::EventLog& log, PartitionState& state, const ReplayOptions& options)
      : log_(log), state_(state), options_(options) {}

  Status OpenSources();
  bool IsBeyond(const log::RecordView& record, const v1::JournalRecord& decoded) const;
  Status VerifyTail(const log::RecordView& record, const v1::JournalRecord& decoded);
  Status Apply(const v1::JournalRecord& record, journal::Tail tail);
  Status FoldBatch(const v1::JournalRecord& record, v1::JournalRecord* refolded);
  Status FoldSkip(const v1::JournalRecord& record, v1::JournalRecord* refolded);
  Status TakeInputs(const v1::JournalRecord& record);
  bool Cancelled() const { return options_.cancelled && options_.cancelled(); }
  Result<std::int64_t> EndOf(const log::TopicPartition& partition);
  Error AheadOfJournal() const;
  Result<bool> FetchMore(std::size_t source, std::size_t records);
  Error HistoryChanged(const v1::JournalRecord& record, std::string what);
  Status CheckOutputs(const v1::JournalRecord& record);

  log::EventLog& log_;
  PartitionState& state_;
  ReplayOptions options_;
  std::optional<Sources> sources_;  // The journal, then the inputs, then (audit) the outputs.
  std::vector<log::TopicPartition> read_;  // As sources_.
  std::int64_t end_ = 0;
  std::int64_t journal_offset_ = 0;  // Of the record that is decided again.
  bool tail_verified_ = false;
  InputSpans spans_;
  engine::Effects effects_;
  ReplayProgress progress_;
  std::optional<Mismatch> mismatch_;
};

// What a SKIP of `record` emits: one dead letter. Pure.
void FoldSkippedRecord(const PartitionState& state, schemas::Topic topic,
                       const log::RecordView& record, const v1::JournalSkip& skip, LogTime now,
                       engine::Effects* effects);

}  // namespace alertstream::runtime

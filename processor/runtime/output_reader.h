// OutputReader: follows the outputs of one partition through its journal. Records of a batch are
// released when its journal record is accepted and their counts and roots agree with it; outputs of
// a superseded owner are dropped and counted; anything else is an error. Used by tail, explain,
// dlq, the dispatcher and later the projector. Belongs to one thread, but for Wake.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "processor/journal/chain.h"
#include "processor/log/event_log.h"
#include "processor/runtime/sources.h"
#include "schemas/journal.pb.h"

namespace alertstream::runtime {

struct ReleasedRecord {
  schemas::Topic topic{};
  log::RecordView record;
};

// One accepted journal record with its outputs, in the order of the output topics. The views are
// valid until the next call of Next.
struct ReleasedBatch {
  v1::JournalRecord journal;
  std::int64_t journal_offset = 0;
  std::vector<ReleasedRecord> outputs;
};

// Where a reader stood: behind an accepted journal record and all of its outputs.
struct ResumePoint {
  std::uint64_t seq = 0;  // Of that record.
  std::int64_t journal_offset = 0;
  std::map<schemas::Topic, std::int64_t> topics;  // The next offset of each wanted topic.
};

struct OutputReaderOptions {
  std::string log_id;
  std::int32_t partition = 0;
  std::vector<schemas::Topic> topics;  // Those of engine::kOutputTopics that are wanted.
  // Begin after everything that the journal holds now, instead of at the beginning.
  bool from_end = false;
  // Begin there, instead of at the beginning. The first record read is taken on trust, but for its
  // seq; the chain goes on from it.
  std::optional<ResumePoint> resume = {};
  // How long the outputs of an accepted journal record may take to become readable.
  std::chrono::milliseconds read_timeout{10'000};
};

class OutputReader {
 public:
  static Result<std::unique_ptr<OutputReader>> Open(log::EventLog& log,
                                                    const OutputReaderOptions& options);

  // The next accepted batch, waiting for it at most `timeout`; nothing: there is none yet, or Wake
  // was called.
  // kUnavailable: its outputs cannot be read now; call again. kCorrupt: something else wrote to the
  // topics, or history was changed.
  Result<std::optional<ReleasedBatch>> Next(std::chrono::milliseconds timeout);

  // Ends a Next that waits, or the next one that would. Thread-safe.
  void Wake();

  // Behind what Next has returned.
  ResumePoint resume_point() const;
  // True if everything that the journal held when the reader was opened has been returned.
  bool AtOpeningEnd() const;
  std::uint64_t dropped() const { return dropped_; }
  const journal::Tail& tail() const { return tail_; }

 private:
  OutputReader(log::EventLog& log, OutputReaderOptions options)
      : log_(log), options_(std::move(options)) {}
  alertstream::Status SeekEnd();
  alertstream::Status SeekTo(const ResumePoint& point);
  alertstream::Status Anchor(const v1::JournalRecord& record);
  alertstream::Status Release(const v1::JournalRecord& record, ReleasedBatch* batch);

  log::EventLog& log_;
  const OutputReaderOptions options_;
  std::optional<Sources> sources_;  // The journal, then options_.topics.
  journal::Tail tail_;
  bool anchored_ = true;  // False: the first record read sets the tail (from_end, resume).
  std::atomic<bool> woken_ = false;
  std::int64_t opening_end_ = 0;
  std::vector<std::size_t> consumed_;  // Of each topic, by the batch that was returned last.
  std::uint64_t dropped_ = 0;
};

}  // namespace alertstream::runtime

// LagMeter: how long the oldest input has waited that no accepted batch covers. Not thread-safe;
// used by AnswerWatch.
//
// The ends of the inputs are compared with what batches consumed. Behind the last record there may
// be markers of transactions, which no batch ever consumes: what stays behind over two samples is
// looked at, which also gives the append time of the record that waits.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "processor/base/result.h"
#include "processor/base/time.h"
#include "processor/log/event_log.h"
#include "schemas/journal.pb.h"

namespace alertstream::api {

class LagMeter {
 public:
  // `log` outlives it.
  LagMeter(log::EventLog& log, std::int32_t partitions);

  // From here on everything that is there counts as consumed.
  Status Start(std::chrono::milliseconds timeout);

  // What batches consumed since Start: of each source the position, in the order of sources().
  using Positions = std::vector<std::int64_t>;
  // Raises `positions` to what the batch consumed.
  static void Raise(const v1::JournalRecord& journal, Positions* positions);
  Positions consumed() const { return consumed_; }

  // `consumed` as raised by Raise. The longest wait; 0 if nothing waits.
  Result<LogDuration> Sample(const Positions& consumed, LogTime now,
                             std::chrono::milliseconds timeout);

 private:
  // Finds the first record at or behind `consumed_` of each of `behind`, or that there is none.
  Result<LogDuration> LookAt(const std::vector<std::size_t>& behind, LogTime now,
                             std::chrono::milliseconds timeout);

  log::EventLog& log_;
  std::vector<log::TopicPartition> sources_;  // Partition by partition, as schemas::kInputTopics.
  Positions consumed_;
  Positions ends_;  // Of the sample before.
  // Of a source that is behind: when the record at consumed_ was appended, and that position.
  struct Waiting {
    std::int64_t position = -1;
    LogTime since{};
  };
  std::vector<Waiting> waiting_;
};

}  // namespace alertstream::api

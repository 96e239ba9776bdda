// AnswerWatch: what the fold answered to records that were appended here, read through the journal
// of every partition. Thread-safe. Used by doors whose clients wait for a decision or a verdict.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "processor/base/clock.h"
#include "processor/base/result.h"
#include "processor/log/event_log.h"
#include "schemas/decision.pb.h"
#include "schemas/output.pb.h"
#include "schemas/topics.h"

namespace alertstream::api {

struct AppendedPosition {
  schemas::Topic topic{};
  std::int32_t partition = 0;
  std::int64_t offset = 0;
};

// What became of one record, whole: of a large fan-out all parts.
struct RecordAnswer {
  std::vector<v1::DecisionRecord> decisions;
  std::vector<v1::Fact> facts;
  std::vector<v1::DeadLetter> dead_letters;  // At most one.
};

struct AnswerWatchOptions {
  std::string log_id;
  std::int32_t partitions = 0;
  std::size_t tickets_max = 10'000;
  std::size_t kept_bytes_max = std::size_t{64} << 20U;  // Of answers that nobody has asked for yet.
};

class AnswerWatch {
 public:
  // Follows all partitions from their present ends, each on a thread of its own. `log` and `clock`
  // outlive it.
  static Result<std::unique_ptr<AnswerWatch>> Start(log::EventLog& log, Clock& clock,
                                                    const AnswerWatchOptions& options);
  // As Stop.
  ~AnswerWatch();

  // Taken before records are appended, so that no answer is missed; while one lives, answers are
  // kept for it. May outlive the watch.
  class Ticket {
   public:
    ~Ticket();
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;

   private:
    friend class AnswerWatch;
    struct State;
    explicit Ticket(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
  };
  // Null: tickets_max are out or waited for.
  std::unique_ptr<Ticket> Open();

  // Answers in the order of `positions`; one is empty if the fold had nothing to say about the
  // record. kUnavailable: not all came within `timeout`, or one can no longer be had.
  using Done = std::function<void(Result<std::vector<RecordAnswer>>)>;
  // Calls `done` once, on a thread of this object, which it must not block; may call it before
  // returning.
  void Await(std::unique_ptr<Ticket> ticket, const std::vector<AppendedPosition>& positions,
             std::chrono::milliseconds timeout, Done done);

  // How far the slowest partition's task is behind what is appended: seconds between the append of
  // the oldest input that no accepted batch covers and now; 0: nothing waits. Of what was appended
  // before Start it knows nothing. Sampled once a second.
  double LagSeconds() const;
  // That of the partition's newest accepted batch; 0: there is none. Nothing: it is not known
  // (yet), which after Start means that the journal could not be read.
  std::optional<std::uint32_t> EngineVersion(std::int32_t partition) const;
  // Not empty: a partition cannot be followed; says which and why.
  std::string Problem() const;
  // Ends the threads; waiting calls get kUnavailable.
  void Stop();

 private:
  class Core;
  struct Impl;
  explicit AnswerWatch(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace alertstream::api

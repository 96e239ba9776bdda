// ChangeFlow: one request that changes something, from the record to its answer: appended, decided
// by the fold, shown by the read side. Five seconds in all; what is not known by then is answered
// 202 with the record's position. Used by the routes that change one thing.
//
// The steps run on the threads of the writer, the watch and the projection wait, one after the
// other; none of them blocks.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "api/http/problem.h"
#include "api/log/answer_watch.h"
#include "api/log/log_writer.h"
#include "api/query/projection_wait.h"
#include "processor/base/clock.h"
#include "schemas/output.pb.h"

namespace alertstream::api {

inline constexpr std::chrono::seconds kChangeWaitMax{5};

enum class ChangeState {
  kRefused,    // `problem` says why; nothing was changed, or with 503 it is not known.
  kPending,    // The log has it; the fold has not answered in time.
  kDecided,    // Accepted; the read side does not show it yet.
  kProjected,  // Accepted, and the read side shows it.
};

struct ChangeOutcome {
  ChangeState state = ChangeState::kPending;
  http::ProblemDetails problem;              // kRefused
  std::optional<AppendedPosition> position;  // Unless nothing was appended.
  v1::Fact fact;                             // What the fold said, if it has. Of Run.
  RecordAnswer answer;                       // All of what it said. Of Ask.
};

// Everything outlives the last outcome.
struct ChangeFlowDeps {
  LogWriter& writer;
  AnswerWatch& watch;
  ProjectionWait& projected;
  const Clock& clock;
};

class ChangeFlow {
 public:
  explicit ChangeFlow(const ChangeFlowDeps& deps) : deps_(deps) {}

  // Calls `done` once, on some thread, which it must not block; may call it before returning.
  // `deadline`: a time of Clock::SinceBoot.
  using Done = std::function<void(ChangeOutcome)>;
  void Run(RecordToAppend record, std::chrono::microseconds deadline, Done done) const;
  // As Run for a record that is no change of one thing: ends with what the fold said, whatever that
  // is (kDecided), without waiting for the read side.
  void Ask(RecordToAppend record, std::chrono::microseconds deadline, Done done) const;

 private:
  const ChangeFlowDeps deps_;
};

}  // namespace alertstream::api

#include "api/resources/change_flow.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "api/resources/resource_answer.h"

namespace alertstream::api {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

http::ProblemDetails Unavailable(std::string detail) {
  return {.status = 503, .code = "unavailable", .detail = std::move(detail)};
}

// The fact about what the record changes; others may follow from it.
bool IsAbout(const v1::Fact& fact, schemas::Topic topic) {
  if (topic == schemas::Topic::kConsentChanges) {
    return fact.has_consent();
  }
  return topic == schemas::Topic::kOptOuts ? fact.has_opt_out()
                                           : fact.has_trigger() || fact.has_site();
}

// One change that is under way. Shared by the callbacks, which come one after the other.
struct Change : std::enable_shared_from_this<Change> {
  Change(const ChangeFlowDeps& deps_in, microseconds deadline_in, ChangeFlow::Done done_in)
      : deps(deps_in), deadline(deadline_in), done(std::move(done_in)) {}

  void Start(RecordToAppend record);
  void OnAppended(const Result<std::vector<log::Appended>>& result);
  void OnAnswered(Result<std::vector<RecordAnswer>> result);
  void Finish(ChangeState state) {
    outcome.state = state;
    done(std::move(outcome));
  }
  void Refuse(http::ProblemDetails problem) {
    outcome.problem = std::move(problem);
    Finish(ChangeState::kRefused);
  }
  milliseconds Left() const {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - deps.clock.SinceBoot());
    return std::max(left, milliseconds(0));
  }

  const ChangeFlowDeps deps;
  const microseconds deadline;
  const ChangeFlow::Done done;
  AppendedPosition position;
  ChangeOutcome outcome;
  std::unique_ptr<AnswerWatch::Ticket> ticket;
  bool asks = false;
};

void Change::Start(RecordToAppend record) {
  ticket = deps.watch.Open();
  if (ticket == nullptr) {
    return Refuse(Unavailable("Too many requests wait for the processor."));
  }
  position = {.topic = record.topic, .partition = record.partition};
  std::vector<RecordToAppend> records;
  records.push_back(std::move(record));
  const bool taken = deps.writer.Append(
      std::move(records),
      [self = shared_from_this()](const Result<std::vector<log::Appended>>& appended) {
        self->OnAppended(appended);
      });
  if (!taken) {
    ticket.reset();
    Refuse(Unavailable("The log is not taking more records now."));
  }
}

void Change::OnAppended(const Result<std::vector<log::Appended>>& result) {
  if (!result.ok()) {
    ticket.reset();
    return Refuse(Unavailable("The log did not confirm the change; it may be appended. " +
                              result.error().message()));
  }
  position.offset = result.value().front().offset;
  outcome.position = position;
  deps.watch.Await(std::move(ticket), {position}, Left(),
                   [self = shared_from_this()](Result<std::vector<RecordAnswer>> answers) {
                     self->OnAnswered(std::move(answers));
                   });
}

void Change::OnAnswered(Result<std::vector<RecordAnswer>> result) {
  if (!result.ok()) {
    return Finish(ChangeState::kPending);
  }
  RecordAnswer& answer = result.value().front();
  if (asks) {
    outcome.answer = std::move(answer);
    return Finish(ChangeState::kDecided);
  }
  if (!answer.dead_letters.empty()) {
    return Refuse(RejectionOf(answer.dead_letters.front()));
  }
  const auto fact =
      std::find_if(answer.facts.begin(), answer.facts.end(),
                   [&](const v1::Fact& each) { return IsAbout(each, position.topic); });
  if (fact == answer.facts.end()) {
    return Finish(ChangeState::kPending);
  }
  outcome.fact = std::move(*fact);
  if (outcome.fact.result() == v1::FACT_RESULT_REJECTED) {
    return Refuse(RejectionOf(outcome.fact));
  }
  deps.projected.Await({position}, deadline, [self = shared_from_this()](const Status& status) {
    self->Finish(status.ok() ? ChangeState::kProjected : ChangeState::kDecided);
  });
}

}  // namespace

void ChangeFlow::Run(RecordToAppend record, microseconds deadline, Done done) const {
  std::make_shared<Change>(deps_, deadline, std::move(done))->Start(std::move(record));
}

void ChangeFlow::Ask(RecordToAppend record, microseconds deadline, Done done) const {
  const auto change = std::make_shared<Change>(deps_, deadline, std::move(done));
  change->asks = true;
  change->Start(std::move(record));
}

}  // namespace alertstream::api

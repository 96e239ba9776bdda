#include "api/identity/tenant_opening.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "api/control/control_request.h"

namespace alertstream::api {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

bool IsAccepted(const std::vector<RecordAnswer>& answers) {
  return std::all_of(answers.begin(), answers.end(), [](const RecordAnswer& answer) {
    return answer.dead_letters.empty() &&
           std::none_of(answer.facts.begin(), answer.facts.end(), [](const v1::Fact& fact) {
             return fact.result() == v1::FACT_RESULT_REJECTED;
           });
  });
}

// One opening under way. Shared by the callbacks that bring its steps, one after the other.
struct Opening : std::enable_shared_from_this<Opening> {
  Opening(const TenantOpeningDeps& deps_in, microseconds deadline_in, TenantOpening::Done done_in)
      : deps(deps_in), deadline(deadline_in), done(std::move(done_in)) {}

  void OnAppended(const Result<std::vector<log::Appended>>& appended);
  void OnAnswered(const Result<std::vector<RecordAnswer>>& answers);

  const TenantOpeningDeps deps;
  const microseconds deadline;
  const TenantOpening::Done done;
  std::vector<AppendedPosition> positions;
  std::unique_ptr<AnswerWatch::Ticket> ticket;
};

void Opening::OnAppended(const Result<std::vector<log::Appended>>& appended) {
  if (!appended.ok()) {
    ticket.reset();
    return done(OpeningState::kNotAppended);
  }
  for (std::size_t i = 0; i < positions.size(); ++i) {
    positions[i].offset = appended.value()[i].offset;
  }
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - deps.clock.SinceBoot());
  if (ticket == nullptr || left <= milliseconds(0)) {
    ticket.reset();
    return done(OpeningState::kAppended);
  }
  deps.watch.Await(std::move(ticket), positions, left,
                   [self = shared_from_this()](const Result<std::vector<RecordAnswer>>& answers) {
                     self->OnAnswered(answers);
                   });
}

void Opening::OnAnswered(const Result<std::vector<RecordAnswer>>& answers) {
  if (!answers.ok() || !IsAccepted(answers.value())) {
    return done(OpeningState::kAppended);
  }
  // Whether the read side shows it in time makes no difference to the answer.
  deps.projected.Await(positions, deadline, [self = shared_from_this()](const Status& /*status*/) {
    self->done(OpeningState::kDecided);
  });
}

}  // namespace

void TenantOpening::Run(const std::string& request, const std::string& actor, microseconds deadline,
                        Done done) const {
  auto parsed = ParseControl(
      request, {.actor = actor, .now = deps_.clock.Now(), .partitions = deps_.partitions});
  auto* const items = std::get_if<ControlItems>(&parsed);
  if (items == nullptr) {
    return done(OpeningState::kNotAppended);
  }
  const auto opening = std::make_shared<Opening>(deps_, deadline, std::move(done));
  std::vector<RecordToAppend> records;
  for (ControlItem& item : *items) {
    for (RecordToAppend& record : item.records) {
      opening->positions.push_back({.topic = record.topic, .partition = record.partition});
      records.push_back(std::move(record));
    }
  }
  opening->ticket = deps_.watch.Open();
  const bool taken = deps_.writer.Append(
      std::move(records), [opening](const Result<std::vector<log::Appended>>& appended) {
        opening->OnAppended(appended);
      });
  if (!taken) {
    opening->ticket.reset();
    opening->done(OpeningState::kNotAppended);
  }
}

}  // namespace alertstream::api

#include "api/control/control_routes.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "api/control/control_answer.h"
#include "api/control/control_request.h"
#include "api/control/dead_letter_document.h"
#include "api/http/problem.h"
#include "api/ingest/request_fields.h"
#include "schemas/limits.h"
#include "schemas/text.h"

namespace alertstream::api {
namespace {

using http::ProblemDetails;

constexpr std::chrono::seconds kWaitDefault{5};
constexpr std::string_view kActorHeader = "X-Actor";

ProblemDetails Unavailable(std::string detail) {
  return {.status = 503, .code = "unavailable", .detail = std::move(detail)};
}

ProblemDetails Unauthenticated(std::string detail) {
  return {.status = 401, .code = "unauthenticated", .detail = std::move(detail)};
}

// One request that is under way. Shared by the callbacks that bring its parts, one after the other.
struct Operation {
  Operation(http::Responder responder_in, AnswerWatch& watch_in, EntityBook& entities_in)
      : responder(std::move(responder_in)), watch(watch_in), entities(entities_in) {}

  void OnAppended(const std::shared_ptr<Operation>& self,
                  const Result<std::vector<log::Appended>>& result);
  void OnAnswered(const Result<std::vector<RecordAnswer>>& result);
  void Refuse(const ProblemDetails& problem) { responder.Send(http::Problem(problem)); }
  void Send(int status);

  http::Responder responder;
  AnswerWatch& watch;
  EntityBook& entities;
  std::chrono::seconds wait{0};
  ControlItems items;
  std::vector<ControlOutcome> outcomes;
  std::vector<std::size_t> order;           // The items, in the order in which they are appended.
  std::vector<AppendedPosition> positions;  // Of the records.
  std::unique_ptr<AnswerWatch::Ticket> ticket;
};

void Operation::Send(int status) {
  http::Response response{.status = status};
  response.headers.Add("Content-Type", "application/json");
  response.body = ControlAnswer(items, outcomes);
  responder.Send(std::move(response));
}

void Operation::OnAppended(const std::shared_ptr<Operation>& self,
                           const Result<std::vector<log::Appended>>& result) {
  if (!result.ok()) {
    ticket.reset();
    return Refuse(Unavailable("The log did not take all of the events; some may be appended. " +
                              result.error().message()));
  }
  std::size_t record = 0;
  for (const std::size_t index : order) {
    for (std::size_t i = 0; i < items[index].records.size(); ++i, ++record) {
      positions[record].offset = result.value()[record].offset;
      if (i == 0) {
        outcomes[index].position = positions[record];
      }
    }
  }
  if (wait == std::chrono::seconds(0)) {
    ticket.reset();
    return Send(202);
  }
  watch.Await(
      std::move(ticket), positions, wait,
      [self](const Result<std::vector<RecordAnswer>>& answers) { self->OnAnswered(answers); });
}

void Operation::OnAnswered(const Result<std::vector<RecordAnswer>>& result) {
  if (!result.ok()) {
    return Send(202);
  }
  std::size_t record = 0;
  for (const std::size_t index : order) {
    const std::size_t count = items[index].records.size();
    const auto begin = result.value().begin() + static_cast<std::ptrdiff_t>(record);
    outcomes[index].answers.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
    record += count;
    for (const RecordAnswer& answer : outcomes[index].answers) {
      for (const v1::Fact& fact : answer.facts) {
        if (entities.Note(fact)) {
          outcomes[index].unchanged_version = fact.version();
        }
      }
    }
  }
  Send(200);
}

// The key if it is an operator's.
std::variant<std::shared_ptr<const ApiKey>, ProblemDetails> AuthorizeOperator(
    const http::Request& request, const Identity& identity) {
  constexpr std::string_view kName = "X-API-Key";
  const auto presented = request.headers.Find(kName);
  if (!presented || presented->empty() || request.headers.Count(kName) > 1) {
    return Unauthenticated("X-API-Key: expected exactly one API key");
  }
  auto key = presented->size() <= kApiKeyBytesMax ? identity.FindKey(*presented) : nullptr;
  if (key == nullptr) {
    return Unauthenticated("X-API-Key: there is no such API key");
  }
  if (key->kind != KeyKind::kOperator) {
    return ProblemDetails{
        .status = 403, .code = "forbidden", .detail = "Only an operator's key may control."};
  }
  return key;
}

// "ops", or "ops/jane" if the caller says for whom it acts.
std::variant<std::string, ProblemDetails> ActorOf(const http::Request& request, const ApiKey& key) {
  const auto named = request.headers.Find(kActorHeader);
  std::string actor = key.id + (named ? "/" + std::string(*named) : "");
  if (request.headers.Count(kActorHeader) > 1 || actor.size() > schemas::kActorBytesMax ||
      !schemas::IsUtf8(actor) || !schemas::HasNoControls(actor)) {
    return ProblemDetails{.status = 400,
                          .code = "malformed_request",
                          .detail = "X-Actor: expected one short name without control characters"};
  }
  return actor;
}

// The default unless the client says how long it waits; 0: it does not.
std::chrono::seconds WaitOf(const http::Headers& headers) {
  const bool says = std::any_of(headers.fields().begin(), headers.fields().end(),
                                [](const http::HeaderField& field) {
                                  return http::EqualsIgnoringCase(field.name, "Prefer") &&
                                         field.value.find("wait") != std::string::npos;
                                });
  return says ? PreferredWait(headers) : kWaitDefault;
}

// Why retries and the like may not be appended now; nothing: they may, or there are none.
std::optional<ProblemDetails> RefusalOfRepairs(const ControlItems& items,
                                               const AnswerWatch& watch) {
  for (const ControlItem& item : items) {
    if (item.kind != ControlKind::kDeadLetter && item.kind != ControlKind::kNotificationRetry) {
      continue;
    }
    for (const RecordToAppend& record : item.records) {
      if (auto problem = RefusalOfVersion(watch.EngineVersion(record.partition))) {
        return problem;
      }
    }
  }
  return std::nullopt;
}

// Shared by the route's copies.
class ControlDoor {
 public:
  explicit ControlDoor(const ControlDeps& deps) : deps_(deps) {}

  void Handle(const http::Request& request, http::Responder responder) const;

 private:
  void Append(const std::shared_ptr<Operation>& operation) const;

  const ControlDeps deps_;
};

void ControlDoor::Handle(const http::Request& request, http::Responder responder) const {
  const auto operation =
      std::make_shared<Operation>(std::move(responder), deps_.watch, deps_.entities);
  const auto key = AuthorizeOperator(request, deps_.identity);
  if (const auto* problem = std::get_if<ProblemDetails>(&key)) {
    return operation->Refuse(*problem);
  }
  const auto actor = ActorOf(request, *std::get<std::shared_ptr<const ApiKey>>(key));
  if (const auto* problem = std::get_if<ProblemDetails>(&actor)) {
    return operation->Refuse(*problem);
  }
  auto parsed = ParseControl(request.body, {.actor = std::get<std::string>(actor),
                                            .now = deps_.clock.Now(),
                                            .partitions = deps_.partitions});
  if (const auto* problem = std::get_if<ProblemDetails>(&parsed)) {
    return operation->Refuse(*problem);
  }
  operation->items = std::get<ControlItems>(std::move(parsed));
  if (const auto problem = RefusalOfRepairs(operation->items, deps_.watch)) {
    return operation->Refuse(*problem);
  }
  operation->wait = WaitOf(request.headers);
  Append(operation);
}

void ControlDoor::Append(const std::shared_ptr<Operation>& operation) const {
  ControlItems& items = operation->items;
  operation->outcomes.resize(items.size());
  operation->order.resize(items.size());
  std::iota(operation->order.begin(), operation->order.end(), std::size_t{0});
  if (items.empty()) {
    return operation->Send(200);
  }
  // What others refer to comes first: tenants, plans, sites, senders, triggers, then the rest.
  std::stable_sort(operation->order.begin(), operation->order.end(),
                   [&](std::size_t a, std::size_t b) {
                     return std::min(items[a].kind, ControlKind::kConsent) <
                            std::min(items[b].kind, ControlKind::kConsent);
                   });
  std::vector<RecordToAppend> records;
  for (const std::size_t index : operation->order) {
    for (const RecordToAppend& record : items[index].records) {
      operation->positions.push_back({.topic = record.topic, .partition = record.partition});
      records.push_back(record);
    }
  }
  if (operation->wait > std::chrono::seconds(0)) {
    operation->ticket = deps_.watch.Open();
    if (operation->ticket == nullptr) {
      return operation->Refuse(Unavailable("Too many requests wait for the processor."));
    }
  }
  const bool taken = deps_.writer.Append(
      std::move(records), [operation](const Result<std::vector<log::Appended>>& appended) {
        operation->OnAppended(operation, appended);
      });
  if (!taken) {
    operation->ticket.reset();
    operation->Refuse(Unavailable("The log is not taking more records now."));
  }
}

}  // namespace

Status AddControlRoutes(http::Routes* routes, const ControlDeps& deps) {
  // Shared by the copies of the handler.
  const auto door = std::make_shared<const ControlDoor>(deps);
  return routes->AddParking(
      "POST", kControlPath,
      [door](const http::Request& request, const http::RouteParams&, http::Responder responder) {
        door->Handle(request, std::move(responder));
      });
}

}  // namespace alertstream::api

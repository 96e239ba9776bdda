#include "api/resources/trigger_routes.h"

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "api/ingest/request_fields.h"
#include "api/query/list_answer.h"
#include "api/resources/resource_answer.h"
#include "api/resources/resource_operation.h"
#include "api/resources/resource_request.h"
#include "processor/base/crypto.h"
#include "projections/read_model/triggers.h"
#include "schemas/text.h"

namespace alertstream::api {
namespace {

using http::ProblemDetails;
using read_model::PageKey;
using read_model::PageRequest;
using read_model::Trigger;

constexpr std::size_t kNewIdBytes = 10;

// The id of a trigger whose maker gave none. With an Idempotency-Key the same request makes the
// same trigger, whatever became of the first answer.
std::string NewTriggerId(const Caller& caller, const std::optional<std::string>& key) {
  if (!key) {
    return "trg-" + ToHex(RandomBytes(kNewIdBytes));
  }
  const Digest digest = Sha256::Of(caller.tenant + "\n" + *key);
  return "trg-" + ToHex({reinterpret_cast<const char*>(digest.data()), kNewIdBytes});
}

http::Response TriggerAnswer(int status, const Trigger& trigger, bool reveal = false) {
  http::Response response = JsonAnswer(status, TriggerFields(trigger, reveal).ToJson());
  response.headers.Add("ETag", EntityTag(static_cast<std::uint64_t>(trigger.version)));
  if (status == 201) {
    response.headers.Add("Location", fmt::format("{}/{}", kTriggersPath, trigger.id));
  }
  return response;
}

// Calls `work` with the trigger; everything else is answered.
void WithTrigger(const OperationPtr& operation, const std::string& id,
                 std::function<void(const Trigger&)> work) {
  if (!schemas::IsEntityId(id)) {
    return operation->Answer(NotFoundProblem());
  }
  operation->Read([operation, id, work = std::move(work)](sql::Session& session) {
    const auto found = read_model::FindTrigger(session, operation->caller().tenant, id);
    if (!found.ok()) {
      return operation->Unavailable(found.error());
    }
    if (!found.value() || found.value()->deleted) {
      return operation->Answer(NotFoundProblem());
    }
    work(*found.value());
  });
}

// Answers with the trigger as the read side shows it now.
void AnswerTrigger(const OperationPtr& operation, const std::string& id, int status) {
  WithTrigger(operation, id, [operation, status](const Trigger& trigger) {
    operation->Answer(TriggerAnswer(status, trigger));
  });
}

// Appends the operation's change, then answers with the trigger.
void ChangeTrigger(const OperationPtr& operation, int status) {
  operation->Change([operation, status](const v1::Fact& fact, bool projected) {
    if (!projected) {
      return operation->AnswerPending(true);
    }
    AnswerTrigger(operation, fact.trigger().trigger().id(), status);
  });
}

void CreateTrigger(const OperationPtr& operation, const std::string&) {
  const auto key = IdempotencyKeyField(operation->request().headers);
  if (!key.ok()) {
    return operation->Refuse(
        {.status = 400, .code = "malformed_request", .detail = key.error().message()});
  }
  const std::string own_id = NewTriggerId(operation->caller(), key.value());
  const ResourceChange* change = operation->Take(
      ParseTrigger(operation->request().body, operation->context(), {.default_id = own_id}));
  if (change == nullptr) {
    return;
  }
  const bool repeated = change->id == own_id;
  operation->WithKey("POST /api/v1/triggers", [operation, repeated] {
    operation->Read([operation, repeated](sql::Session& session) {
      const auto found =
          read_model::FindTrigger(session, operation->caller().tenant, operation->change().id);
      if (!found.ok()) {
        return operation->Unavailable(found.error());
      }
      if (!found.value()) {
        return ChangeTrigger(operation, 201);
      }
      if (repeated && !found.value()->deleted) {
        return operation->Answer(TriggerAnswer(201, *found.value()));
      }
      operation->Refuse({.status = 409,
                         .code = "conflict",
                         .detail = "There is, or was, a trigger with this id.",
                         .errors = {{.detail = "taken", .pointer = "#/id"}}});
    });
  });
}

// The version that a change is based on; nothing: the client has the answer.
std::optional<std::uint64_t> Precondition(const OperationPtr& operation) {
  const auto if_match = IfMatchOf(operation->request().headers);
  if (!if_match.ok()) {
    operation->Refuse(
        {.status = 400, .code = "malformed_request", .detail = if_match.error().message()});
    return std::nullopt;
  }
  if (!if_match.value().version) {
    operation->Refuse({.status = 428,
                       .code = "precondition_required",
                       .detail = "If-Match: send the ETag of the version that is changed"});
  }
  return if_match.value().version;
}

// What the fold is to compare with: "*" means the version that the read side shows.
std::uint64_t ExpectedVersion(std::uint64_t if_match, const Trigger& present) {
  return if_match != 0 ? if_match : static_cast<std::uint64_t>(present.version);
}

void ReplaceTrigger(const OperationPtr& operation, const std::string& id) {
  const auto if_match = Precondition(operation);
  if (!if_match) {
    return;
  }
  WithTrigger(operation, id, [operation, if_match = *if_match](const Trigger& present) {
    const TriggerForm form{.path_id = present.id,
                           .expected_version = ExpectedVersion(if_match, present)};
    if (operation->Take(ParseTrigger(operation->request().body, operation->context(), form)) !=
        nullptr) {
      ChangeTrigger(operation, 200);
    }
  });
}

void DeleteTrigger(const OperationPtr& operation, const std::string& id) {
  const auto if_match = Precondition(operation);
  if (!if_match) {
    return;
  }
  WithTrigger(operation, id, [operation, if_match = *if_match](const Trigger& present) {
    operation->change() =
        TriggerDeletion(present.id, operation->context(), ExpectedVersion(if_match, present));
    operation->Change([operation](const v1::Fact&, bool projected) {
      if (!projected) {
        return operation->AnswerPending(true);
      }
      operation->Answer({.status = 204});
    });
  });
}

void CheckTrigger(const OperationPtr& operation, const std::string&) {
  const auto faults = FaultsOfTrigger(operation->request().body);
  if (const auto* problem = std::get_if<ProblemDetails>(&faults)) {
    return operation->Refuse(*problem);
  }
  operation->Answer(JsonAnswer(200, ChecksJson(std::get<std::vector<BodyFault>>(faults))));
}

std::variant<ReadTask, http::Response> PlanTrigger(const std::shared_ptr<const ReadCall>& call) {
  const std::string id(call->params.Get("id"));
  if (!schemas::IsEntityId(id)) {
    return NotFoundProblem();
  }
  if (const auto problem = RefuseQuery(call->request.query)) {
    return http::Problem(*problem);
  }
  return ReadTask([call, id](sql::Session& session) -> Result<http::Response> {
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto found,
                                 read_model::FindTrigger(session, call->caller.tenant, id));
    if (!found || found->deleted) {
      return NotFoundProblem();
    }
    return TriggerAnswer(200, *found, call->reveals());
  });
}

ListRoute TriggerList() {
  return {.filters = {},
          .read = [](sql::Session& session, const ReadCall& call, const ListQuery&,
                     const PageRequest& request) -> Result<ListRows> {
            ALERTSTREAM_ASSIGN_OR_RETURN(
                const auto page, read_model::ListTriggers(session, call.caller.tenant, request));
            return RowsOf(
                page, [](const Trigger& row) { return PageKey{.time = row.at, .id = row.id}; },
                [&](const Trigger& row) { return TriggerFields(row, call.reveals()); });
          },
          // A cursor is a text of base64, which is an entity's id, too, as far as its form goes.
          .is_id = [](std::string_view) { return false; },
          .find = {},
          .columns = TriggerFields({.definition = "{}"}, false)};
}

ListRoute VersionList() {
  return {.filters = {},
          .read = [](sql::Session& session, const ReadCall& call, const ListQuery&,
                     const PageRequest& request) -> Result<ListRows> {
            const std::string_view id = call.params.Get("id");
            if (!schemas::IsEntityId(id)) {
              return Error(ErrorCode::kNotFound, "no trigger's id");
            }
            ALERTSTREAM_ASSIGN_OR_RETURN(const auto trigger,
                                         read_model::FindTrigger(session, call.caller.tenant, id));
            if (!trigger) {
              return Error(ErrorCode::kNotFound, "no such trigger");
            }
            ALERTSTREAM_ASSIGN_OR_RETURN(
                const auto page,
                read_model::ListTriggerVersions(session, call.caller.tenant, id, request));
            return RowsOf(
                page,
                [](const Trigger& row) {
                  return PageKey{.time = row.at, .id = read_model::VersionKey(row.version)};
                },
                [&](const Trigger& row) { return TriggerVersionFields(row, call.reveals()); });
          },
          .is_id = [](std::string_view) { return false; },
          .find = {},
          .columns = TriggerVersionFields({.definition = "{}"}, false)};
}

}  // namespace

Status AddTriggerRoutes(http::Routes* routes, const std::shared_ptr<const ResourceDeps>& deps) {
  const std::string all(kTriggersPath);
  const std::string one = all + "/{id}";
  const auto desk = std::make_shared<ReadDesk>(deps->read);
  ALERTSTREAM_RETURN_IF_ERROR(
      desk->Add(routes, all, Permission::kReadTriggers, PlanList(TriggerList(), deps->cursors)));
  ALERTSTREAM_RETURN_IF_ERROR(desk->Add(routes, one, Permission::kReadTriggers, PlanTrigger));
  ALERTSTREAM_RETURN_IF_ERROR(desk->Add(routes, one + "/versions", Permission::kReadTriggers,
                                        PlanList(VersionList(), deps->cursors)));
  using Handler = void (*)(const OperationPtr&, const std::string& id);
  struct Route {
    std::string_view method;
    std::string pattern;
    Handler handler;
    Repeats repeats = Repeats::kRefused;
  };
  const std::array<Route, 4> changes = {{{"POST", all, CreateTrigger, Repeats::kAnswered},
                                         {"POST", all + "/validate", CheckTrigger},
                                         {"PUT", one, ReplaceTrigger},
                                         {"DELETE", one, DeleteTrigger}}};
  for (const Route& route : changes) {
    ALERTSTREAM_RETURN_IF_ERROR(routes->AddParking(
        route.method, route.pattern,
        [deps, handler = route.handler, has_body = route.method != "DELETE",
         repeats = route.repeats](http::Request request, const http::RouteParams& params,
                                  http::Responder responder) {
          const auto operation =
              std::make_shared<ResourceOperation>(deps, std::move(request), std::move(responder));
          if (operation->Admit(Permission::kWriteTriggers, repeats) &&
              (!has_body || operation->TakesJson())) {
            handler(operation, std::string(params.Get("id")));
          }
        }));
  }
  return Status::Ok();
}

}  // namespace alertstream::api

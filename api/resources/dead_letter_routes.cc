#include "api/resources/dead_letter_routes.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "api/control/dead_letter_document.h"
#include "api/http/problem.h"
#include "api/query/object_fields.h"
#include "api/resources/notification_routes.h"
#include "api/resources/resource_answer.h"
#include "api/resources/resource_operation.h"
#include "api/resources/resource_request.h"
#include "processor/base/crypto.h"
#include "processor/base/id.h"
#include "projections/read_model/dead_letters.h"
#include "projections/read_model/events.h"
#include "projections/read_model/notifications.h"
#include "schemas/enum_words.h"
#include "schemas/input_codec.h"
#include "schemas/limits.h"
#include "schemas/topics.h"

namespace alertstream::api {
namespace {

using http::ProblemDetails;

constexpr std::string_view kPath = "/api/v1/dead-letters";
constexpr std::string_view kRetryNotificationPath = "/api/v1/notifications/{id}/retry";

ProblemDetails Conflict(std::string_view code, std::string detail) {
  return {.status = 409, .code = code, .detail = std::move(detail)};
}

// What is asked for about one dead letter, on its way to its record.
struct Repair {
  v1::DeadLetterActionKind kind;
  RepairRequest request;
  std::string id;
};

bool IsRetry(v1::DeadLetterActionKind kind) {
  return kind == v1::DEAD_LETTER_ACTION_KIND_RETRY || kind == v1::DEAD_LETTER_ACTION_KIND_EDIT;
}

// Why nothing is appended, whatever the letter's state.
std::optional<ProblemDetails> RefusalOf(const Repair& repair, const read_model::DeadLetter& letter,
                                        const v1::DeadLetterAction& action) {
  if (!HasRecord(action.record())) {
    return Conflict("not_retryable",
                    "The engine failed on a timer; there is no record, and nothing to be done.");
  }
  // Its retry may end the process, which leaves no trace of the retry.
  if (IsRetry(repair.kind) && !repair.request.forced &&
      letter.stage == schemas::Word(v1::DEAD_LETTER_STAGE_SKIP)) {
    return Conflict(
        "crashed_process",
        "The record ended the process and was skipped; its retry may stop the partition "
        "again. Forced, it is tried all the same.");
  }
  return std::nullopt;
}

v1::DeadLetterAction ActionOf(const Repair& repair, const read_model::DeadLetter& letter) {
  const auto id = ParseId(IdKind::kDeadLetter, letter.id);
  const auto topic = schemas::TopicByName(letter.topic);
  v1::DeadLetterAction action;
  if (id.ok() && topic) {
    action.set_id(std::string(AsView(id.value())));
    action.mutable_record()->set_topic(static_cast<std::uint32_t>(*topic));
  }
  action.mutable_record()->set_partition(static_cast<std::uint32_t>(letter.partition));
  action.mutable_record()->set_offset(letter.offset);
  action.set_kind(repair.kind);
  action.set_forced(repair.request.forced);
  return action;
}

// DROP and PURGE.
ResourceParse ChangeRecord(const Repair& repair, const v1::DeadLetterAction& action,
                           const ResourceContext& context) {
  v1::Envelope envelope;
  envelope.set_tenant(std::string(context.tenant));
  envelope.set_routing_key(std::string(context.tenant));
  envelope.set_type("dlq.action");
  envelope.set_schema_version(schemas::kSchemaVersionMax);
  envelope.set_source("rest");
  envelope.set_trust(v1::TRUST_SYSTEM);
  envelope.set_actor(std::string(context.actor));
  envelope.set_ingest_time_us(ToMicros(context.now));
  envelope.mutable_account_change()->set_reason(repair.request.reason);
  *envelope.mutable_account_change()->mutable_dead_letter_action() = action;
  auto value = schemas::EncodeEnvelope(envelope);
  if (!value.ok()) {
    return ProblemDetails{.status = 500, .code = "internal", .detail = value.error().message()};
  }
  return ResourceChange{
      .id = repair.id,
      .record = {.topic = schemas::Topic::kAccountChanges,
                 .partition = schemas::PartitionOf(context.tenant, context.partitions),
                 .key = std::string(context.tenant),
                 .value = std::move(value).value()}};
}

// Changes members of an event in our own form, and nothing else of the record. The problem if it
// has none.
std::optional<ProblemDetails> EditEvent(const RepairRequest& request, schemas::Topic topic,
                                        v1::RawRecord* record) {
  v1::Envelope envelope;
  if (topic != schemas::Topic::kSiteEvents || !envelope.ParseFromString(record->value()) ||
      !envelope.has_site_event()) {
    return Conflict("not_editable", "The record is no event whose members could be changed.");
  }
  if (!request.data.empty()) {
    envelope.mutable_site_event()->mutable_data()->set_plain(request.data);
  }
  if (!request.type.empty()) {
    envelope.set_type(request.type);
  }
  if (!request.site.empty()) {
    envelope.set_site(request.site);
  }
  envelope.clear_body_sha256();  // Of another body.
  auto value = schemas::EncodeEnvelope(envelope);
  if (!value.ok()) {
    return Conflict("not_editable", value.error().message());
  }
  const schemas::RecordView view{.key = record->key(), .value = value.value(), .headers = {}};
  if (const auto fault = schemas::DecodeInput(topic, view, &envelope)) {
    return ProblemDetails{.status = 422,
                          .code = "validation_failed",
                          .detail = "Nothing was appended: the copy would die as well.",
                          .errors = {{.detail = fault->detail, .pointer = "#"}}};
  }
  record->set_value(std::move(value).value());
  return std::nullopt;
}

// RETRY and EDIT.
ResourceParse RetryRecordOf(const Repair& repair, const read_model::DeadLetterWhole& whole,
                            v1::DeadLetterAction action, const ResourceContext& context) {
  v1::Personal original;
  v1::RawRecord record;
  if (!whole.original_sealed || !original.ParseFromString(*whole.original_sealed) ||
      !record.ParseFromString(original.plain())) {
    return Conflict("no_bytes", "There are no bytes of the record to be tried again.");
  }
  const auto topic = static_cast<schemas::Topic>(action.record().topic());
  if (repair.kind == v1::DEAD_LETTER_ACTION_KIND_EDIT) {
    if (auto problem = EditEvent(repair.request, topic, &record)) {
      return std::move(*problem);
    }
  }
  action.set_actor(std::string(context.actor));
  action.set_reason(repair.request.reason);
  auto again =
      RetryRecord(topic, static_cast<std::int32_t>(action.record().partition()), record, action);
  if (!again.ok()) {
    return Conflict("not_retryable", again.error().message());
  }
  return ResourceChange{.id = repair.id, .record = std::move(again).value()};
}

// Nothing is appended while the fold would take the record for another.
bool IsInForce(const OperationPtr& operation, std::int32_t partition) {
  const auto problem = RefusalOfVersion(operation->deps().watch.EngineVersion(partition));
  if (problem) {
    operation->Refuse(*problem);
  }
  return !problem;
}

void Act(const OperationPtr& operation, const Repair& repair) {
  operation->Read([operation, repair](sql::Session& session) {
    const auto found = read_model::FindDeadLetter(session, operation->caller().tenant, repair.id);
    session.Rollback();
    if (!found.ok()) {
      return operation->Unavailable(found.error());
    }
    if (!found.value()) {
      return operation->Answer(NotFoundProblem());
    }
    const v1::DeadLetterAction action = ActionOf(repair, found.value()->letter);
    if (const auto problem = RefusalOf(repair, found.value()->letter, action)) {
      return operation->Refuse(*problem);
    }
    auto parsed = IsRetry(repair.kind)
                      ? RetryRecordOf(repair, *found.value(), action, operation->context())
                      : ChangeRecord(repair, action, operation->context());
    if (operation->Take(std::move(parsed)) == nullptr ||
        !IsInForce(operation, operation->change().record.partition)) {
      return;
    }
    operation->Ask(operation->change().record, [operation](const RecordAnswer& answer) {
      operation->Answer(AnswerOfDeadLetterAction(answer));
    });
  });
}

// A repetition with the same Idempotency-Key is answered as the first was.
void Begin(const OperationPtr& operation, v1::DeadLetterActionKind kind, const std::string& id) {
  if (!ParseId(IdKind::kDeadLetter, id).ok()) {
    return operation->Answer(NotFoundProblem());
  }
  const RepairForm form =
      kind == v1::DEAD_LETTER_ACTION_KIND_EDIT ? RepairForm::kEdit : RepairForm::kPlain;
  auto parsed = ParseRepair(operation->request().body, form);
  if (const auto* problem = std::get_if<ProblemDetails>(&parsed)) {
    return operation->Refuse(*problem);
  }
  const Repair repair{kind, std::get<RepairRequest>(std::move(parsed)), id};
  operation->WithKey(fmt::format("POST {}/{}/{}", kPath, id, schemas::Word(kind)),
                     [operation, repair] { Act(operation, repair); });
}

// What the message was, from the read side, and whom it was for. `site`: of the event that caused
// it; a site that is not active sends nothing.
std::variant<v1::Envelope, ProblemDetails> EnvelopeOfRetry(const read_model::Notification& dead,
                                                           const std::string& site,
                                                           const RepairRequest& request,
                                                           const ResourceContext& context) {
  v1::Envelope envelope;
  v1::DirectNotification* direct = envelope.mutable_site_event()->mutable_direct();
  v1::RetryRequested* retry = direct->mutable_retry();
  if (!dead.to_sealed || !direct->mutable_to()->ParseFromString(*dead.to_sealed) ||
      !dead.body_sealed || !retry->mutable_body()->ParseFromString(*dead.body_sealed)) {
    return Conflict("no_bytes", "Address and text of the notification are not known any more.");
  }
  retry->set_notification_id(dead.id);
  retry->set_sender_id(dead.sender_id.value_or(""));
  retry->set_forced(request.forced);
  retry->set_reason(request.reason);
  envelope.set_tenant(std::string(context.tenant));
  envelope.set_routing_key(std::string(context.tenant));
  envelope.set_site(site);
  envelope.set_type("notification.retry");
  envelope.set_schema_version(schemas::kSchemaVersionMax);
  envelope.set_source("rest");
  envelope.set_trust(v1::TRUST_SECRET);
  envelope.set_actor(std::string(context.actor));
  envelope.set_ingest_time_us(ToMicros(context.now));
  return envelope;
}

// A key is the route's: the fold, which keeps keys of all routes together, gets one made from both.
// What it compares is the request.
void SetKey(const std::string& route, const ResourceOperation& operation, v1::Envelope* envelope) {
  if (!operation.key()) {
    return;
  }
  constexpr std::string_view kBetween = "\n";
  const auto digest = [&](std::string_view text) {
    return Sha256().Update(route).Update(kBetween).Update(text).Final();
  };
  envelope->mutable_idempotency()->set_key(ToHex(AsView(digest(*operation.key()))));
  envelope->set_body_sha256(std::string(AsView(digest(operation.request().body))));
}

std::string RouteOfRetry(const std::string& id) {
  return fmt::format("POST /api/v1/notifications/{}/retry", id);
}

void RetryNotification(const OperationPtr& operation, const std::string& id,
                       const RepairRequest& request) {
  operation->Read([operation, id, request](sql::Session& session) {
    const std::string& tenant = operation->caller().tenant;
    const auto found = read_model::FindNotification(session, tenant, id);
    std::string site;
    if (found.ok() && found.value() && found.value()->notification.event_id) {
      const auto event =
          read_model::FindEvent(session, tenant, *found.value()->notification.event_id);
      if (!event.ok()) {
        return operation->Unavailable(event.error());
      }
      site = event.value() ? event.value()->site : "";
    }
    session.Rollback();
    if (!found.ok()) {
      return operation->Unavailable(found.error());
    }
    if (!found.value()) {
      return operation->Answer(NotFoundProblem());
    }
    auto made = EnvelopeOfRetry(found.value()->notification, site, request, operation->context());
    if (const auto* problem = std::get_if<ProblemDetails>(&made)) {
      return operation->Refuse(*problem);
    }
    auto& envelope = std::get<v1::Envelope>(made);
    SetKey(RouteOfRetry(id), *operation, &envelope);
    if (IsInForce(operation, schemas::PartitionOf(tenant, operation->context().partitions))) {
      SendNotification(operation, envelope);
    }
  });
}

void BeginNotification(const OperationPtr& operation, const std::string& id) {
  if (!ParseId(IdKind::kNotification, id).ok()) {
    return operation->Answer(NotFoundProblem());
  }
  auto parsed = ParseRepair(operation->request().body, RepairForm::kPlain);
  if (const auto* problem = std::get_if<ProblemDetails>(&parsed)) {
    return operation->Refuse(*problem);
  }
  operation->WithKey(RouteOfRetry(id),
                     [operation, id, request = std::get<RepairRequest>(std::move(parsed))] {
                       RetryNotification(operation, id, request);
                     });
}

Status AddRoute(http::Routes* routes, const std::string& path,
                std::shared_ptr<const ResourceDeps> deps,
                std::function<void(const OperationPtr&, const std::string&)> begin) {
  return routes->AddParking(
      "POST", path,
      [deps = std::move(deps), begin = std::move(begin)](
          http::Request request, const http::RouteParams& params, http::Responder responder) {
        const auto operation =
            std::make_shared<ResourceOperation>(deps, std::move(request), std::move(responder));
        // Whoever may send may try again what was to be sent.
        if (!operation->Admit(Permission::kSendNotifications, Repeats::kAnswered) ||
            !operation->TakesJson()) {
          return;
        }
        if (!operation->caller().site.empty()) {
          return operation->Refuse({.status = 403,
                                    .code = "forbidden",
                                    .detail = "The key of one website repairs nothing."});
        }
        begin(operation, std::string(params.Get("id")));
      });
}

// The record was appended and is done with, but not as an action on the dead letter. Nobody is told
// to come again: it would be decided once more.
ProblemDetails OutcomeWithoutFact(const RecordAnswer& answer) {
  if (!answer.dead_letters.empty()) {
    const v1::DeadLetter& died = answer.dead_letters.front();
    return Conflict(
        "conflict",
        fmt::format("The record was passed over and is the dead letter {} now ({}); what "
                    "was asked for was not done.",
                    FormatId(IdKind::kDeadLetter, died.id()), schemas::Word(died.reason())));
  }
  return Conflict(
      "engine_version",
      fmt::format("The record was decided by an engine version that knows no actions on "
                  "dead letters. Activate {} and look at what it did before anything is "
                  "asked for again.",
                  kRepairEngineVersionMin));
}

}  // namespace

http::Response AnswerOfDeadLetterAction(const RecordAnswer& answer) {
  const auto fact = std::find_if(answer.facts.begin(), answer.facts.end(),
                                 [](const v1::Fact& each) { return each.has_dead_letter(); });
  if (fact == answer.facts.end()) {
    return http::Problem(OutcomeWithoutFact(answer));
  }
  if (fact->result() == v1::FACT_RESULT_REJECTED) {
    return http::Problem(RejectionOf(*fact));
  }
  const v1::DeadLetterFact& subject = fact->dead_letter();
  ObjectFields fields;
  fields.Text("object", "dead_letter_action")
      .Text("id", FormatId(IdKind::kDeadLetter, subject.id()))
      .Text("action", schemas::Word(subject.action()))
      .Text("status", schemas::Word(subject.status()))
      .Integer("retries", static_cast<std::int64_t>(subject.retries()))
      .Text("died_as", subject.died_as().empty()
                           ? std::optional<std::string>()
                           : FormatId(IdKind::kDeadLetter, subject.died_as()));
  return JsonAnswer(200, fields.ToJson());
}

Status AddDeadLetterRoutes(http::Routes* routes, std::shared_ptr<const ResourceDeps> deps) {
  for (const auto kind : {v1::DEAD_LETTER_ACTION_KIND_RETRY, v1::DEAD_LETTER_ACTION_KIND_EDIT,
                          v1::DEAD_LETTER_ACTION_KIND_DROP, v1::DEAD_LETTER_ACTION_KIND_PURGE}) {
    ALERTSTREAM_RETURN_IF_ERROR(
        AddRoute(routes, fmt::format("{}/{{id}}/{}", kPath, schemas::Word(kind)), deps,
                 [kind](const OperationPtr& operation, const std::string& id) {
                   Begin(operation, kind, id);
                 }));
  }
  return AddRoute(routes, std::string(kRetryNotificationPath), std::move(deps), BeginNotification);
}

}  // namespace alertstream::api

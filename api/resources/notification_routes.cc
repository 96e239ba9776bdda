#include "api/resources/notification_routes.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "api/http/problem.h"
#include "api/query/object_fields.h"
#include "api/resources/resource_answer.h"
#include "api/resources/resource_operation.h"
#include "processor/base/crypto.h"
#include "processor/base/id.h"
#include "projections/read_model/decisions.h"
#include "projections/read_model/events.h"
#include "projections/read_model/recipients.h"
#include "schemas/enum_words.h"
#include "schemas/json_object.h"

namespace alertstream::api {
namespace {

using schemas::JsonObject;

constexpr std::string_view kPath = "/api/v1/notifications";

// The first instant of the calendar month (UTC) after the one of `time`.
LogTime NextMonth(LogTime time) {
  using std::chrono::day;
  using std::chrono::months;
  const std::chrono::sys_time<std::chrono::microseconds> instant(time.time_since_epoch());
  const std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(instant));
  const std::chrono::sys_days first(std::chrono::year_month_day(date.year(), date.month(), day(1)) +
                                    months(1));
  return FromMicros(
      std::chrono::duration_cast<std::chrono::microseconds>(first.time_since_epoch()).count());
}

// 429 with what the plan allows, what is left of it and when the month ends.
http::Response QuotaExceeded(const v1::DecisionRecord& record, const v1::Decision& decision) {
  const auto gate =
      std::find_if(decision.gates().begin(), decision.gates().end(),
                   [](const v1::GateResult& each) { return each.gate() == v1::GATE_PLAN_QUOTA; });
  const std::int64_t limit = gate == decision.gates().end() ? 0 : gate->limit();
  const std::int64_t used = gate == decision.gates().end() ? 0 : gate->observed();
  const LogTime now = FromMicros(record.decided_at_us());
  const LogTime resets_at = NextMonth(now);
  const auto seconds =
      std::chrono::ceil<std::chrono::seconds>(std::chrono::microseconds(resets_at - now)).count();
  http::Response response = http::Problem(
      {.status = 429,
       .code = "quota_exceeded",
       .detail = fmt::format("The plan's {} messages of this month are used up.", limit)});
  response.body.pop_back();
  response.body += fmt::format(R"(,"limit":{},"remaining":{},"resets_at":"{}","decision":"{}"}})",
                               limit, std::max<std::int64_t>(limit - used, 0),
                               FormatMillis(resets_at), FormatId(IdKind::kDecision, decision.id()));
  response.headers.Add("Retry-After", std::to_string(seconds));
  response.headers.Add("RateLimit", fmt::format(R"("plan";r=0;t={})", seconds));
  return response;
}

std::string DecisionJson(const v1::Decision& decision) {
  ObjectFields fields;
  fields.Text("id", FormatId(IdKind::kDecision, decision.id()));
  decision.trigger_id().empty() ? fields.Null("trigger")
                                : fields.Text("trigger", decision.trigger_id());
  decision.recipient_token().empty()
      ? fields.Null("recipient")
      : fields.Text("recipient", FormatId(IdKind::kRecipient, decision.recipient_token()));
  fields.Text("channel", schemas::Word(decision.channel()));
  fields.Text("outcome", schemas::Word(decision.outcome()));
  decision.reason() == v1::REASON_UNSPECIFIED
      ? fields.Null("reason")
      : fields.Text("reason", schemas::Word(decision.reason()));
  decision.notification_id().empty()
      ? fields.Null("notification_id")
      : fields.Text("notification_id", FormatId(IdKind::kNotification, decision.notification_id()));
  fields.Integer("segments", static_cast<std::int64_t>(decision.segments()));
  return fields.ToJson();
}

http::Response AnswerOfDeadLetter(const v1::DeadLetter& letter) {
  if (letter.reason() == v1::DEAD_LETTER_REASON_UNKNOWN_TRIGGER) {
    return http::Problem(
        {.status = 422,
         .code = "validation_failed",
         .detail = "Nothing was sent: there is no such trigger.",
         .errors = {{.detail = "expected the id of an enabled trigger", .pointer = "#/trigger"}}});
  }
  if (letter.reason() == v1::DEAD_LETTER_REASON_IDEMPOTENCY_CONFLICT) {
    return http::Problem({.status = 422,
                          .code = "idempotency_key_reused",
                          .detail = "Idempotency-Key: it was used with another body"});
  }
  return http::Problem(RejectionOf(letter));
}

std::string DecisionJson(const read_model::Decision& decision) {
  ObjectFields fields;
  fields.Text("id", decision.id);
  decision.trigger_id.empty() ? fields.Null("trigger")
                              : fields.Text("trigger", decision.trigger_id);
  fields.Text("recipient", decision.recipient);
  fields.Text("channel", decision.channel).Text("outcome", decision.outcome);
  fields.Text("reason", decision.reason).Text("notification_id", decision.notification_id);
  fields.Integer("segments", decision.segments);
  return fields.ToJson();
}

// The client was asked to come again: nothing was sent, and later something may be.
bool MayBeAskedAgain(const read_model::Event& event,
                     const std::vector<read_model::Decision>& decisions) {
  return decisions.empty() ? event.verdict == "no_match"
                           : decisions.front().reason == "quota_exceeded";
}

http::Response AnswerOfFirst(const read_model::Event& event,
                             const std::vector<read_model::Decision>& decisions) {
  JsonObject object;
  object.Text("object", "notification_request").Text("id", event.id);
  object.Text("verdict", event.verdict);
  decisions.empty() ? object.Null("decision")
                    : object.Raw("decision", DecisionJson(decisions.front()));
  http::Response response = JsonAnswer(200, object.Take());
  response.headers.Add("Idempotent-Replayed", "true");
  return response;
}

// The fold keeps a key for longer than its answer is kept: it has decided on `first` before. What
// it decided is the answer; unless the client was told to try again, which then is a request of its
// own, with a key that follows from both, so that it is made once, too.
void FollowFirst(const OperationPtr& operation, const v1::Envelope& envelope,
                 const std::string& first) {
  operation->Read([operation, envelope, first](sql::Session& session) {
    const std::string& tenant = operation->caller().tenant;
    const auto event = read_model::FindEvent(session, tenant, first);
    const auto decisions =
        event.ok() ? read_model::ListDecisions(session, tenant, {.event = first}, {.limit = 1})
                   : Result<read_model::Page<read_model::Decision>>(event.error());
    if (!decisions.ok()) {
      return operation->Unavailable(decisions.error());
    }
    if (!event.value()) {
      return operation->Answer(UnavailableProblem(
          "The first request with this Idempotency-Key is not shown yet; ask again."));
    }
    if (!MayBeAskedAgain(*event.value(), decisions.value().rows)) {
      return operation->Answer(AnswerOfFirst(*event.value(), decisions.value().rows));
    }
    v1::Envelope again = envelope;
    const Digest key = Sha256().Update(envelope.idempotency().key()).Update(first).Final();
    again.mutable_idempotency()->set_key(ToHex(AsView(key)));
    SendNotification(operation, again);
  });
}

// The address of a person whom the read model knows.
void FindAddress(const OperationPtr& operation, const NotificationDraft& draft) {
  operation->Read([operation, draft](sql::Session& session) {
    const auto found =
        read_model::FindRecipient(session, operation->caller().tenant, draft.recipient);
    if (!found.ok()) {
      return operation->Unavailable(found.error());
    }
    v1::Envelope envelope = draft.envelope;
    v1::DirectNotification* direct = envelope.mutable_site_event()->mutable_direct();
    if (!found.value() || !found.value()->address_sealed ||
        !direct->mutable_to()->ParseFromString(*found.value()->address_sealed)) {
      return operation->Refuse(
          {.status = 422,
           .code = "validation_failed",
           .detail = "Nothing was sent: the recipient's address is not known.",
           .errors = {{.detail = "expected a recipient whose address is known; a phone may be "
                                 "given instead",
                       .pointer = "#/recipient"}}});
    }
    SendNotification(operation, envelope);
  });
}

// The key of one website speaks for no other.
std::optional<http::ProblemDetails> BindToSite(const Caller& caller, v1::Envelope* envelope) {
  if (caller.site.empty() || envelope->site() == caller.site) {
    return std::nullopt;
  }
  if (envelope->site().empty()) {
    envelope->set_site(caller.site);
    return std::nullopt;
  }
  return http::ProblemDetails{
      .status = 403,
      .code = "forbidden",
      .detail = "The key of one website notifies in the name of no other.",
      .errors = {{.detail = "expected the key's own website, or nothing", .pointer = "#/site"}}};
}

void Notify(const OperationPtr& operation) {
  auto parsed = ParseNotification(operation->request().body, operation->context());
  if (const auto* problem = std::get_if<http::ProblemDetails>(&parsed)) {
    return operation->Refuse(*problem);
  }
  auto& draft = std::get<NotificationDraft>(parsed);
  if (const auto problem = BindToSite(operation->caller(), &draft.envelope)) {
    return operation->Refuse(*problem);
  }
  // The same body is another request with the key of another website.
  const std::string& site = operation->caller().site;
  const std::string route =
      site.empty() ? fmt::format("POST {}", kPath) : fmt::format("POST {} of {}", kPath, site);
  operation->WithKey(route, [operation, draft = std::move(draft)]() mutable {
    if (operation->key()) {
      draft.envelope.mutable_idempotency()->set_key(*operation->key());
    }
    if (draft.recipient.empty()) {
      SendNotification(operation, draft.envelope);
    } else {
      FindAddress(operation, draft);
    }
  });
}

}  // namespace

void SendNotification(const OperationPtr& operation, const v1::Envelope& envelope) {
  auto record = RecordOfNotification(envelope, operation->context());
  if (operation->Take(std::move(record)) == nullptr) {
    return;
  }
  operation->Ask(operation->change().record, [operation, envelope](const RecordAnswer& answer) {
    if (!answer.decisions.empty() && !answer.decisions.front().duplicate_of().empty()) {
      return FollowFirst(operation, envelope,
                         FormatId(IdKind::kEvent, answer.decisions.front().duplicate_of()));
    }
    operation->Answer(AnswerOfNotification(answer));
  });
}

http::Response AnswerOfNotification(const RecordAnswer& answer) {
  if (!answer.dead_letters.empty()) {
    return AnswerOfDeadLetter(answer.dead_letters.front());
  }
  if (answer.decisions.empty()) {
    return http::Problem(500, "The processor said nothing about the request.");
  }
  const v1::DecisionRecord& record = answer.decisions.front();
  if (record.engine_version() < 3) {
    http::Response response = http::Problem(
        {.status = 503,
         .code = "unavailable",
         .detail = fmt::format("Nothing was sent: the log is at engine version {}, direct "
                               "notifications need 3 (alertstream engine activate).",
                               record.engine_version())});
    response.headers.Add("Retry-After", "3600");
    return response;
  }
  JsonObject object;
  object.Text("object", "notification_request")
      .Text("id", FormatId(IdKind::kEvent, record.event_id()))
      .Text("verdict", schemas::Word(record.verdict()));
  if (record.decisions_size() == 0) {
    return JsonAnswer(200, object.Null("decision").Take());
  }
  const v1::Decision& decision = record.decisions(0);
  if (decision.reason() == v1::REASON_QUOTA_EXCEEDED) {
    return QuotaExceeded(record, decision);
  }
  return JsonAnswer(200, object.Raw("decision", DecisionJson(decision)).Take());
}

Status AddNotificationRoutes(http::Routes* routes, std::shared_ptr<const ResourceDeps> deps) {
  return routes->AddParking(
      "POST", kPath,
      [deps = std::move(deps)](http::Request request, const http::RouteParams&,
                               http::Responder responder) {
        const auto operation =
            std::make_shared<ResourceOperation>(deps, std::move(request), std::move(responder));
        if (operation->Admit(Permission::kSendNotifications, Repeats::kAnswered) &&
            operation->TakesJson()) {
          Notify(operation);
        }
      });
}

}  // namespace alertstream::api

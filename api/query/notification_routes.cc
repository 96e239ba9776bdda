// GET /api/v1/notifications, notifications/{id}, notifications/{id}/explain.
#include <array>
#include <span>

#include "api/query/event_at.h"
#include "api/query/explanation.h"
#include "api/query/list_answer.h"
#include "api/query/notification_list.h"
#include "api/query/object_plan.h"
#include "api/query/query_routes.h"
#include "api/query/views.h"
#include "schemas/common.pb.h"
#include "schemas/json_object.h"
#include "schemas/output.pb.h"

namespace alertstream::api {
namespace {

constexpr std::chrono::milliseconds kLogTimeout{2'000};

// Those of one recipient leave the last one out.
constexpr std::array<FilterSpec, 5> kFilters = {
    {{.name = "status", .kind = FilterKind::kWord, .words = v1::NotificationStatus_descriptor},
     {.name = "channel", .kind = FilterKind::kWord, .words = v1::Channel_descriptor},
     {.name = "trigger", .kind = FilterKind::kEntityId},
     {.name = "event", .kind = FilterKind::kId, .id_kind = IdKind::kEvent},
     {.name = "recipient", .kind = FilterKind::kId, .id_kind = IdKind::kRecipient}}};

Result<std::string> ShowNotification(sql::Session& session, const ReadCall& call,
                                     const std::string& id) {
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto row, Required(read_model::FindNotification(session, call.caller.tenant, id)));
  ObjectFields fields = NotificationFields(row.notification, {.reveal = call.reveals()});
  fields.Json("timeline", TimelineJson(row.notification.timeline));
  schemas::JsonList attempts;
  for (const auto& attempt : row.attempts) {
    attempts.Raw(AttemptFields(attempt).ToJson());
  }
  fields.Json("attempts", attempts.Take());
  return fields.ToJson();
}

// Why it was sent, from the rows of its event and decision. Nothing if the read model has neither.
Result<std::optional<std::string>> ExplainRow(log::EventLog& log, sql::Session& session,
                                              const ReadCall& call,
                                              const read_model::Notification& row) {
  const std::string& tenant = call.caller.tenant;
  if (!row.decision_id) {
    return std::optional<std::string>();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto decision,
                               read_model::FindDecision(session, tenant, *row.decision_id));
  if (!decision) {
    return std::optional<std::string>();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto trigger,
                               read_model::FindTriggerVersion(session, tenant, decision->trigger_id,
                                                              decision->trigger_version));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto event,
                               read_model::FindEvent(session, tenant, decision->event_id));
  EventAt at;
  const bool is_at_hand =
      event &&
      ReadEventAt(log, {.tenant = tenant, .partition = event->partition, .offset = event->offset},
                  kLogTimeout, &at)
          .ok();
  const engine::ConditionEvent view = at.View();
  return std::optional(ExplainDecision({.decision = *decision,
                                        .trigger = trigger,
                                        .event = is_at_hand ? &view : nullptr,
                                        .is_direct = at.envelope.site_event().has_direct()}));
}

Result<std::string> ExplainNotification(log::EventLog& log, sql::Session& session,
                                        const ReadCall& call, const std::string& id) {
  ALERTSTREAM_RETURN_IF_ERROR(session.Begin(sql::kSnapshot));
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto whole, Required(read_model::FindNotification(session, call.caller.tenant, id)));
  const read_model::Notification& row = whole.notification;
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto decision, ExplainRow(log, session, call, row));
  ObjectFields fields;
  fields.Text("object", "notification_explanation")
      .Text("id", row.id)
      .Text("kind", row.kind)
      .Text("status", row.status)
      .Text("event", row.event_id);
  if (decision) {
    fields.Json("decision", *decision);
  } else {
    fields.Null("decision");
  }
  fields.Json("timeline", TimelineJson(row.timeline));
  return fields.ToJson();
}

}  // namespace

ListRoute NotificationList(NotificationsOf of) {
  const bool of_recipient = of == NotificationsOf::kRecipient;
  return {
      .filters = std::span(kFilters).first(kFilters.size() - (of_recipient ? 1 : 0)),
      .read = [of_recipient](sql::Session& session, const ReadCall& call, const ListQuery& query,
                             const read_model::PageRequest& request) -> Result<ListRows> {
        const read_model::NotificationFilters filters{
            .status = query.Filter("status"),
            .channel = query.Filter("channel"),
            .trigger = query.Filter("trigger"),
            .event = query.Filter("event"),
            .recipient = of_recipient ? std::optional(std::string(call.params.Get("id")))
                                      : query.Filter("recipient")};
        ALERTSTREAM_ASSIGN_OR_RETURN(
            const auto page,
            read_model::ListNotifications(session, call.caller.tenant, filters, request));
        return RowsOf(
            page,
            [](const read_model::Notification& row) {
              return read_model::PageKey{row.created_at, row.id};
            },
            [&](const read_model::Notification& row) {
              return NotificationFields(row, {.reveal = call.reveals()});
            });
      },
      .is_id = [](std::string_view id) { return ParseId(IdKind::kNotification, id).ok(); },
      .find = read_model::FindNotificationKey,
      .columns = NotificationFields({}, {})};
}

Status AddNotificationRoutes(http::Routes* routes, const QueryParts& parts) {
  constexpr Permission kMay = Permission::kReadEvents;
  log::EventLog* log = &parts.deps.log;
  ALERTSTREAM_RETURN_IF_ERROR(
      parts.desk->Add(routes, "/api/v1/notifications", kMay,
                      PlanList(NotificationList(NotificationsOf::kTenant), parts.deps.cursors)));
  ALERTSTREAM_RETURN_IF_ERROR(parts.desk->Add(routes, "/api/v1/notifications/{id}", kMay,
                                              PlanObject(IdKind::kNotification, ShowNotification)));
  return parts.desk->Add(
      routes, "/api/v1/notifications/{id}/explain", kMay,
      PlanObject(IdKind::kNotification,
                 [log](sql::Session& session, const ReadCall& call, const std::string& id) {
                   return ExplainNotification(*log, session, call, id);
                 }));
}

}  // namespace alertstream::api

// GET /api/v1/events, events/{id}, events/{id}/explain.
#include <array>
#include <map>
#include <utility>

#include "api/query/event_at.h"
#include "api/query/explanation.h"
#include "api/query/list_answer.h"
#include "api/query/object_plan.h"
#include "api/query/personal_view.h"
#include "api/query/query_routes.h"
#include "api/query/views.h"
#include "schemas/json_object.h"

namespace alertstream::api {
namespace {

constexpr std::chrono::milliseconds kLogTimeout{2'000};

constexpr std::array<FilterSpec, 1> kFilters = {{{.name = "type", .kind = FilterKind::kEventType}}};

Status ReadData(log::EventLog& log, const ReadCall& call, const read_model::Event& row,
                EventAt* event) {
  return ReadEventAt(
      log, {.tenant = call.caller.tenant, .partition = row.partition, .offset = row.offset},
      kLogTimeout, event);
}

Result<std::string> ShowEvent(log::EventLog& log, sql::Session& session, const ReadCall& call,
                              const std::string& id) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto row,
                               Required(read_model::FindEvent(session, call.caller.tenant, id)));
  ObjectFields fields = EventFields(row);
  fields.Json("gates", ExplainGates(row.gates));
  EventAt event;
  if (!ReadData(log, call, row, &event).ok()) {
    fields.Null("producer_id").Null("source").Text("data_status", "unavailable").Null("data");
    return fields.ToJson();
  }
  fields.Text("producer_id", event.envelope.id()).Text("source", event.envelope.source());
  std::string data;
  if (!event.has_data) {
    data = "null";
  } else if (call.reveals()) {
    schemas::AppendJson(event.data.root(), &data);
  } else {
    AppendMaskedJson(event.data.root(), &data);
  }
  fields.Text("data_status", call.reveals() ? "shown" : "masked").Json("data", std::move(data));
  return fields.ToJson();
}

// The trigger's version that decided, by (id, version); a fan-out names few.
class TriggersAtHand {
 public:
  TriggersAtHand(sql::Session& session, const ReadCall& call) : session_(session), call_(call) {}

  Result<const std::optional<read_model::TriggerVersion>*> Find(
      const read_model::Decision& decision) {
    const auto [entry, is_new] =
        found_.try_emplace({decision.trigger_id, decision.trigger_version});
    if (is_new) {
      ALERTSTREAM_ASSIGN_OR_RETURN(
          entry->second,
          read_model::FindTriggerVersion(session_, call_.caller.tenant, decision.trigger_id,
                                         decision.trigger_version));
    }
    return &entry->second;
  }

 private:
  sql::Session& session_;
  const ReadCall& call_;
  std::map<std::pair<std::string, std::int64_t>, std::optional<read_model::TriggerVersion>> found_;
};

Result<std::string> ExplainEvent(log::EventLog& log, sql::Session& session, const ReadCall& call,
                                 const std::string& id) {
  ALERTSTREAM_RETURN_IF_ERROR(session.Begin(sql::kSnapshot));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto row,
                               Required(read_model::FindEvent(session, call.caller.tenant, id)));
  read_model::DecisionFilters of_event;
  of_event.event = id;
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto page, read_model::ListDecisions(session, call.caller.tenant, of_event,
                                                 {.limit = read_model::kDecisionsOfEventMax}));
  EventAt event;
  const bool is_at_hand = ReadData(log, call, row, &event).ok();
  const engine::ConditionEvent view = event.View();
  TriggersAtHand triggers(session, call);
  schemas::JsonList decisions;
  for (const auto& decision : page.rows) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto* trigger, triggers.Find(decision));
    decisions.Raw(ExplainDecision({.decision = decision,
                                   .trigger = *trigger,
                                   .event = is_at_hand ? &view : nullptr,
                                   .is_direct = event.envelope.site_event().has_direct()}));
  }
  ObjectFields fields;
  fields.Text("object", "event_explanation")
      .Json("event", EventFields(row).ToJson())
      .Json("gates", ExplainGates(row.gates))
      .Json("decisions", decisions.Take())
      .Bool("has_more", page.has_more);
  return fields.ToJson();
}

ListRoute EventList() {
  return {.filters = kFilters,
          .read = [](sql::Session& session, const ReadCall& call, const ListQuery& query,
                     const read_model::PageRequest& request) -> Result<ListRows> {
            read_model::EventFilters filters;
            filters.type = query.Filter("type");
            ALERTSTREAM_ASSIGN_OR_RETURN(
                const auto page,
                read_model::ListEvents(session, call.caller.tenant, filters, request));
            return RowsOf(
                page,
                [](const read_model::Event& event) {
                  return read_model::PageKey{event.append_time, event.id};
                },
                EventFields);
          },
          .is_id = [](std::string_view id) { return ParseId(IdKind::kEvent, id).ok(); },
          .find = read_model::FindEventKey,
          .columns = EventFields({})};
}

}  // namespace

Status AddEventRoutes(http::Routes* routes, const QueryParts& parts) {
  constexpr Permission kMay = Permission::kReadEvents;
  log::EventLog* log = &parts.deps.log;
  ALERTSTREAM_RETURN_IF_ERROR(
      parts.desk->Add(routes, "/api/v1/events", kMay, PlanList(EventList(), parts.deps.cursors)));
  ALERTSTREAM_RETURN_IF_ERROR(parts.desk->Add(
      routes, "/api/v1/events/{id}", kMay,
      PlanObject(IdKind::kEvent,
                 [log](sql::Session& session, const ReadCall& call, const std::string& id) {
                   return ShowEvent(*log, session, call, id);
                 })));
  return parts.desk->Add(
      routes, "/api/v1/events/{id}/explain", kMay,
      PlanObject(IdKind::kEvent,
                 [log](sql::Session& session, const ReadCall& call, const std::string& id) {
                   return ExplainEvent(*log, session, call, id);
                 }));
}

}  // namespace alertstream::api

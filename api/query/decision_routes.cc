// GET /api/v1/decisions.
#include <array>

#include "api/query/list_answer.h"
#include "api/query/query_routes.h"
#include "api/query/views.h"
#include "schemas/decision.pb.h"

namespace alertstream::api {
namespace {

constexpr std::array<FilterSpec, 4> kFilters = {
    {{.name = "event", .kind = FilterKind::kId, .id_kind = IdKind::kEvent},
     {.name = "trigger", .kind = FilterKind::kEntityId},
     {.name = "recipient", .kind = FilterKind::kId, .id_kind = IdKind::kRecipient},
     {.name = "outcome", .kind = FilterKind::kWord, .words = v1::Outcome_descriptor}}};

ListRoute DecisionList() {
  return {.filters = kFilters,
          .read = [](sql::Session& session, const ReadCall& call, const ListQuery& query,
                     const read_model::PageRequest& request) -> Result<ListRows> {
            const read_model::DecisionFilters filters{.event = query.Filter("event"),
                                                      .trigger = query.Filter("trigger"),
                                                      .recipient = query.Filter("recipient"),
                                                      .outcome = query.Filter("outcome")};
            ALERTSTREAM_ASSIGN_OR_RETURN(
                const auto page,
                read_model::ListDecisions(session, call.caller.tenant, filters, request));
            return RowsOf(
                page,
                [](const read_model::Decision& decision) {
                  return read_model::PageKey{decision.decided_at, decision.id};
                },
                DecisionFields);
          },
          .is_id = [](std::string_view id) { return ParseId(IdKind::kDecision, id).ok(); },
          .find = read_model::FindDecisionKey,
          .columns = DecisionFields({})};
}

}  // namespace

Status AddDecisionRoutes(http::Routes* routes, const QueryParts& parts) {
  return parts.desk->Add(routes, "/api/v1/decisions", Permission::kReadEvents,
                         PlanList(DecisionList(), parts.deps.cursors));
}

}  // namespace alertstream::api

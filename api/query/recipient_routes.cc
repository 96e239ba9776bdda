// GET /api/v1/recipients/{id}, recipients/{id}/consents, recipients/{id}/notifications.
#include "api/query/list_answer.h"
#include "api/query/notification_list.h"
#include "api/query/object_plan.h"
#include "api/query/query_routes.h"
#include "api/query/views.h"
#include "schemas/json_object.h"

namespace alertstream::api {
namespace {

Result<std::string> ShowRecipient(sql::Session& session, const ReadCall& call,
                                  const std::string& id) {
  ALERTSTREAM_RETURN_IF_ERROR(session.Begin(sql::kSnapshot));
  const std::string& tenant = call.caller.tenant;
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto row,
                               Required(read_model::FindRecipient(session, tenant, id)));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto consents,
                               read_model::ListConsentsInForce(session, tenant, id));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto opt_outs,
                               read_model::ListOptOutsInForce(session, tenant, id));
  schemas::JsonList in_force;
  for (const auto& consent : consents) {
    in_force.Raw(ConsentFields(consent, {.reveal = call.reveals()}).ToJson());
  }
  schemas::JsonList out;
  for (const auto& opt_out : opt_outs) {
    out.Raw(OptOutFields(opt_out).ToJson());
  }
  ObjectFields fields = RecipientFields(row, {.reveal = call.reveals()});
  fields.Json("consents", in_force.Take()).Json("opt_outs", out.Take());
  return fields.ToJson();
}

// A list of one recipient: 404 if the tenant knows nobody of that id.
ReadPlanner PlanListOfRecipient(ListRoute route, const CursorBook& cursors) {
  route.read = [read = std::move(route.read)](
                   sql::Session& session, const ReadCall& call, const ListQuery& query,
                   const read_model::PageRequest& request) -> Result<ListRows> {
    ALERTSTREAM_ASSIGN_OR_RETURN(auto rows, read(session, call, query, request));
    if (rows.rows.empty()) {
      ALERTSTREAM_RETURN_IF_ERROR(
          Required(read_model::FindRecipient(session, call.caller.tenant, call.params.Get("id"))));
    }
    return rows;
  };
  return
      [plan = PlanList(std::move(route), cursors)](
          const std::shared_ptr<const ReadCall>& call) -> std::variant<ReadTask, http::Response> {
        if (!ParseId(IdKind::kRecipient, call->params.Get("id")).ok()) {
          return NotFoundProblem();
        }
        return plan(call);
      };
}

ListRoute ConsentList() {
  return {.filters = {},
          .read = [](sql::Session& session, const ReadCall& call, const ListQuery&,
                     const read_model::PageRequest& request) -> Result<ListRows> {
            ALERTSTREAM_ASSIGN_OR_RETURN(const auto page,
                                         read_model::ListConsents(session, call.caller.tenant,
                                                                  call.params.Get("id"), request));
            return RowsOf(
                page,
                [](const read_model::Consent& row) {
                  return read_model::PageKey{row.recorded_at, row.id};
                },
                [&](const read_model::Consent& row) {
                  return ConsentFields(row, {.reveal = call.reveals()});
                });
          },
          .is_id = [](std::string_view id) { return ParseId(IdKind::kConsent, id).ok(); },
          .find = read_model::FindConsentKey,
          .columns = ConsentFields({}, {})};
}

}  // namespace

Status AddRecipientRoutes(http::Routes* routes, const QueryParts& parts) {
  constexpr Permission kMay = Permission::kReadRecipients;
  const CursorBook& cursors = parts.deps.cursors;
  ALERTSTREAM_RETURN_IF_ERROR(parts.desk->Add(routes, "/api/v1/recipients/{id}", kMay,
                                              PlanObject(IdKind::kRecipient, ShowRecipient)));
  ALERTSTREAM_RETURN_IF_ERROR(parts.desk->Add(routes, "/api/v1/recipients/{id}/consents", kMay,
                                              PlanListOfRecipient(ConsentList(), cursors)));
  return parts.desk->Add(
      routes, "/api/v1/recipients/{id}/notifications", kMay,
      PlanListOfRecipient(NotificationList(NotificationsOf::kRecipient), cursors));
}

}  // namespace alertstream::api

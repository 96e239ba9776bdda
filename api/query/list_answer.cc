#include "api/query/list_answer.h"

#include <algorithm>
#include <memory>

#include "schemas/json_object.h"

namespace alertstream::api {
namespace {

using read_model::PageKey;
using read_model::PageRequest;

// Made together by a plan; lives until the answer is sent.
struct ListPlan {
  std::shared_ptr<const ListRoute> route;
  const CursorBook& cursors;
  std::shared_ptr<const ReadCall> call;
  ListQuery query;
  ListForm form;

  CursorScope scope() const { return {.tenant = call->caller.tenant, .list = call->request.path}; }
};

// The place that `text` names, a cursor or an id. kInvalid: none of this list.
Result<PageKey> PlaceOf(const ListPlan& plan, sql::Session& session, const std::string& text) {
  if (plan.route->is_id(text)) {
    ALERTSTREAM_ASSIGN_OR_RETURN(auto key,
                                 plan.route->find(session, plan.call->caller.tenant, text));
    if (key) {
      return *std::move(key);
    }
  } else if (auto key = plan.cursors.Read(plan.scope(), text)) {
    return *std::move(key);
  }
  return Error(ErrorCode::kInvalid,
               "Neither a cursor of this list nor the id of one of its objects.");
}

Result<PageRequest> FirstPage(const ListPlan& plan, sql::Session& session) {
  PageRequest request{.limit = plan.query.limit.value_or(kListLimitDefault),
                      .after = {},
                      .before = {},
                      .since = plan.query.since,
                      .until = plan.query.until};
  if (plan.query.starting_after) {
    ALERTSTREAM_ASSIGN_OR_RETURN(request.after, PlaceOf(plan, session, *plan.query.starting_after));
  }
  if (plan.query.ending_before) {
    ALERTSTREAM_ASSIGN_OR_RETURN(request.before, PlaceOf(plan, session, *plan.query.ending_before));
  }
  return request;
}

Result<http::Response> AnswerPage(const ListPlan& plan, sql::Session& session) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const PageRequest request, FirstPage(plan, session));
  ALERTSTREAM_ASSIGN_OR_RETURN(const ListRows list,
                               plan.route->read(session, *plan.call, plan.query, request));
  http::Response response;
  response.headers.Add("Content-Type", ContentTypeOf(plan.form));
  std::string& body = response.body;
  body = R"({"object":"list","data":[)";
  for (std::size_t i = 0; i < list.rows.size(); ++i) {
    body += i == 0 ? "" : ",";
    list.rows[i].second.AppendJson(&body);
  }
  body += list.has_more ? R"(],"has_more":true,"url":)" : R"(],"has_more":false,"url":)";
  body += schemas::JsonText(plan.call->request.path);
  body += R"(,"next_cursor":)";
  // Behind a page that was walked towards the newest there is at least what it was walked from.
  const bool has_older = !list.rows.empty() && (list.has_more || request.before);
  body += has_older ? schemas::JsonText(plan.cursors.Write(plan.scope(), list.rows.back().first))
                    : "null";
  body += "}";
  return response;
}

Result<http::Response> AnswerExport(const ListPlan& plan, sql::Session& session) {
  ALERTSTREAM_RETURN_IF_ERROR(session.Begin(sql::kSnapshot));
  ALERTSTREAM_ASSIGN_OR_RETURN(PageRequest request, FirstPage(plan, session));
  std::size_t left = plan.query.limit.value_or(kExportLimitMax);
  http::Response response;
  response.headers.Add("Content-Type", ContentTypeOf(plan.form));
  if (plan.form == ListForm::kCsv) {
    plan.route->columns.AppendCsvNames(&response.body);
  }
  while (left > 0) {
    request.limit = std::min(left, read_model::kPageRowsMax);
    ALERTSTREAM_ASSIGN_OR_RETURN(const ListRows list,
                                 plan.route->read(session, *plan.call, plan.query, request));
    for (const auto& [key, fields] : list.rows) {
      if (plan.form == ListForm::kCsv) {
        fields.AppendCsvValues(&response.body);
      } else {
        fields.AppendJson(&response.body);
        response.body += '\n';
      }
    }
    if (!list.has_more) {
      return response;
    }
    left -= list.rows.size();
    request.after = list.rows.back().first;
  }
  response.headers.Add("X-Next-Cursor", plan.cursors.Write(plan.scope(), *request.after));
  return response;
}

http::Response Refusal(int status, std::string_view code, std::string detail) {
  return http::Problem({.status = status, .code = code, .detail = std::move(detail)});
}

}  // namespace

ReadPlanner PlanList(ListRoute route, const CursorBook& cursors) {
  return
      [route = std::make_shared<const ListRoute>(std::move(route)), &cursors](
          const std::shared_ptr<const ReadCall>& call) -> std::variant<ReadTask, http::Response> {
        const auto form = AcceptedForm(call->request.headers);
        if (!form) {
          return Refusal(406, "not_acceptable",
                         "Accept: a list is application/json, text/csv or application/x-ndjson.");
        }
        const bool is_export = *form != ListForm::kJson;
        auto query = ParseListQuery(
            call->request.query,
            {.filters = route->filters, .limit_max = is_export ? kExportLimitMax : kListLimitMax});
        if (const auto* problem = std::get_if<http::ProblemDetails>(&query)) {
          return http::Problem(*problem);
        }
        if (is_export && std::get<ListQuery>(query).ending_before) {
          return Refusal(400, "malformed_request",
                         "ending_before: an export goes from the newest to the oldest only.");
        }
        const auto plan = std::make_shared<const ListPlan>(
            ListPlan{.route = route,
                     .cursors = cursors,
                     .call = call,
                     .query = std::get<ListQuery>(std::move(query)),
                     .form = *form});
        return ReadTask([plan](sql::Session& session) {
          return plan->form == ListForm::kJson ? AnswerPage(*plan, session)
                                               : AnswerExport(*plan, session);
        });
      };
}

}  // namespace alertstream::api

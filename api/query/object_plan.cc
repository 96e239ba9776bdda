#include "api/query/object_plan.h"

#include <memory>
#include <optional>
#include <utility>

#include "api/query/list_query.h"

namespace alertstream::api {
namespace {

ReadTask TaskOf(std::shared_ptr<const ReadObject> read, std::shared_ptr<const ReadCall> call,
                std::string id) {
  return [read = std::move(read), call = std::move(call),
          id = std::move(id)](sql::Session& session) -> Result<http::Response> {
    ALERTSTREAM_ASSIGN_OR_RETURN(std::string json, (*read)(session, *call, id));
    return AnswerObject(call->request, std::move(json));
  };
}

}  // namespace

Error NotFound() { return {ErrorCode::kNotFound, "There is no such object."}; }

ReadPlanner PlanObject(IdKind kind, ReadObject read) {
  return
      [kind, read = std::make_shared<const ReadObject>(std::move(read))](
          const std::shared_ptr<const ReadCall>& call) -> std::variant<ReadTask, http::Response> {
        if (const auto problem = RefuseQuery(call->request.query)) {
          return http::Problem(*problem);
        }
        std::string id(call->params.Get("id"));
        if (!ParseId(kind, id).ok()) {
          return NotFoundProblem();
        }
        return TaskOf(read, call, std::move(id));
      };
}

ReadPlanner PlanSingle(ReadObject read) {
  return
      [read = std::make_shared<const ReadObject>(std::move(read))](
          const std::shared_ptr<const ReadCall>& call) -> std::variant<ReadTask, http::Response> {
        if (const auto problem = RefuseQuery(call->request.query)) {
          return http::Problem(*problem);
        }
        return TaskOf(read, call, "");
      };
}

}  // namespace alertstream::api

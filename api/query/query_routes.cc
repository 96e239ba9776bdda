#include "api/query/query_routes.h"

namespace alertstream::api {

Status AddQueryRoutes(http::Routes* routes, const QueryDeps& deps) {
  const QueryParts parts{.desk = std::make_shared<ReadDesk>(deps.read), .deps = deps};
  ALERTSTREAM_RETURN_IF_ERROR(AddEventRoutes(routes, parts));
  ALERTSTREAM_RETURN_IF_ERROR(AddDecisionRoutes(routes, parts));
  ALERTSTREAM_RETURN_IF_ERROR(AddNotificationRoutes(routes, parts));
  ALERTSTREAM_RETURN_IF_ERROR(AddRecipientRoutes(routes, parts));
  return AddAccountRoutes(routes, parts);
}

}  // namespace alertstream::api

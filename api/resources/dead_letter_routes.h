// What a tenant's people do about its dead letters over REST:
//   POST /api/v1/dead-letters/{id}/retry   {"reason", "forced"?}
//   POST /api/v1/dead-letters/{id}/edit    the same and {"data"?, "type"?, "site"?} of the event
//   POST /api/v1/dead-letters/{id}/drop    {"reason", "forced"?}
//   POST /api/v1/dead-letters/{id}/purge   {"reason"}
// Each becomes a record; the fold decides whether it may be, and its fact is the answer. Used by
// resource_routes.
#pragma once

#include <memory>

#include "api/http/routes.h"
#include "api/log/answer_watch.h"
#include "api/resources/resource_routes.h"

namespace alertstream::api {

Status AddDeadLetterRoutes(http::Routes* routes, std::shared_ptr<const ResourceDeps> deps);

// 200 with what became of it, 409 with why not. Pure.
http::Response AnswerOfDeadLetterAction(const RecordAnswer& answer);

}  // namespace alertstream::api

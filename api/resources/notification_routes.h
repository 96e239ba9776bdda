// POST /api/v1/notifications: somebody is told outright, by a trigger's message or a text of the
// request's own, through every gate but a condition. Used by AddResourceRoutes.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "api/http/message.h"
#include "api/resources/resource_routes.h"

namespace alertstream::api {

Status AddNotificationRoutes(http::Routes* routes, std::shared_ptr<const ResourceDeps> deps);

// What became of the request, by what the fold said of its record: 200 with the decision, 429
// `quota_exceeded` over the month's plan, 422 where the request was at fault, 503 while the log is
// of an engine version that knows no direct notifications. Pure.
http::Response AnswerOfNotification(const RecordAnswer& answer);

}  // namespace alertstream::api

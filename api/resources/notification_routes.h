// POST /api/v1/notifications: somebody is told outright, by a trigger's message or a text of the
// request's own, through every gate but a condition. Used by AddResourceRoutes.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "api/http/message.h"
#include "api/resources/resource_operation.h"
#include "api/resources/resource_routes.h"
#include "schemas/envelope.pb.h"

namespace alertstream::api {

Status AddNotificationRoutes(http::Routes* routes, std::shared_ptr<const ResourceDeps> deps);

// Appends a direct notification, or the retry of one, and answers what became of it. If the fold
// knows the envelope's idempotency key already, the answer is what it decided first.
void SendNotification(const OperationPtr& operation, const v1::Envelope& envelope);

// What became of the request, by what the fold said of its record: 200 with the decision, 429
// `quota_exceeded` over the month's plan, 422 where the request was at fault, 503 while the log is
// of an engine version that knows no direct notifications. Pure.
http::Response AnswerOfNotification(const RecordAnswer& answer);

}  // namespace alertstream::api

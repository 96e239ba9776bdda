// The routes that read: GET below /api/v1 for events, decisions, notifications, recipients, usage,
// dead letters and the audit log. README.md says what they have in common; api/openapi.yaml is
// their description.
#pragma once

#include <memory>

#include "api/http/routes.h"
#include "api/query/cursor.h"
#include "api/query/read_desk.h"
#include "processor/base/result.h"
#include "processor/log/event_log.h"

namespace alertstream::api {

// All of it outlives the routes.
struct QueryDeps {
  ReadDeps read;
  const CursorBook& cursors;
  log::EventLog& log;  // Event data is not in the tables.
};

Status AddQueryRoutes(http::Routes* routes, const QueryDeps& deps);

// The parts of the above, one a family.
struct QueryParts {
  std::shared_ptr<ReadDesk> desk;  // Shared by the routes.
  const QueryDeps& deps;
};
Status AddEventRoutes(http::Routes* routes, const QueryParts& parts);
Status AddDecisionRoutes(http::Routes* routes, const QueryParts& parts);
Status AddNotificationRoutes(http::Routes* routes, const QueryParts& parts);
Status AddRecipientRoutes(http::Routes* routes, const QueryParts& parts);
Status AddAccountRoutes(http::Routes* routes, const QueryParts& parts);

}  // namespace alertstream::api

// The doors of providers: POST /webhooks/twilio/{account}/status and /inbound. Used by the
// program's wiring.
#pragma once

#include <cstdint>

#include "api/auth/identity.h"
#include "api/http/routes.h"
#include "api/log/log_writer.h"
#include "processor/base/clock.h"
#include "processor/base/metrics.h"
#include "processor/base/result.h"

namespace alertstream::api {

// What the doors use; everything outlives the routes and the writer's last append.
struct WebhookDeps {
  const Identity& identity;
  LogWriter& writer;
  std::int32_t partitions = 0;  // Of every topic; at least 1.
  const Clock& clock;
  Metrics& metrics;
};

// Errors as Routes::Add.
Status AddWebhookRoutes(http::Routes* routes, const WebhookDeps& deps);

}  // namespace alertstream::api

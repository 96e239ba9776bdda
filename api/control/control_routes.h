// The control endpoint: POST /api/v1/control/events, by which an operator changes rules, consents
// and opt-outs, lets a stopped partition go on, and imports events. README.md says what it answers.
// Used by the program's wiring.
#pragma once

#include <cstdint>
#include <string_view>

#include "api/auth/identity.h"
#include "api/control/entity_book.h"
#include "api/http/routes.h"
#include "api/log/answer_watch.h"
#include "api/log/log_writer.h"
#include "processor/base/clock.h"
#include "processor/base/result.h"

namespace alertstream::api {

inline constexpr std::string_view kControlPath = "/api/v1/control/events";

// What the endpoint uses; everything outlives the routes, the writer's last append and the watch's
// last answer.
struct ControlDeps {
  const Identity& identity;
  LogWriter& writer;
  AnswerWatch& watch;
  EntityBook& entities;
  std::int32_t partitions = 0;  // Of every topic; at least 1.
  const Clock& clock;
};

// Errors as Routes::Add.
Status AddControlRoutes(http::Routes* routes, const ControlDeps& deps);

}  // namespace alertstream::api

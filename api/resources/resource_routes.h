// The routes of what a tenant changes one by one: triggers with their versions, consents, opt-outs;
// and the look-up of a person by telephone number. README.md says what they promise. Used by the
// program's wiring.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "api/http/routes.h"
#include "api/log/answer_watch.h"
#include "api/log/log_writer.h"
#include "api/query/cursor.h"
#include "api/query/read_desk.h"
#include "api/resources/request_keys.h"
#include "processor/base/crypto.h"
#include "processor/base/result.h"

namespace alertstream::api {

// What the routes use; everything outlives them, the writer's last append, the watch's and the
// projection wait's last call, and the workers' last task.
struct ResourceDeps {
  ReadDeps read;  // The guard, the clock, and the read model if there is one.
  // Null with read.database: routes that change something answer 503, too, because nobody could
  // see what they did.
  RequestKeys* keys = nullptr;
  LogWriter& writer;
  AnswerWatch& watch;
  const CursorBook& cursors;
  const HmacKey& token_key;     // The deployment's: people's tokens are made with it.
  std::int32_t partitions = 0;  // Of every topic; at least 1.
  // That the database is away is logged, once until it is back. Of all copies together.
  std::shared_ptr<std::atomic<bool>> is_down = std::make_shared<std::atomic<bool>>(false);
};

// Errors as Routes::Add.
Status AddResourceRoutes(http::Routes* routes, const ResourceDeps& deps);

}  // namespace alertstream::api

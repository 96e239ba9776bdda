// The ingest door: POST /api/v1/ingest, and OPTIONS for browsers. README.md says what it answers.
// Used by the program's wiring.
#pragma once

#include <cstddef>
#include <cstdint>

#include "api/auth/identity.h"
#include "api/http/routes.h"
#include "api/ingest/idempotency_index.h"
#include "api/log/answer_watch.h"
#include "api/log/log_writer.h"
#include "processor/base/clock.h"
#include "processor/base/metrics.h"
#include "processor/base/result.h"

namespace alertstream::api {

inline constexpr std::string_view kIngestPath = "/api/v1/ingest";

struct IngestOptions {
  // Above this AnswerWatch::LagSeconds events are refused: an answer that promises work would lie.
  double lag_seconds_max = 30;
  std::size_t buckets_max = 10'000;  // Token buckets in memory (rate_limit.h).
};

// What the door uses; everything outlives the routes, the writer's last append and the watch's last
// answer.
struct IngestDeps {
  const Identity& identity;
  LogWriter& writer;
  AnswerWatch& watch;
  IdempotencyIndex& index;
  std::int32_t partitions = 0;  // Of every topic; at least 1.
  const Clock& clock;
  Metrics& metrics;
  IngestOptions options = {};
};

// Errors as Routes::Add.
Status AddIngestRoutes(http::Routes* routes, const IngestDeps& deps);

}  // namespace alertstream::api

// ParseIngest: the bytes of an ingest request become records for site-events, or problems.
// Pure. Used by the ingest door, after it has found out who calls.
//
// Forms, by content type: native JSON `{"event_type","data","id"?,"time"?,"site"?}`, our own batch
// `{"events":[...]}` of such events, and CloudEvents 1.0 over HTTP: binary (`ce-specversion`),
// structured (`application/cloudevents+json`), batch (`application/cloudevents-batch+json`). What
// would be dead-lettered for its form is refused here, by the same code.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/auth/identity.h"
#include "api/http/message.h"
#include "api/http/problem.h"
#include "api/http/request_id.h"
#include "api/ingest/idempotency_index.h"
#include "processor/base/time.h"

namespace alertstream::api {

inline constexpr std::size_t kBatchEventsMax = 1000;  // One answer of at most 1 MiB.
// Where native events come from; part of their idempotency scope, so it may never change.
inline constexpr std::string_view kNativeSource = "api";

struct IngestContext {
  const ApiKey& key;  // Publishable or secret.
  LogTime now;
  http::RequestIds& ids;  // For events that come without an id.
};

// One event of a request: a record, or what is wrong with it.
struct IngestEvent {
  std::optional<http::ProblemDetails> problem;
  // The rest without `problem` only.
  std::string value;  // A serialised Envelope.
  // Nothing: the producer named no key, so the event cannot be repeated.
  std::optional<IdempotencyHash> hash;
  Digest body_sha256 = {};
};

struct IngestBody {
  bool is_batch = false;
  std::vector<IngestEvent> events;  // Exactly one unless is_batch.
};

// A problem of the whole request: its syntax, its content type, its size, its Idempotency-Key.
std::variant<IngestBody, http::ProblemDetails> ParseIngest(const http::Request& request,
                                                           const IngestContext& context);

}  // namespace alertstream::api

#include "api/ingest/ingest_routes.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/http/problem.h"
#include "api/http/request_id.h"
#include "api/ingest/access.h"
#include "api/ingest/in_flight.h"
#include "api/ingest/ingest_answer.h"
#include "api/ingest/ingest_request.h"
#include "api/ingest/rate_limit.h"
#include "api/ingest/request_fields.h"
#include "schemas/topics.h"

namespace alertstream::api {
namespace {

using http::ProblemDetails;
using schemas::Topic;

// Every value of the label `result`: three of success, then the codes of problems.
constexpr std::string_view kAccepted = "accepted";
constexpr std::string_view kReplayed = "replayed";
constexpr std::string_view kBatch = "batch";
constexpr std::array<std::string_view, 14> kResults = {kAccepted,
                                                       kReplayed,
                                                       kBatch,
                                                       "malformed_request",
                                                       "unauthenticated",
                                                       "forbidden",
                                                       "bad_signature",
                                                       "idempotency_in_progress",
                                                       "too_large",
                                                       "unsupported_media_type",
                                                       "validation_failed",
                                                       "idempotency_key_reused",
                                                       "rate_limited",
                                                       "unavailable"};

// Seconds after which a client is told to come back.
constexpr std::string_view kRetrySoon = "1";
constexpr std::string_view kRetryLater = "5";

ProblemDetails Unavailable(std::string detail) {
  return {.status = 503, .code = "unavailable", .detail = std::move(detail)};
}

ProblemDetails KeyReused() {
  return {.status = 422,
          .code = "idempotency_key_reused",
          .detail = "The idempotency key, or the event's id, was used with another body."};
}

ProblemDetails InProgress() {
  return {.status = 409,
          .code = "idempotency_in_progress",
          .detail = "The idempotency key's first request is under way; send it again later."};
}

// One event of a request that is under way. Written by one thread at a time; Operation::open orders
// the threads.
struct Item {
  std::optional<ProblemDetails> problem;
  std::optional<IdempotencyHash> hash;
  Digest body_sha256 = {};
  bool is_replay = false;
  IdempotencyEntry entry;  // Without `problem`, once all is known.
};

// One request that is under way. Shared by the callbacks that will bring its parts.
struct Operation {
  explicit Operation(http::Responder responder_in) : responder(std::move(responder_in)) {}

  http::Responder responder;
  http::Headers headers;  // Of every answer.
  std::chrono::microseconds started{0};
  std::chrono::seconds wait{0};
  Counter* events_total = nullptr;
  std::string tenant;
  std::int32_t partition = 0;
  bool is_batch = false;
  std::vector<Item> items;
  std::vector<std::size_t> appended;  // Items whose records were given to the log, in its order.
  std::unique_ptr<AnswerWatch::Ticket> ticket;
  bool append_failed = false;
  std::atomic<std::size_t> open{1};  // Parts that are not known yet.
};
using OperationPtr = std::shared_ptr<Operation>;

// Shared by the routes and by every operation.
class IngestDoor : public std::enable_shared_from_this<IngestDoor> {
 public:
  explicit IngestDoor(const IngestDeps& deps)
      : deps_(deps),
        ids_(deps.clock),
        rate_limit_(deps.options.buckets_max),
        ack_seconds_(deps.metrics.HistogramOf(MetricId::kIngestAckSeconds)),
        secret_events_(deps.metrics.CounterOf(MetricId::kIngestEvents, {"secret"})),
        publishable_events_(deps.metrics.CounterOf(MetricId::kIngestEvents, {"publishable"})) {
    for (const std::string_view result : kResults) {
      results_.emplace(result, &deps.metrics.CounterOf(MetricId::kIngestRequests, {result}));
    }
  }

  void Handle(const http::Request& request, http::Responder responder);

 private:
  void Begin(const OperationPtr& operation, const ApiKey& key, std::vector<IngestEvent> events);
  // True if the event has to be appended.
  bool Claim(const OperationPtr& operation, std::size_t index);
  static void Resolve(const Result<IdempotencyEntry>& outcome, Item* item);
  void Append(const OperationPtr& operation, std::vector<RecordToAppend> records);
  void OnAppended(Operation* operation, const Result<std::vector<log::Appended>>& result);
  void FailAppended(Operation* operation, const ProblemDetails& problem);
  void Release(const OperationPtr& operation);
  void Finish(const OperationPtr& operation);
  void Answer(Operation* operation, const std::vector<RecordAnswer>* answers);
  void AnswerBatch(Operation* operation, const std::vector<RecordAnswer>* answers);
  void Refuse(Operation* operation, const ProblemDetails& problem);
  void Send(Operation* operation, std::string_view result, http::Response response);

  const IngestDeps deps_;
  http::RequestIds ids_;
  RateLimit rate_limit_;
  InFlight in_flight_;
  Histogram& ack_seconds_;
  Counter& secret_events_;
  Counter& publishable_events_;
  std::map<std::string_view, Counter*> results_;
};

void IngestDoor::Handle(const http::Request& request, http::Responder responder) {
  const auto operation = std::make_shared<Operation>(std::move(responder));
  operation->started = deps_.clock.SinceBoot();
  AddCorsFields(request, deps_.identity, &operation->headers);
  const LogTime now = deps_.clock.Now();
  const auto authorized = Authorize(request, deps_.identity, now);
  if (const auto* problem = std::get_if<ProblemDetails>(&authorized)) {
    Refuse(operation.get(), *problem);
    return;
  }
  const ApiKey& key = **std::get_if<0>(&authorized);
  if (deps_.watch.LagSeconds() > deps_.options.lag_seconds_max) {
    operation->headers.Add("Retry-After", kRetryLater);
    Refuse(operation.get(), Unavailable("Decisions are too far behind to take more events."));
    return;
  }
  auto parsed = ParseIngest(request, {.key = key, .now = now, .ids = ids_});
  auto* body = std::get_if<IngestBody>(&parsed);
  const std::size_t cost = body == nullptr ? 1 : std::max<std::size_t>(body->events.size(), 1);
  const RateVerdict rate =
      rate_limit_.TakeOf(key, deps_.identity.RateOf(key.tenant), cost, operation->started);
  AddRateLimitFields(rate, &operation->headers);
  if (!rate.allowed) {
    Refuse(operation.get(),
           {.status = 429,
            .code = "rate_limited",
            .detail = "The events of this moment are used up: the tenant's, or the API "
                      "key's own."});
    return;
  }
  if (body == nullptr) {
    Refuse(operation.get(), *std::get_if<ProblemDetails>(&parsed));
    return;
  }
  operation->is_batch = body->is_batch;
  // Everybody can have a publishable key: decisions would tell strangers who has opted out.
  if (key.kind == KeyKind::kSecret) {
    operation->wait = PreferredWait(request.headers);
  }
  Begin(operation, key, std::move(body->events));
}

void IngestDoor::Begin(const OperationPtr& operation, const ApiKey& key,
                       std::vector<IngestEvent> events) {
  operation->events_total = key.kind == KeyKind::kSecret ? &secret_events_ : &publishable_events_;
  operation->tenant = key.tenant;
  operation->partition = schemas::PartitionOf(key.tenant, deps_.partitions);
  operation->items.resize(events.size());
  std::vector<RecordToAppend> records;
  records.reserve(events.size());
  for (std::size_t i = 0; i < events.size(); ++i) {
    Item& item = operation->items[i];
    item.problem = std::move(events[i].problem);
    item.hash = events[i].hash;
    item.body_sha256 = events[i].body_sha256;
    if (item.problem || (item.hash && !Claim(operation, i))) {
      continue;
    }
    operation->appended.push_back(i);
    records.push_back({.topic = Topic::kSiteEvents,
                       .partition = operation->partition,
                       .key = key.tenant,
                       .value = std::move(events[i].value)});
  }
  if (!records.empty()) {
    Append(operation, std::move(records));
  }
  Release(operation);
}

bool IngestDoor::Claim(const OperationPtr& operation, std::size_t index) {
  Item& item = operation->items[index];
  ++operation->open;
  const auto joined = in_flight_.Join(
      *item.hash, item.body_sha256,
      [self = shared_from_this(), operation, index](const Result<IdempotencyEntry>& outcome) {
        Resolve(outcome, &operation->items[index]);
        self->Release(operation);
      });
  if (joined == InFlight::Joined::kWaiting) {
    return false;
  }
  --operation->open;  // Not the last: the caller's own part is not released yet.
  if (joined == InFlight::Joined::kConflict) {
    // Whether another request uses the key is open until the log has said so; what becomes of this
    // one's own items is one and the same.
    const bool is_own =
        std::any_of(operation->appended.begin(), operation->appended.end(),
                    [&](std::size_t i) { return operation->items[i].hash == item.hash; });
    item.problem = is_own ? KeyReused() : InProgress();
    return false;
  }
  if (joined == InFlight::Joined::kFull) {
    item.problem = InProgress();
    return false;
  }
  // Asked only now: what was under way a moment ago is in the index since then.
  const auto known = deps_.index.Find(*item.hash);
  if (!known) {
    return true;
  }
  Resolve(*known, &item);
  in_flight_.End(*item.hash, *known);
  return false;
}

// What became of the event of the same key that came first.
void IngestDoor::Resolve(const Result<IdempotencyEntry>& outcome, Item* item) {
  if (!outcome.ok()) {
    item->problem = Unavailable("The first request of this idempotency key failed.");
  } else if (outcome.value().body_sha256 != item->body_sha256) {
    item->problem = KeyReused();
  } else {
    item->is_replay = true;
    item->entry = outcome.value();
  }
}

void IngestDoor::Append(const OperationPtr& operation, std::vector<RecordToAppend> records) {
  if (operation->wait > std::chrono::seconds::zero()) {
    operation->ticket = deps_.watch.Open();
  }
  ++operation->open;
  const bool taken = deps_.writer.Append(
      std::move(records), [self = shared_from_this(), operation](const auto& result) {
        self->OnAppended(operation.get(), result);
        self->Release(operation);
      });
  if (!taken) {
    FailAppended(operation.get(), Unavailable("Too much is waiting for the log."));
    --operation->open;
  }
}

void IngestDoor::OnAppended(Operation* operation,
                            const Result<std::vector<log::Appended>>& result) {
  const auto took = deps_.clock.SinceBoot() - operation->started;
  ack_seconds_.Observe(static_cast<double>(took.count()) / 1e6);
  if (!result.ok()) {
    FailAppended(operation,
                 Unavailable("The log did not confirm the event: it may have been taken. Send it "
                             "again with the same id or Idempotency-Key."));
    return;
  }
  operation->events_total->Add(static_cast<double>(operation->appended.size()));
  for (std::size_t i = 0; i < operation->appended.size(); ++i) {
    Item& item = operation->items[operation->appended[i]];
    const log::Appended& appended = result.value()[i];
    item.entry = {.event_id = MakeId({.append_time = appended.append_time,
                                      .tenant = operation->tenant,
                                      .topic = static_cast<std::uint8_t>(Topic::kSiteEvents),
                                      .partition = static_cast<std::uint32_t>(operation->partition),
                                      .offset = appended.offset}),
                  .body_sha256 = item.body_sha256,
                  .partition = operation->partition,
                  .offset = appended.offset,
                  .append_time = appended.append_time};
    if (item.hash) {
      deps_.index.Insert(*item.hash, item.entry);
      in_flight_.End(*item.hash, item.entry);
    }
  }
}

void IngestDoor::FailAppended(Operation* operation, const ProblemDetails& problem) {
  operation->append_failed = true;
  for (const std::size_t i : operation->appended) {
    Item& item = operation->items[i];
    item.problem = problem;
    if (item.hash) {
      in_flight_.End(*item.hash, Error(ErrorCode::kUnavailable, problem.detail));
    }
  }
}

void IngestDoor::Release(const OperationPtr& operation) {
  if (--operation->open == 0) {
    Finish(operation);
  }
}

void IngestDoor::Finish(const OperationPtr& operation) {
  if (operation->ticket == nullptr || operation->append_failed) {
    Answer(operation.get(), nullptr);
    return;
  }
  std::vector<AppendedPosition> positions;
  positions.reserve(operation->appended.size());
  for (const std::size_t i : operation->appended) {
    positions.push_back(
        {Topic::kSiteEvents, operation->partition, operation->items[i].entry.offset});
  }
  const auto waited = deps_.clock.SinceBoot() - operation->started;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::max<std::chrono::microseconds>(operation->wait - waited, {}));
  deps_.watch.Await(std::move(operation->ticket), positions, left,
                    [self = shared_from_this(), operation](const auto& answers) {
                      operation->headers.Add("Preference-Applied",
                                             "wait=" + std::to_string(operation->wait.count()));
                      self->Answer(operation.get(), answers.ok() ? &answers.value() : nullptr);
                    });
}

// `answers`: of the appended items, in their order; null if nobody waited or they are not known.
void IngestDoor::Answer(Operation* operation, const std::vector<RecordAnswer>* answers) {
  if (operation->is_batch) {
    AnswerBatch(operation, answers);
    return;
  }
  const Item& item = operation->items.front();
  if (item.problem) {
    if (item.problem->status == 503 || item.problem->status == 409) {
      operation->headers.Add("Retry-After", kRetrySoon);
    }
    Refuse(operation, *item.problem);
    return;
  }
  http::Response response = {.status = answers == nullptr ? 202 : 200};
  if (item.is_replay) {
    operation->headers.Add("Idempotent-Replayed", "true");
  }
  response.body.push_back('{');
  AppendAccepted(item.entry, &response.body);
  if (answers != nullptr) {
    response.body.push_back(',');
    AppendDecisions(answers->front(), &response.body);
  }
  response.body.push_back('}');
  Send(operation, item.is_replay ? kReplayed : kAccepted, std::move(response));
}

void IngestDoor::AnswerBatch(Operation* operation, const std::vector<RecordAnswer>* answers) {
  if (operation->append_failed) {
    operation->headers.Add("Retry-After", kRetrySoon);
    Refuse(operation, *operation->items[operation->appended.front()].problem);
    return;
  }
  http::Response response = {.status = 207};
  std::string& body = response.body;
  body = R"({"items":[)";
  std::size_t next_answer = 0;
  for (std::size_t i = 0; i < operation->items.size(); ++i) {
    const Item& item = operation->items[i];
    const bool is_own =
        next_answer < operation->appended.size() && operation->appended[next_answer] == i;
    const RecordAnswer* answer = is_own && answers != nullptr ? &(*answers)[next_answer] : nullptr;
    next_answer += is_own ? 1 : 0;
    body.append(i == 0 ? R"({"status":)" : R"(,{"status":)");
    if (item.problem) {
      body.append(std::to_string(item.problem->status)).append(R"(,"problem":)");
      AppendProblem(*item.problem, &body);
      body.push_back('}');
      continue;
    }
    body.append(answer == nullptr ? "202," : "200,");
    AppendAccepted(item.entry, &body);
    if (item.is_replay) {
      body.append(R"(,"replayed":true)");
    }
    if (answer != nullptr) {
      body.push_back(',');
      AppendDecisions(*answer, &body);
    }
    body.push_back('}');
  }
  body.append("]}");
  Send(operation, kBatch, std::move(response));
}

void IngestDoor::Refuse(Operation* operation, const ProblemDetails& problem) {
  if (problem.status == 401) {
    operation->headers.Add("WWW-Authenticate", R"(ApiKey realm="alertstream")");
  }
  http::Response response = {.status = problem.status};
  AppendProblem(problem, &response.body);
  Send(operation, problem.code, std::move(response));
}

void IngestDoor::Send(Operation* operation, std::string_view result, http::Response response) {
  results_.at(result)->Add();
  operation->headers.Add("Content-Type", response.status < 300
                                             ? std::string_view("application/json")
                                             : http::kProblemContentType);
  response.headers = std::move(operation->headers);
  operation->responder.Send(std::move(response));
}

}  // namespace

Status AddIngestRoutes(http::Routes* routes, const IngestDeps& deps) {
  const auto door = std::make_shared<IngestDoor>(deps);
  ALERTSTREAM_RETURN_IF_ERROR(routes->AddParking(
      "POST", kIngestPath,
      [door](const http::Request& request, const http::RouteParams& /*params*/,
             http::Responder responder) { door->Handle(request, std::move(responder)); }));
  return routes->Add("OPTIONS", kIngestPath,
                     [&identity = deps.identity](const http::Request& request,
                                                 const http::RouteParams& /*params*/) {
                       return Preflight(request, identity);
                     });
}

}  // namespace alertstream::api

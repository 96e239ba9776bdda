// ReadDesk: what every route does that asks the database: finds out who calls, waits for a
// position, runs the query on a worker within the caller's tenant, records looks at personal data,
// and answers. Thread-safe. Used by the routes that read.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "api/http/routes.h"
#include "api/identity/access.h"
#include "api/identity/audit.h"
#include "api/query/projection_wait.h"
#include "api/query/worker_pool.h"
#include "processor/base/clock.h"
#include "projections/sql/database.h"

namespace alertstream::api {

// How long a request waits for its positions; then 503, and the client may come again.
inline constexpr std::chrono::seconds kMinPositionWaitMax{5};
inline constexpr std::size_t kRevealReasonBytesMin = 8;  // Too short to say anything.
inline constexpr std::size_t kRevealReasonBytesMax = 200;

// Where the tables are. All of it outlives the routes.
struct ReadDatabase {
  sql::TenantPool& pool;  // Of the role alertstream_api.
  WorkerPool& workers;
  ProjectionWait& wait;
  AuditTrail& audit;
};

struct ReadDeps {
  const AccessGuard& guard;
  Clock& clock;
  const ReadDatabase* database = nullptr;  // Null: postgres.url is not set; everything answers 503.
};

// One request whose caller is known.
struct ReadCall {
  Caller caller;
  http::Request request;
  http::RouteParams params;
  // Why personal data is wanted in full; only if the caller may see it.
  std::optional<std::string> reveal_reason;

  bool reveals() const { return reveal_reason.has_value(); }
};

// Runs on a worker, with a session that shows the rows of the caller's tenant and only reads. Each
// statement is a transaction of its own, one round trip; a task whose statements have to fit each
// other begins a sql::kSnapshot. kNotFound: 404; kInvalid: 400 with its message; anything else: 503
// if IsTemporary, or 500.
using ReadTask = std::function<Result<http::Response>(sql::Session&)>;
// Runs on a thread of the server: reads what the request asks for. The answer, if that is all.
using ReadPlanner =
    std::function<std::variant<ReadTask, http::Response>(const std::shared_ptr<const ReadCall>&)>;

class ReadDesk : public std::enable_shared_from_this<ReadDesk> {
 public:
  explicit ReadDesk(const ReadDeps& deps) : deps_(deps) {}

  // Adds GET `pattern`. The desk is shared with its routes.
  Status Add(http::Routes* routes, std::string_view pattern, Permission permission,
             ReadPlanner planner);

 private:
  struct Job;
  void Handle(http::Request request, const http::RouteParams& params, http::Responder responder,
              Permission permission, const ReadPlanner& planner);
  void Submit(const std::shared_ptr<Job>& job);
  void Run(Job* job);
  Result<http::Response> Query(const Job& job);
  // Also where the database comes and goes is logged, once each.
  http::Response AnswerOf(const Error& error);

  const ReadDeps deps_;
  std::atomic<bool> is_down_ = false;
};

// 200 with the object, its entity tag, and 304 if the client has it already.
http::Response AnswerObject(const http::Request& request, std::string json);

// What asking again may mend: the database is away, has no room or no time, or another transaction
// was first. Otherwise the fault is in the request or ours.
bool IsTemporary(ErrorCode code);

// 503 `unavailable` with Retry-After.
http::Response UnavailableProblem(std::string detail);

}  // namespace alertstream::api

#include "tests/bench/query_server.h"

#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/core.h>

#include "api/http/server.h"
#include "api/query/query_routes.h"
#include "processor/base/clock.h"
#include "processor/log/memory/memory_log.h"
#include "projections/postgres/database.h"
#include "tests/bench/workload.h"

namespace alertstream::bench {
namespace {

constexpr std::string_view kKey = "as_sk_bench";

// One secret key of one tenant.
class OneKey final : public api::Identity {
 public:
  std::shared_ptr<const api::ApiKey> FindKey(std::string_view presented) const override {
    return presented == kKey ? key_ : nullptr;
  }
  api::EventRate RateOf(std::string_view) const override { return {}; }
  bool OriginAllowed(std::string_view) const override { return false; }
  std::optional<std::string> TenantOfNumber(std::string_view, std::string_view,
                                            std::string_view) const override {
    return std::nullopt;
  }
  std::shared_ptr<const WebhookAccount> FindWebhookAccount(std::string_view,
                                                           std::string_view) const override {
    return nullptr;
  }

 private:
  std::shared_ptr<const api::ApiKey> key_ = std::make_shared<api::ApiKey>(
      api::ApiKey{.id = "key_1", .kind = api::KeyKind::kSecret, .tenant = kBenchTenant});
};

class NoUsers final : public api::UserTokens {
 public:
  Result<api::Caller> CallerOf(std::string_view) const override {
    return Error(ErrorCode::kDenied, "none");
  }
};

class NoAudit final : public api::AuditTrail {
 public:
  Status Record(const api::AuditEvent&) override { return Status::Ok(); }
};

// The server with the routes; goes on until its process ends.
class Server {
 public:
  Server(const std::string& url, std::size_t sessions)
      : database_(Must(postgres::MakeDatabase({.url = url}, SystemClock()))),
        pool_(*database_, {.role = "alertstream_api"}, sessions),
        wait_(*database_, SystemClock()),
        workers_({.threads = sessions}) {
    Must(api::AddQueryRoutes(&routes_,
                             {.read = {.guard = guard_, .clock = SystemClock(), .database = &at_},
                              .cursors = cursors_,
                              .log = log_}));
    server_ = std::make_unique<http::Server>(
        http::ServerOptions{.threads = 2},
        [this](http::Request request, http::Responder responder) {
          routes_.Handle(std::move(request), std::move(responder));
        },
        SystemClock());
    Must(server_->Start());
  }
  std::uint16_t port() const { return server_->port(); }

 private:
  OneKey identity_;
  NoUsers users_;
  NoAudit audit_;
  api::AccessGuard guard_{{.identity = identity_, .users = users_, .clock = SystemClock()}};
  const api::CursorBook& cursors_ = BenchCursors();
  log::MemoryEventLog log_{{.clock = SystemClock(), .markers = true, .wait_on_clock = false}};
  std::unique_ptr<sql::Database> database_;
  sql::TenantPool pool_;
  api::ProjectionWait wait_;
  api::WorkerPool workers_;
  api::ReadDatabase at_{.pool = pool_, .workers = workers_, .wait = wait_, .audit = audit_};
  http::Routes routes_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace

const api::CursorBook& BenchCursors() {
  static const api::CursorBook kBook{HmacKey("bench")};
  return kBook;
}

ServerProcess StartQueryServer(const std::string& url, std::size_t sessions) {
  return ServerProcess([&] {
    // For ever: the process ends without looking back.
    const auto* server = new Server(url, sessions);  // NOLINT(cppcoreguidelines-owning-memory)
    return server->port();
  });
}

LoadResult Ask(std::uint16_t port, const std::vector<std::string>& targets, std::size_t connections,
               const std::string& accept) {
  std::vector<std::string> requests;
  requests.reserve(targets.size());
  for (const std::string& target : targets) {
    requests.push_back(fmt::format(
        "GET /api/v1/{} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {}\r\nAccept: {}\r\n\r\n", target,
        kKey, accept));
  }
  LoadResult load = RunLoad(port, connections, requests);
  for (const auto& [status, times] : load.answers) {
    if (status != 200) {
      Die(fmt::format("{} answers are {}: {}", times, status, load.last_body));
    }
  }
  return load;
}

}  // namespace alertstream::bench

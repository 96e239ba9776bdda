// Reading over REST: GET notifications/{id} and a list of 20, through the guarded server, the
// guard, the workers and row-level security. Baseline of the same run: bare libpqxx, one prepared
// SELECT of the same columns by the same index, with as many connections as the load has.
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/core.h>

#include <pqxx/pqxx>

#include "api/http/server.h"
#include "api/query/query_routes.h"
#include "ops/postgres/cluster.h"
#include "processor/base/clock.h"
#include "processor/log/memory/memory_log.h"
#include "projections/migrations/migrations.h"
#include "projections/postgres/database.h"
#include "projections/read_model/notifications.h"
#include "tests/bench/arguments.h"
#include "tests/bench/http_load.h"
#include "tests/bench/workload.h"

namespace alertstream::bench {
namespace {

constexpr double kGoal = 0.5;
constexpr std::string_view kKey = "as_sk_bench";

// Ten tenants; the rows of one minute each.
constexpr const char* kRows = R"(
SET search_path = read_model;
SELECT read_model.ensure_month('read_model', t) FROM generate_series(
  '2026-01-15 00:00:00+00'::timestamptz, '2026-12-15 00:00:00+00', '1 month') t;
INSERT INTO notifications SELECT 't' || n % 10,
  left(id_floor('ntf_', at), 14) || lpad(n::text, 16, '0'), 'send',
  'evt_' || lpad(n::text, 26, '0'), 'dec_' || lpad(n::text, 26, '0'), 'late', 1,
  'rcp_' || lpad((n % 100000)::text, 26, '0'), 'sms', 'transactional', 'delivered', at, at, at,
  'main', 'twilio', 'acc', '+15550000000', 'SM' || n, NULL, 1, 1,
  '\x0a0d2b323534373030303030303031', '+254700***001',
  '\x0a2048656c6c6f20576f726c642c207468697320697320612074657874206f6620757321',
  '[{{"at":"2026-11-20T12:00:00Z","status":"commanded"}},
    {{"at":"2026-11-20T12:00:01Z","status":"delivered"}}]',
  0, n FROM (SELECT n, '2026-01-15 00:00:00+00'::timestamptz + n * interval '{} seconds' AS at
             FROM generate_series(1, {}) n) o;
INSERT INTO attempts SELECT tenant_id, id, 1, created_at, created_at, 'accepted', 'twilio', 'acc',
  'SM1', NULL, NULL, 0, 7 FROM notifications;
)";

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
      api::ApiKey{.id = "key_1", .kind = api::KeyKind::kSecret, .tenant = "t0"});
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

// The server with the routes, in this process.
class Server {
 public:
  Server(sql::Database& database, std::size_t sessions)
      : pool_(database, {.role = "alertstream_api"}, sessions),
        wait_(database, SystemClock()),
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
  ~Server() {
    server_->Stop();
    workers_.Stop();
  }
  std::uint16_t port() const { return server_->port(); }

 private:
  OneKey identity_;
  NoUsers users_;
  NoAudit audit_;
  api::AccessGuard guard_{{.identity = identity_, .users = users_, .clock = SystemClock()}};
  api::CursorBook cursors_{HmacKey("bench")};
  log::MemoryEventLog log_{{.clock = SystemClock(), .markers = true, .wait_on_clock = false}};
  sql::Pool pool_;
  api::ProjectionWait wait_;
  api::WorkerPool workers_;
  api::ReadDatabase at_{.pool = pool_, .workers = workers_, .wait = wait_, .audit = audit_};
  http::Routes routes_;
  std::unique_ptr<http::Server> server_;
};

void Print(std::string_view what, double per_second, std::vector<float> latency_ms, double base) {
  fmt::print("{:<34} {:8.0f}/s   p50 {:6.2f} ms   p99 {:6.2f} ms   ratio {:.2f}\n", what,
             per_second, PercentileOf(latency_ms, 0.5), PercentileOf(latency_ms, 0.99),
             per_second / base);
}

// `count` statements over `connections`; the rate. Parameters: tenant, id.
double Bare(const std::string& url, const std::string& text, const std::vector<std::string>& ids,
            std::size_t connections, std::vector<float>* latency_ms) {
  std::vector<std::thread> threads;
  std::vector<std::vector<float>> times(connections);
  std::atomic<std::size_t> next = 0;
  std::atomic<std::size_t> ready = 0;
  std::atomic<bool> go = false;
  for (std::size_t i = 0; i < connections; ++i) {
    threads.emplace_back([&, i] {
      pqxx::connection connection(url);
      connection.prepare("one", text);
      ++ready;
      while (!go) {
        std::this_thread::yield();
      }
      pqxx::nontransaction work(connection);
      for (std::size_t n = next++; n < ids.size(); n = next++) {
        const auto begun = SystemClock().SinceBoot();
        const pqxx::result rows = work.exec_prepared("one", "t0", ids[n]);
        if (rows.empty()) {
          Die("a row is missing");
        }
        times[i].push_back(static_cast<float>((SystemClock().SinceBoot() - begun).count()) / 1000);
      }
    });
  }
  while (ready < connections) {
    std::this_thread::yield();
  }
  const auto begun = SystemClock().SinceBoot();
  go = true;
  for (std::thread& thread : threads) {
    thread.join();
  }
  const double seconds = static_cast<double>((SystemClock().SinceBoot() - begun).count()) / 1e6;
  latency_ms->clear();
  for (const auto& each : times) {
    latency_ms->insert(latency_ms->end(), each.begin(), each.end());
  }
  return static_cast<double>(ids.size()) / seconds;
}

std::vector<std::string> Requests(const std::vector<std::string>& targets) {
  std::vector<std::string> requests;
  for (const std::string& target : targets) {
    requests.push_back(fmt::format(
        "GET /api/v1/{} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {}\r\n\r\n", target, kKey));
  }
  return requests;
}

double Through(const Server& server, const std::vector<std::string>& targets,
               std::size_t connections, std::vector<float>* latency_ms) {
  const LoadResult load = RunLoad(server.port(), connections, Requests(targets));
  for (const auto& [status, times] : load.answers) {
    if (status != 200) {
      Die(fmt::format("{} answers are {}: {}", times, status, load.last_body));
    }
  }
  *latency_ms = load.latency_ms;
  return static_cast<double>(targets.size()) / load.seconds;
}

// Ids of the tenant t0 without a pattern.
std::vector<std::string> Ids(const std::string& url, std::size_t rows, std::size_t count) {
  pqxx::connection connection(url);
  pqxx::nontransaction work(connection);
  const pqxx::result found = work.exec(
      "SELECT id FROM read_model.notifications WHERE tenant_id = 't0' ORDER BY md5(id) LIMIT " +
      std::to_string(std::min(rows, count)));
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < count; ++i) {
    const auto row =
        static_cast<pqxx::result::size_type>(i % static_cast<std::size_t>(found.size()));
    ids.push_back(found[row][0].as<std::string>());
  }
  return ids;
}

void Fill(sql::Database& database, std::size_t rows) {
  const auto session = Must(database.Open({.statement_timeout = std::chrono::minutes(30)}));
  static_cast<void>(Must(migrations::MigrateUp(*session, migrations::ProgramMigrations())));
  const auto writer = Must(database.Open(
      {.role = "alertstream_projector", .statement_timeout = std::chrono::minutes(30)}));
  constexpr double kSecondsOfYear = 300.0 * 86'400;
  Must(writer->RunScript(fmt::format(kRows, kSecondsOfYear / static_cast<double>(rows), rows)));
  Must(session->RunScript("VACUUM ANALYZE read_model.notifications"));
}

int Run(int argc, char** argv) {
  Arguments arguments(argc, argv,
                      "alertstream_query_bench [--dir=/tmp/alertstream-query-bench] "
                      "[--rows=200000] [--requests=20000] [--connections=8]");
  const std::string directory = arguments.Text("dir", "/tmp/alertstream-query-bench");
  const auto rows = static_cast<std::size_t>(arguments.Number("rows", 200'000, 1000, 2e7));
  const auto count = static_cast<std::size_t>(arguments.Number("requests", 20'000, 100, 1e7));
  const auto connections = static_cast<std::size_t>(arguments.Number("connections", 8, 1, 64));
  arguments.Done();
  const std::string place = Must(postgres::ClusterDirectory(directory));
  const auto cluster =
      Must(postgres::Cluster::Start({.directory = place, .durable = false}, SystemClock()));
  const auto database = Must(postgres::MakeDatabase({.url = cluster->url()}, SystemClock()));
  Fill(*database, rows);
  const std::string admin = cluster->UrlOf("alertstream", "postgres");  // No row-level security.
  const std::vector<std::string> ids = Ids(admin, rows / 10, count);
  const auto by_key =
      fmt::format("SELECT {} FROM read_model.notifications WHERE tenant_id = $1 AND id = $2",
                  read_model::kNotificationList.columns);
  const auto newest = fmt::format(
      "SELECT {} FROM read_model.notifications WHERE tenant_id = $1 AND id <> $2"
      " ORDER BY created_at DESC, id DESC LIMIT 21",
      read_model::kNotificationList.columns);
  Server server(*database, connections);
  std::vector<std::string> objects;
  std::vector<std::string> lists;
  for (const std::string& id : ids) {
    objects.push_back("notifications/" + id);
    lists.push_back("notifications?limit=20&starting_after=" + id);
  }
  std::vector<std::string> plain(count / 4, "notifications?limit=20");
  lists.resize(count / 4);
  const std::vector<std::string> few(ids.begin(),
                                     ids.begin() + static_cast<std::ptrdiff_t>(count / 4));
  fmt::print("{} rows, {} connections\n", rows, connections);
  std::vector<float> latency;
  static_cast<void>(Bare(admin, by_key, few, connections, &latency));  // Warms the caches.
  const double bare_one = Bare(admin, by_key, ids, connections, &latency);
  Print("bare SELECT by key", bare_one, latency, bare_one);
  static_cast<void>(Through(server, plain, connections, &latency));
  const double one = Through(server, objects, connections, &latency);
  Print("GET notifications/{id}", one, latency, bare_one);
  const double bare_list = Bare(admin, newest, few, connections, &latency);
  Print("bare SELECT of the newest 21", bare_list, latency, bare_list);
  const double list = Through(server, plain, connections, &latency);
  Print("GET notifications?limit=20", list, latency, bare_list);
  const double deep = Through(server, lists, connections, &latency);
  Print("the same, after any object", deep, latency, bare_list);
  const bool met = one / bare_one >= kGoal && list / bare_list >= kGoal;
  fmt::print("goal {:.1f}: {}\n", kGoal, met ? "met" : "missed");
  return met ? 0 : 1;
}

}  // namespace
}  // namespace alertstream::bench

int main(int argc, char** argv) { return alertstream::bench::Run(argc, argv); }

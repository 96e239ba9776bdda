// Reading over REST: GET notifications/{id} and a list of 20, through the guarded server, the
// guard, the workers and row-level security. Baseline of the same run: bare libpqxx, one prepared
// SELECT of the same columns by the same index, with as many connections as the load has. The stage
// `pages`: lists of tables of ten million rows.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include <fmt/core.h>

#include <pqxx/pqxx>

#include "ops/postgres/cluster.h"
#include "processor/base/clock.h"
#include "projections/migrations/migrations.h"
#include "projections/postgres/database.h"
#include "projections/read_model/notifications.h"
#include "tests/bench/arguments.h"
#include "tests/bench/http_load.h"
#include "tests/bench/query_pages.h"
#include "tests/bench/query_server.h"
#include "tests/bench/workload.h"

namespace alertstream::bench {
namespace {

constexpr double kGoal = 0.5;

constexpr const char* kMonths = R"(
SET search_path = read_model;
SELECT read_model.ensure_month('read_model', t) FROM generate_series(
  '2026-01-15 00:00:00+00'::timestamptz, '2026-12-15 00:00:00+00', '1 month') t;
)";
// Ten tenants in turn.
constexpr const char* kRows = R"(
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

// The tables, with partitions for a year, and `rows` notifications with an attempt each.
void Fill(const std::string& url, std::size_t rows) {
  const auto database = Must(postgres::MakeDatabase({.url = url}, SystemClock()));
  const auto session = Must(database->Open({.statement_timeout = std::chrono::minutes(30)}));
  static_cast<void>(Must(migrations::MigrateUp(*session, migrations::ProgramMigrations())));
  const auto writer = Must(database->Open(
      {.role = "alertstream_projector", .statement_timeout = std::chrono::minutes(30)}));
  Must(writer->RunScript(kMonths));
  if (rows > 0) {
    constexpr double kSecondsOfYear = 300.0 * 86'400;
    Must(writer->RunScript(fmt::format(kRows, kSecondsOfYear / static_cast<double>(rows), rows)));
    Must(session->RunScript("VACUUM ANALYZE read_model.notifications"));
  }
}

// What is compared: its rates, and the CPU time of the API's process.
struct Line {
  std::string name;
  std::vector<double> per_second;
  std::vector<double> ratios;  // Each to the baseline of the same round.
  std::vector<float> latency_ms;
  double cpu_us = 0;  // Of the API's process, for one request of the last round.
};

double MedianOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Print(const Line& line) {
  const auto [low, high] = std::minmax_element(line.ratios.begin(), line.ratios.end());
  fmt::print("{:<28} {:8.0f}/s   p50 {:6.2f} ms   p99 {:6.2f} ms   ratio {:.2f} ({:.2f} to {:.2f})",
             line.name, MedianOf(line.per_second), PercentileOf(line.latency_ms, 0.5),
             PercentileOf(line.latency_ms, 0.99), MedianOf(line.ratios), *low, *high);
  if (line.cpu_us > 0) {
    fmt::print("   {:.0f} us of CPU", line.cpu_us);
  }
  fmt::print("\n");
}

struct RatioOptions {
  std::size_t rows = 0;
  std::size_t requests = 0;
  std::size_t connections = 0;
  std::size_t rounds = 0;
};

// A read and its baseline, in turn.
class Comparison {
 public:
  Comparison(const postgres::Cluster& cluster, const ServerProcess& server,
             const RatioOptions& options)
      : admin_(cluster.UrlOf("alertstream", "postgres")),  // No row-level security.
        server_(server),
        options_(options) {}

  void BareRound(const std::string& text, const std::vector<std::string>& ids, Line* line) {
    std::vector<float> latency;
    base_ = Bare(admin_, text, ids, options_.connections, &latency);
    Add(base_, latency, line);
  }
  void Round(const std::vector<std::string>& targets, Line* line) {
    const double cpu_before = server_.CpuSeconds();
    const LoadResult load = Ask(server_.port(), targets, options_.connections);
    const auto count = static_cast<double>(targets.size());
    line->cpu_us = (server_.CpuSeconds() - cpu_before) / count * 1e6;
    Add(count / load.seconds, load.latency_ms, line);
  }

 private:
  void Add(double rate, const std::vector<float>& latency_ms, Line* line) const {
    line->per_second.push_back(rate);
    line->ratios.push_back(rate / base_);
    line->latency_ms.insert(line->latency_ms.end(), latency_ms.begin(), latency_ms.end());
  }

  const std::string admin_;
  const ServerProcess& server_;
  const RatioOptions options_;
  double base_ = 1;
};

std::vector<std::string> Targets(const std::string& begin, const std::vector<std::string>& ids) {
  std::vector<std::string> targets;
  targets.reserve(ids.size());
  for (const std::string& id : ids) {
    targets.push_back(begin + id);
  }
  return targets;
}

// As many exports at once as there are connections, two each; the memory behind them.
void RunExports(const ServerProcess& server, std::size_t connections) {
  const std::size_t before = server.ResidentBytes();
  std::size_t most = 0;
  for (const char* type : {"text/csv", "application/x-ndjson"}) {
    const std::vector<std::string> targets(connections * 2, "notifications");
    const LoadResult load = Ask(server.port(), targets, connections, type);
    fmt::print("{} exports of {} at once: p50 {:.0f} ms, {:.1f} MB each\n", connections, type,
               PercentileOf(load.latency_ms, 0.5),
               static_cast<double>(load.last_body.size()) / 1e6);
    most = std::max(most, server.ResidentBytes());
  }
  fmt::print("the API's process: {:.0f} MB resident after the reads, {:.0f} MB after the exports\n",
             static_cast<double>(before) / 1e6, static_cast<double>(most) / 1e6);
}

bool RunRatio(const postgres::Cluster& cluster, const RatioOptions& options) {
  const std::string admin = cluster.UrlOf("alertstream", "postgres");
  ServerProcess server = StartQueryServer(cluster.url(), options.connections);
  const std::vector<std::string> ids = Ids(admin, options.rows / 10, options.requests);
  const std::vector<std::string> few(
      ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(options.requests / 4));
  const auto by_key =
      fmt::format("SELECT {} FROM read_model.notifications WHERE tenant_id = $1 AND id = $2",
                  read_model::kNotificationList.columns);
  const auto newest = fmt::format(
      "SELECT {} FROM read_model.notifications WHERE tenant_id = $1 AND id <> $2"
      " ORDER BY created_at DESC, id DESC LIMIT 21",
      read_model::kNotificationList.columns);
  const std::vector<std::string> plain(few.size(), "notifications?limit=20");
  const auto objects = Targets("notifications/", ids);
  const auto deep = Targets("notifications?limit=20&starting_after=", few);
  std::vector<Line> lines = {{.name = "bare SELECT by key"},
                             {.name = "GET notifications/{id}"},
                             {.name = "bare SELECT of the newest 21"},
                             {.name = "GET notifications?limit=20"},
                             {.name = "the same, after any object"}};
  Comparison comparison(cluster, server, options);
  Line warm_up;
  comparison.BareRound(by_key, few, &warm_up);
  comparison.Round(plain, &warm_up);
  comparison.Round(Targets("notifications/", few), &warm_up);
  for (std::size_t round = 0; round < options.rounds; ++round) {
    comparison.BareRound(by_key, ids, &lines[0]);
    comparison.Round(objects, &lines[1]);
    comparison.BareRound(newest, few, &lines[2]);
    comparison.Round(plain, &lines[3]);
    comparison.Round(deep, &lines[4]);
  }
  fmt::print("{} rows, {} connections, {} rounds\n", options.rows, options.connections,
             options.rounds);
  for (const Line& line : lines) {
    Print(line);
  }
  RunExports(server, options.connections);
  static_cast<void>(server.End());
  const bool is_met = MedianOf(lines[1].ratios) >= kGoal && MedianOf(lines[3].ratios) >= kGoal;
  fmt::print("goal {:.1f}: {}\n", kGoal, is_met ? "met" : "missed");
  return is_met;
}

int Run(int argc, char** argv) {
  Arguments arguments(argc, argv,
                      "alertstream_query_bench [--dir=/tmp/alertstream-query-bench] "
                      "[--stage=ratio|pages] [--rows=200000] [--requests=20000] "
                      "[--connections=8] [--rounds=3] [--list=events]");
  const std::string directory = arguments.Text("dir", "/tmp/alertstream-query-bench");
  const std::string stage = arguments.Text("stage", "ratio");
  const bool is_ratio = stage == "ratio";
  const auto number = [&](const char* name, double ratio, double pages, double min, double max) {
    return static_cast<std::size_t>(arguments.Number(name, is_ratio ? ratio : pages, min, max));
  };
  const std::size_t rows = number("rows", 200'000, 10'000'000, 1000, 2e7);
  const std::size_t requests = number("requests", 20'000, 300, 100, 1e7);
  const std::size_t connections = number("connections", 8, 2, 1, 64);
  const std::size_t rounds = number("rounds", 3, 1, 1, 100);
  const std::string list = arguments.Text("list", "");
  arguments.Done();
  if (!is_ratio && stage != "pages") {
    Die("--stage: expected ratio or pages");
  }
  const std::string place = Must(postgres::ClusterDirectory(directory));
  const auto cluster =
      Must(postgres::Cluster::Start({.directory = place, .durable = false}, SystemClock()));
  Fill(cluster->url(), is_ratio ? rows : 0);
  const bool is_met =
      is_ratio
          ? RunRatio(
                *cluster,
                {.rows = rows, .requests = requests, .connections = connections, .rounds = rounds})
          : RunPages(
                *cluster,
                {.rows = rows, .requests = requests, .connections = connections, .list = list});
  cluster->Stop();
  Must(postgres::RemoveCluster(place, SystemClock()));
  return is_met ? 0 : 1;
}

}  // namespace
}  // namespace alertstream::bench

int main(int argc, char** argv) { return alertstream::bench::Run(argc, argv); }

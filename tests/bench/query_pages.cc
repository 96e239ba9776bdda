#include "tests/bench/query_pages.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include <pqxx/pqxx>

#include "processor/base/clock.h"
#include "processor/base/rfc3339.h"
#include "tests/bench/http_load.h"
#include "tests/bench/query_server.h"
#include "tests/bench/workload.h"

namespace alertstream::bench {
namespace {

constexpr double kP99GoalMs = 20;

struct Filter {
  std::string name;
  std::string column;
};

// A list and the table that it shows.
struct List {
  std::string path;
  std::string table;
  std::string time;
  std::vector<Filter> filters;
  std::string insert;  // {0}: seconds between two rows, {1}: rows.
};

// `o`: tenant, number, the end of an id, and the time, of every row.
constexpr const char* kNumbers =
    " FROM (SELECT 't' || n % 10 AS tenant, n, lpad(n::text, 26, '0') AS tail,"
    " '2026-01-15 00:00:00+00'::timestamptz + n * interval '{0} seconds' AS at"
    " FROM generate_series(1, {1}::bigint) n) o";

std::vector<List> Lists() {
  // Of a tenant's rows each event type, trigger, status and so on has a share that is not the
  // same for all: most of them are few among many, one or two are most.
  const std::string numbers = kNumbers;
  return {
      {.path = "events",
       .table = "events",
       .time = "append_time",
       .filters = {{"type", "type"}},
       .insert = "INSERT INTO events SELECT tenant, 'evt_' || tail,"
                 " 'order.type' || floor(50 * (n / 10 % 1009 / 1009.0) ^ 3)::int, 'shop', at, at,"
                 " at, 'accepted', 5, 'site-events', n % 16, n, 3, '[]', NULL, n" +
                 numbers},
      {.path = "decisions",
       .table = "decisions",
       .time = "decided_at",
       .filters = {{"event", "event_id"},
                   {"trigger", "trigger_id"},
                   {"recipient", "recipient"},
                   {"outcome", "outcome"}},
       .insert = "INSERT INTO decisions SELECT tenant, 'dec_' || tail,"
                 " 'evt_' || lpad((n / 50 * 50 + n % 10)::text, 26, '0'), 'order.type1',"
                 " 'trg-' || floor(200 * (n / 10 % 1013 / 1013.0) ^ 3)::int, 1,"
                 " 'rcp_' || lpad((n / 10 * 7919 % 100000)::text, 26, '0'), 'sms',"
                 " 'transactional', CASE WHEN n / 10 % 100 < 69 THEN 'send' WHEN n / 10 % 100 < 99"
                 " THEN 'suppress' WHEN n / 10 % 1000 < 999 THEN 'defer' ELSE 'fail' END, NULL,"
                 " NULL, NULL, '[]', 1, 1, at, 0, n" +
                 numbers},
      {.path = "notifications",
       .table = "notifications",
       .time = "created_at",
       .filters = {{"status", "status"},
                   {"channel", "channel"},
                   {"trigger", "trigger_id"},
                   {"event", "event_id"},
                   {"recipient", "recipient"}},
       .insert = "INSERT INTO notifications SELECT tenant, left(id_floor('ntf_', at), 14) ||"
                 " lpad(n::text, 16, '0'), 'send',"
                 " 'evt_' || lpad((n / 50 * 50 + n % 10)::text, 26, '0'), 'dec_' || tail,"
                 " 'trg-' || floor(200 * (n / 10 % 1013 / 1013.0) ^ 3)::int, 1,"
                 " 'rcp_' || lpad((n / 10 * 7919 % 100000)::text, 26, '0'),"
                 " CASE WHEN n / 10 % 997 < 900 THEN 'sms' WHEN n / 10 % 997 < 996 THEN 'email'"
                 " ELSE 'voice' END, 'transactional', CASE WHEN n / 10 % 100 < 95 THEN 'delivered'"
                 " WHEN n / 10 % 100 < 99 THEN 'failed' WHEN n / 10 % 1000 < 999 THEN 'expired'"
                 " ELSE 'unknown_outcome' END, at, at, at, 'main', 'twilio', 'acc', '+15550000000',"
                 " 'SM' || n, NULL, 1, 1, '\\x0a0d2b323534373030303030303031', '+254700***001',"
                 " '\\x0a2048656c6c6f20576f726c64',"
                 " '[{{\"at\":\"2026-11-20T12:00:00Z\",\"status\":\"delivered\"}}]', 0, n" +
                 numbers},
      {.path = "audit",
       .table = "audit_log",
       .time = "at",
       .filters = {{"actor", "actor"}},
       .insert = "INSERT INTO audit_log SELECT tenant, n, at,"
                 " 'usr_' || floor(50 * (n / 10 % 1009 / 1009.0) ^ 3)::int, 'trigger.change',"
                 " 'trg-1', '{{}}', 0, n" +
                 numbers},
  };
}

// One kind of page: a query for each of some rows, whose values and place it has.
struct Kind {
  std::string name;
  std::vector<std::string> targets;
};

using Row = pqxx::row;

// Columns: time, id, then those of the filters.
std::string PlaceOf(const List& list, const Row& row) {
  std::string standard = row[0].as<std::string>();
  const auto time = Must(ParseRfc3339(standard));
  std::string id = row[1].as<std::string>();
  if (list.path == "audit") {
    id = "aud_l" + id;
  }
  return BenchCursors().Write({.tenant = kBenchTenant, .list = "/api/v1/" + list.path},
                              {.time = time, .id = id});
}

Kind KindOf(const List& list, const pqxx::result& rows, const std::vector<std::size_t>& filters,
            const std::string& how) {
  Kind kind;
  for (const std::size_t filter : filters) {
    kind.name += (kind.name.empty() ? "" : "+") + list.filters[filter].name;
  }
  kind.name = (kind.name.empty() ? "all" : kind.name) + ", " + how;
  for (const Row& row : rows) {
    std::string target = list.path + "?limit=20";
    for (const std::size_t filter : filters) {
      const auto column = static_cast<pqxx::row::size_type>(filter + 2);
      target += "&" + list.filters[filter].name + "=" + row[column].as<std::string>();
    }
    if (how == "older") {
      target += "&starting_after=" + PlaceOf(list, row);
    } else if (how == "newer") {
      target += "&ending_before=" + PlaceOf(list, row);
    } else if (how == "a day") {
      target +=
          "&until=" + row[0].as<std::string>() + "&since=" +
          FormatRfc3339(Must(ParseRfc3339(row[0].as<std::string>())) - std::chrono::hours(24));
    }
    kind.targets.push_back(std::move(target));
  }
  return kind;
}

// No filter, each, and each pair; and where a page can begin.
std::vector<Kind> KindsOf(const List& list, const pqxx::result& rows) {
  std::vector<std::vector<std::size_t>> sets = {{}};
  for (std::size_t i = 0; i < list.filters.size(); ++i) {
    sets.push_back({i});
    for (std::size_t j = 0; j < i; ++j) {
      sets.push_back({j, i});
    }
  }
  std::stable_sort(sets.begin(), sets.end(),
                   [](const auto& a, const auto& b) { return a.size() < b.size(); });
  std::vector<Kind> kinds;
  for (const auto& set : sets) {
    for (const char* how : {"first", "older", "newer", "a day"}) {
      kinds.push_back(KindOf(list, rows, set, how));
    }
  }
  return kinds;
}

class Tables {
 public:
  explicit Tables(const postgres::Cluster& cluster)
      : connection_(cluster.UrlOf("alertstream", "postgres")) {
    Exec("SET search_path = read_model; SET TimeZone = 'UTC'; SET maintenance_work_mem = '512MB'");
  }

  // All in one statement; the indexes, that of the key apart, are made when the rows are there.
  void Fill(const List& list, std::size_t rows) {
    std::vector<std::string> indexes;
    for (const Row& row :
         Exec("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'read_model'"
              " AND tablename = '" +
              list.table + "' AND indexname NOT LIKE '%_pkey'")) {
      Exec("DROP INDEX " + row[0].as<std::string>());
      // As PostgreSQL writes it, it would leave the partitions out.
      std::string text = row[1].as<std::string>();
      const std::string only = " ON ONLY ";
      if (const std::size_t at = text.find(only); at != std::string::npos) {
        text.replace(at, only.size(), " ON ");
      }
      indexes.push_back(std::move(text));
    }
    constexpr double kSecondsOfYear = 300.0 * 86'400;
    const double step = kSecondsOfYear / static_cast<double>(rows);
    Exec(fmt::format(fmt::runtime(list.insert), step, rows));
    for (const std::string& index : indexes) {
      Exec(index);
    }
    Exec("VACUUM ANALYZE " + list.table);
  }

  // Of the tenant, from everywhere in its list; those whose values are rare among them.
  pqxx::result Sample(const List& list, std::size_t count) {
    std::string columns =
        fmt::format("to_char({}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), id", list.time);
    for (const Filter& filter : list.filters) {
      columns += ", " + filter.column;
    }
    return Exec(
        fmt::format("SELECT {0} FROM (SELECT * FROM {1} WHERE tenant_id = '{2}'"
                    " AND seq % 37 = 0) s ORDER BY md5(id::text) LIMIT {3}",
                    columns, list.table, kBenchTenant, count));
  }

  double Gigabytes() {
    return Exec("SELECT pg_database_size('alertstream')")[0][0].as<double>() / 1e9;
  }
  void Empty(const List& list) { Exec("TRUNCATE " + list.table); }

 private:
  pqxx::result Exec(const std::string& text) {
    return pqxx::nontransaction(connection_).exec(text);
  }

  pqxx::connection connection_;
};

// Seconds since boot.
double Now() { return std::chrono::duration<double>(SystemClock().SinceBoot()).count(); }

bool RunList(Tables* tables, std::uint16_t port, const List& list, const PagesOptions& options) {
  const double begun = Now();
  tables->Fill(list, options.rows);
  fmt::print("{}: {} rows in {:.0f} s, {:.1f} GB\n", list.table, options.rows, Now() - begun,
             tables->Gigabytes());
  std::fflush(stdout);
  const pqxx::result rows = tables->Sample(list, options.requests);
  std::vector<float> all;
  bool is_met = true;
  for (const Kind& kind : KindsOf(list, rows)) {
    const LoadResult load = Ask(port, kind.targets, options.connections);
    const double p99 = PercentileOf(load.latency_ms, 0.99);
    is_met = is_met && p99 <= kP99GoalMs;
    all.insert(all.end(), load.latency_ms.begin(), load.latency_ms.end());
    fmt::print("  {:<34} p50 {:6.2f} ms   p99 {:7.2f} ms{}\n", kind.name,
               PercentileOf(load.latency_ms, 0.5), p99, p99 <= kP99GoalMs ? "" : "   missed");
  }
  fmt::print("  {:<34} p50 {:6.2f} ms   p99 {:7.2f} ms\n", "all of " + list.path,
             PercentileOf(all, 0.5), PercentileOf(all, 0.99));
  std::fflush(stdout);
  tables->Empty(list);
  return is_met;
}

}  // namespace

bool RunPages(const postgres::Cluster& cluster, const PagesOptions& options) {
  ServerProcess server = StartQueryServer(cluster.url(), options.connections);
  Tables tables(cluster);
  bool is_met = true;
  for (const List& list : Lists()) {
    if (options.list.empty() || options.list == list.path) {
      is_met = RunList(&tables, server.port(), list, options) && is_met;
    }
  }
  fmt::print("the API's process: {:.0f} MB resident\n",
             static_cast<double>(server.ResidentBytes()) / 1e6);
  static_cast<void>(server.End());
  fmt::print("goal p99 {:.0f} ms: {}\n", kP99GoalMs, is_met ? "met" : "missed");
  return is_met;
}

}  // namespace alertstream::bench

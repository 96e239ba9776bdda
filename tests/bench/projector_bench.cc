// The projector against COPY of the same rows into the same tables of the same server, indexes and
// all: events that were decided before, until the tables hold them; and its resident memory. Each
// part is a process of its own.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "ops/postgres/cluster.h"
#include "processor/base/clock.h"
#include "processor/log/local/local_log.h"
#include "processor/runtime/identity.h"
#include "projections/all.h"
#include "projections/migrations/migrations.h"
#include "projections/postgres/database.h"
#include "projections/projector.h"
#include "tests/bench/arguments.h"
#include "tests/bench/deciders.h"
#include "tests/bench/workload.h"

namespace alertstream::bench {
namespace {

using namespace std::chrono_literals;

constexpr double kRatioGoal = 0.4;
constexpr double kResidentGoal = 150e6;

struct Measured {
  double seconds = 0;
  double cpu = 0;
  double rows = 0;
  double resident = 0;
};

// Runs `part` in a new process, so that it has a memory of its own. Before this one has threads.
Measured InProcess(const std::function<Measured()>& part) {
  int pipe_ends[2];
  if (::pipe(pipe_ends) != 0) {
    Die("no pipe");
  }
  const pid_t child = ::fork();
  if (child == 0) {
    const Measured measured = part();
    const bool told = ::write(pipe_ends[1], &measured, sizeof(measured)) == sizeof(measured);
    ::_exit(told ? 0 : 1);
  }
  ::close(pipe_ends[1]);
  Measured measured;
  const bool heard = ::read(pipe_ends[0], &measured, sizeof(measured)) == sizeof(measured);
  ::close(pipe_ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!heard || status != 0) {
    Die("a part of the benchmark failed");
  }
  return measured;
}

std::unique_ptr<sql::Database> OpenDatabase(const std::string& url) {
  return Must(postgres::MakeDatabase({.url = url}, SystemClock()));
}

std::unique_ptr<sql::Session> OpenSession(sql::Database& database, const std::string& role) {
  return Must(database.Open({.role = role, .statement_timeout = 600'000ms}));
}

void RunSql(const std::string& url, const std::string& script) {
  const auto database = OpenDatabase(url);
  Must(OpenSession(*database, "")->RunScript(script));
}

// A database with the tables; nobody but it is in use while it is measured.
void MakeDatabaseOf(const postgres::Cluster& cluster, const std::string& name) {
  RunSql(cluster.UrlOf("postgres", "postgres"), "CREATE DATABASE " + name + " OWNER alertstream");
  const auto database = OpenDatabase(cluster.UrlOf(name));
  const auto session = OpenSession(*database, "");
  static_cast<void>(Must(migrations::MigrateUp(*session, migrations::ProgramMigrations())));
}

Measured Decide(const std::string& directory, std::int32_t partitions, std::uint64_t events) {
  const auto log =
      Must(log::OpenLocalLog({.directory = directory + "/log", .clock = SystemClock()}));
  MakeTopics(*log, partitions);
  const WorkloadSize size{.tenants = 100, .recipients = static_cast<std::uint32_t>(events / 100)};
  Deciders deciders(*log, directory);
  static_cast<void>(deciders.ApplyRules(size));
  AppendEvents(*log, size, 0, events);
  const Decided decided = deciders.Drain();
  return {.rows = static_cast<double>(decided.sends)};
}

double RowsOf(const std::string& url) {
  const auto database = OpenDatabase(url);
  const auto session = OpenSession(*database, "alertstream_projector");
  double rows = 0;
  static std::vector<std::string> texts;  // Live as long as the program.
  texts.reserve(2 * projections::AllTables().size());
  for (const auto& table : projections::AllTables()) {
    texts.push_back(fmt::format("bench.count.{}", table.table));
    const char* name = texts.back().c_str();
    texts.push_back(fmt::format("SELECT count(*) FROM read_model.{}", table.table));
    const sql::Statement count = {name, texts.back().c_str()};
    rows += static_cast<double>(Must(session->Run(count)).Integer(0, 0));
  }
  return rows;
}

Measured Project(const std::string& directory, const std::string& url, std::int32_t partitions) {
  const auto log = Must(log::OpenLocalLog(
      {.directory = directory + "/log", .clock = SystemClock(), .read_only = true}));
  const auto database = OpenDatabase(url);
  projections::ProjectorOptions options;
  options.log_id = Must(runtime::CheckMarkers(*log, TokenKey(), 0, kTimeout)).log_id;
  std::vector<log::TopicPartition> journals;
  for (std::int32_t partition = 0; partition < partitions; ++partition) {
    options.partitions.push_back(partition);
    journals.push_back({schemas::Topic::kJournal, partition});
  }
  options.on_error = [](std::int32_t, const Error& error) { Die(error.message()); };
  const auto ends = Must(log->Ends(journals, log::EndKind::kStable, kTimeout));
  const Stopwatch watch;
  projections::Projector projector(*log, SystemClock(), *database, options);
  projector.Start();
  // The offsets of a journal begin with the marker, so the last record's seq is its end less one.
  const auto done = [&] {
    const auto statuses = projector.Status();
    return std::all_of(statuses.begin(), statuses.end(), [&](const auto& status) {
      return status.seq + 1 >= ends[static_cast<std::size_t>(status.partition)];
    });
  };
  while (!done()) {
    SystemClock().SleepFor(1ms);
  }
  Measured measured{.seconds = watch.wall(), .cpu = watch.cpu()};
  projector.Stop();
  measured.resident = static_cast<double>(RssPeakBytes());
  measured.rows = RowsOf(url);
  return measured;
}

// COPY of every table from a file of the server's, one after the other in one transaction: as fast
// as rows get into these tables.
Measured Copy(const postgres::Cluster& cluster, const std::string& from, const std::string& to) {
  const std::string files = cluster.directory() + "/data/copy_";
  std::string out;
  std::string in = "BEGIN;";
  for (const auto& table : projections::AllTables()) {
    out += fmt::format("COPY (SELECT * FROM read_model.{0}) TO '{1}{0}';", table.table, files);
    in += fmt::format("COPY read_model.{0} FROM '{1}{0}';", table.table, files);
  }
  RunSql(cluster.UrlOf(from, "postgres"), out);
  RunSql(cluster.UrlOf(to, "postgres"),
         "SELECT read_model.ensure_month('read_model', now());"
         "SELECT read_model.ensure_month('read_model', now() + interval '7 days')");
  const auto database = OpenDatabase(cluster.UrlOf(to, "postgres"));
  const auto session = OpenSession(*database, "");
  const Stopwatch watch;
  Must(session->RunScript(in + "COMMIT"));
  const double seconds = watch.wall();
  return {.seconds = seconds, .rows = RowsOf(cluster.UrlOf(to))};
}

int Run(int argc, char** argv) {
  Arguments arguments(argc, argv,
                      "alertstream_projector_bench --dir=EMPTY [--events=100000] [--partitions=1] "
                      "[--rounds=3]");
  const std::string directory = arguments.Text("dir", "");
  const auto events =
      static_cast<std::uint64_t>(arguments.Number("events", 100'000, 1'000, 10'000'000));
  const auto partitions = static_cast<std::int32_t>(arguments.Number("partitions", 1, 1, 16));
  const auto rounds = static_cast<int>(arguments.Number("rounds", 3, 1, 20));
  arguments.Done();
  if (directory.empty()) {
    Die("--dir is needed: an empty directory on the disk that is meant");
  }
  std::filesystem::create_directories(directory);
  const Measured decided = InProcess([&] { return Decide(directory, partitions, events); });
  fmt::print("{} events, {:.0f} messages, {} partitions\n", events, decided.rows, partitions);
  const std::string data = Must(postgres::ClusterDirectory(directory));
  const auto cluster = Must(postgres::Cluster::Start({.directory = data}, SystemClock()));
  std::vector<double> ratios;
  for (int round = 0; round < rounds; ++round) {
    const std::string projected = fmt::format("projected_{}", round);
    const std::string copied = fmt::format("copied_{}", round);
    MakeDatabaseOf(*cluster, projected);
    MakeDatabaseOf(*cluster, copied);
    const Measured projection =
        InProcess([&] { return Project(directory, cluster->UrlOf(projected), partitions); });
    const Measured copy = InProcess([&] { return Copy(*cluster, projected, copied); });
    if (copy.rows != projection.rows) {
      Die("COPY has other rows");
    }
    const double ratio = copy.seconds / projection.seconds;
    ratios.push_back(ratio);
    fmt::print(
        "projector {:6.0f} rows/s {:6.0f} events/s ({:.0f} us of its CPU an event), resident "
        "{:.0f} MB; COPY {:6.0f} rows/s; ratio {:.2f}\n",
        projection.rows / projection.seconds, static_cast<double>(events) / projection.seconds,
        projection.cpu / static_cast<double>(events) * 1e6, projection.resident / 1e6,
        copy.rows / copy.seconds, ratio);
    if (projection.resident > kResidentGoal) {
      fmt::print("  resident memory is above the goal of {:.0f} MB\n", kResidentGoal / 1e6);
    }
    RunSql(cluster->UrlOf("postgres", "postgres"), fmt::format("DROP DATABASE {}; ", projected));
    RunSql(cluster->UrlOf("postgres", "postgres"), fmt::format("DROP DATABASE {}", copied));
  }
  const double median = Percentile(ratios, 0.5);
  fmt::print("ratio to COPY, median of {}: {:.2f} (goal {:.1f})\n", rounds, median, kRatioGoal);
  return median >= kRatioGoal ? 0 : 1;
}

}  // namespace
}  // namespace alertstream::bench

int main(int argc, char** argv) { return alertstream::bench::Run(argc, argv); }

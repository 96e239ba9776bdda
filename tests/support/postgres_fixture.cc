#include "tests/support/postgres_fixture.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "ops/postgres/process.h"
#include "processor/base/check.h"
#include "processor/base/clock.h"
#include "projections/migrations/migrations.h"
#include "projections/postgres/database.h"

// libpqxx 6.4.5 loses the result of a statement whose connection broke; which is its own to mend.
// NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl*,readability-identifier-naming)
extern "C" const char* __lsan_default_suppressions() { return "leak:libpqxx-6.4\n"; }

namespace alertstream::postgres {
namespace {

// Removed with the process; what a killed test leaves lies in the system's temporary directory.
class ThrowAwayCluster {
 public:
  ThrowAwayCluster() {
    const auto user = UserOfCluster();
    std::string name = "/tmp/alertstream_pg_XXXXXX";  // Short: a socket's path is limited.
    ALERTSTREAM_CHECK(user.ok() && ::mkdtemp(name.data()) != nullptr);
    directory_ = name;
    ALERTSTREAM_CHECK(::chown(name.c_str(), user.value().uid, user.value().gid) == 0);
    auto started = Cluster::Start({.directory = directory_, .durable = false}, SystemClock());
    if (!started.ok()) {
      ADD_FAILURE() << started.error().message();
    }
    cluster_ = std::move(started).value();
  }
  ~ThrowAwayCluster() {
    cluster_.reset();
    std::error_code error;
    std::filesystem::remove_all(directory_, error);
  }
  ThrowAwayCluster(const ThrowAwayCluster&) = delete;
  ThrowAwayCluster& operator=(const ThrowAwayCluster&) = delete;

  Cluster& cluster() { return *cluster_; }

 private:
  std::string directory_;
  std::unique_ptr<Cluster> cluster_;
};

}  // namespace

Cluster& TestCluster() {
  static ThrowAwayCluster cluster;
  return cluster.cluster();
}

std::string NewTestDatabaseUrl() {
  static int number = 0;
  const std::string name = fmt::format("test_{}", ++number);
  const auto admin = OpenTestDatabase(TestCluster().UrlOf("postgres", "postgres"));
  auto session = admin->Open({});
  if (!session.ok()) {
    ADD_FAILURE() << session.error().message();
  }
  const Status made =
      session.value()->RunScript(fmt::format("CREATE DATABASE {} OWNER alertstream", name));
  EXPECT_TRUE(made.ok()) << made.error().message();
  return TestCluster().UrlOf(name);
}

std::unique_ptr<sql::Database> NewTestDatabase() { return OpenTestDatabase(NewTestDatabaseUrl()); }

std::unique_ptr<sql::Database> NewMigratedTestDatabase() {
  auto database = NewTestDatabase();
  auto session = database->Open({});
  ALERTSTREAM_CHECK(session.ok());
  const auto migrated = migrations::MigrateUp(*session.value(), migrations::ProgramMigrations());
  EXPECT_TRUE(migrated.ok()) << migrated.error().message();
  return database;
}

std::unique_ptr<sql::Database> OpenTestDatabase(const std::string& url) {
  auto database = MakeDatabase({.url = url}, SystemClock());
  ALERTSTREAM_CHECK(database.ok());
  return std::move(database).value();
}

}  // namespace alertstream::postgres

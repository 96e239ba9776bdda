// Migrations against a real PostgreSQL.
#include "projections/migrations/migrations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "tests/support/postgres_fixture.h"

namespace alertstream::migrations {
namespace {

using sql::Params;
using sql::Statement;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<Migration> Parse(const std::vector<MigrationFile>& files) {
  auto parsed = ParseMigrations(files);
  EXPECT_TRUE(parsed.ok());
  return std::move(parsed).value();
}

const std::vector<MigrationFile> kTwo = {
    {"0001_first.sql", "-- schema: read_model\nCREATE TABLE first (a int);"},
    {"0002_second.sql",
     "-- schema: identity\nCREATE TABLE second (a int);\n"
     "GRANT SELECT ON second TO alertstream_identity;"}};

class MigrationsTest : public ::testing::Test {
 protected:
  std::unique_ptr<sql::Session> Open() {
    auto session = database_->Open({});
    EXPECT_TRUE(session.ok()) << session.error().message();
    return std::move(session).value();
  }
  bool Has(const std::string& relation) {
    constexpr Statement kHas{"test.has", "SELECT to_regclass($1) IS NOT NULL"};
    return session_->Run(kHas, Params().Text(relation)).value().Boolean(0, 0);
  }
  std::vector<std::string> States(const std::vector<Migration>& migrations) {
    const auto lines = ReadMigrations(*session_, migrations);
    EXPECT_TRUE(lines.ok()) << lines.error().message();
    std::vector<std::string> states;
    for (const MigrationLine& line : lines.value()) {
      states.emplace_back(MigrationStateName(line.state));
    }
    return states;
  }

  std::unique_ptr<sql::Database> database_ = postgres::NewTestDatabase();
  std::unique_ptr<sql::Session> session_ = Open();
};

TEST_F(MigrationsTest, UpAppliesWhatIsPendingOnce) {
  const auto migrations = Parse(kTwo);
  EXPECT_THAT(States(migrations), ElementsAre("pending", "pending"));
  EXPECT_EQ(CheckMigrated(ReadMigrations(*session_, migrations).value()).error().code(),
            ErrorCode::kUnavailable);
  std::vector<int> applied;
  const auto up = MigrateUp(*session_, migrations, {.applied = [&](const Migration& migration) {
    applied.push_back(migration.number);
  }});
  ASSERT_TRUE(up.ok()) << up.error().message();
  EXPECT_EQ(up.value(), 2U);
  EXPECT_THAT(applied, ElementsAre(1, 2));
  EXPECT_TRUE(Has("read_model.first"));
  EXPECT_TRUE(Has("identity.second"));
  EXPECT_THAT(States(migrations), ElementsAre("applied", "applied"));
  EXPECT_TRUE(CheckMigrated(ReadMigrations(*session_, migrations).value()).ok());
  EXPECT_EQ(MigrateUp(*session_, migrations).value(), 0U);
}

TEST_F(MigrationsTest, TheUserThatMigratesMayActAsEveryRole) {
  ASSERT_TRUE(MigrateUp(*session_, Parse(kTwo)).ok());
  constexpr Statement kWho{"test.who", "SELECT current_user::text"};
  for (const char* role : {"alertstream_projector", "alertstream_api", "alertstream_identity"}) {
    const auto session = database_->Open({.role = role});
    ASSERT_TRUE(session.ok()) << session.error().message();
    EXPECT_EQ(session.value()->Run(kWho).value().Text(0, 0), role);
  }
}

TEST_F(MigrationsTest, ADryRunLeavesNothing) {
  std::size_t seen = 0;
  const auto up = MigrateUp(*session_, Parse(kTwo),
                            {.dry_run = true, .applied = [&](const Migration&) { ++seen; }});
  ASSERT_TRUE(up.ok()) << up.error().message();
  EXPECT_EQ(up.value(), 2U);
  EXPECT_EQ(seen, 2U);
  EXPECT_FALSE(Has("read_model.first"));
  EXPECT_FALSE(Has("alertstream.migrations"));
}

TEST_F(MigrationsTest, OneThatFailsIsTakenBackAndThoseBeforeItStay) {
  const auto migrations = Parse({kTwo[0],
                                 {"0002_bad.sql",
                                  "-- schema: identity\nCREATE TABLE half (a int);\n"
                                  "SELECT nothing FROM nowhere;"}});
  const auto up = MigrateUp(*session_, migrations);
  ASSERT_FALSE(up.ok());
  EXPECT_THAT(up.error().message(), HasSubstr("migration 0002_bad"));
  EXPECT_THAT(up.error().message(), HasSubstr("\"nowhere\" does not exist"));
  EXPECT_FALSE(Has("identity.half"));
  EXPECT_THAT(States(migrations), ElementsAre("applied", "pending"));
  EXPECT_EQ(MigrateUp(*session_, Parse(kTwo)).value(), 1U);  // The lock was given back too.
}

TEST_F(MigrationsTest, OneThatGetsNoLockFailsWithoutHoldingUpOthersForLong) {
  ASSERT_TRUE(MigrateUp(*session_, Parse({kTwo[0]})).ok());
  const auto migrations = Parse(
      {kTwo[0], {"0002_more.sql", "-- schema: read_model\nALTER TABLE first ADD COLUMN b int;"}});
  const auto reader = Open();
  ASSERT_TRUE(reader->Begin({}).ok());
  ASSERT_TRUE(reader->RunScript("SELECT * FROM read_model.first").ok());
  const auto up = MigrateUp(*session_, migrations, {.lock_wait = std::chrono::milliseconds(20)});
  ASSERT_FALSE(up.ok());
  EXPECT_EQ(up.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(up.error().message(), HasSubstr("0002_more"));
  EXPECT_THAT(up.error().message(), HasSubstr("a lock is held by another session"));
  EXPECT_THAT(States(migrations), ElementsAre("applied", "pending"));
  reader->Rollback();
  EXPECT_EQ(MigrateUp(*session_, migrations).value(), 1U);
}

TEST_F(MigrationsTest, AChangedFileIsRefusedAndNothingIsDone) {
  ASSERT_TRUE(MigrateUp(*session_, Parse({kTwo[0]})).ok());
  const auto changed =
      Parse({{"0001_first.sql", "-- schema: read_model\nCREATE TABLE first (b int);"}, kTwo[1]});
  EXPECT_THAT(States(changed), ElementsAre("changed", "pending"));
  const auto up = MigrateUp(*session_, changed);
  ASSERT_FALSE(up.ok());
  EXPECT_EQ(up.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(up.error().message(), HasSubstr("0001_first is not what was applied"));
  EXPECT_THAT(up.error().message(), HasSubstr(Parse({kTwo[0]})[0].sha256));
  EXPECT_FALSE(Has("identity.second"));
}

TEST_F(MigrationsTest, ANewerProgramsDatabaseIsRefused) {
  ASSERT_TRUE(MigrateUp(*session_, Parse(kTwo)).ok());
  const auto older = Parse({kTwo[0]});
  EXPECT_THAT(States(older), ElementsAre("applied", "unknown"));
  EXPECT_EQ(MigrateUp(*session_, older).error().code(), ErrorCode::kConflict);
  EXPECT_THAT(MigrateUp(*session_, older).error().message(),
              HasSubstr("0002_second was applied by a newer program"));
}

TEST_F(MigrationsTest, ALateNumberIsRefused) {
  ASSERT_TRUE(MigrateUp(*session_, Parse({kTwo[1]})).ok());
  EXPECT_THAT(States(Parse(kTwo)), ElementsAre("late", "applied"));
  EXPECT_THAT(MigrateUp(*session_, Parse(kTwo)).error().message(),
              HasSubstr("0001_first is not applied, but one with a higher number is"));
}

TEST_F(MigrationsTest, SeveralAtOnceDoItOnce) {
  const auto migrations = Parse(kTwo);
  constexpr std::size_t kRunners = 4;
  std::vector<Result<std::size_t>> results(kRunners, std::size_t{0});
  std::vector<std::thread> runners;
  for (std::size_t i = 0; i < kRunners; ++i) {
    runners.emplace_back([&, i, session = std::shared_ptr(Open())] {
      results[i] = MigrateUp(*session, migrations);
    });
  }
  std::size_t applied = 0;
  for (std::size_t i = 0; i < kRunners; ++i) {
    runners[i].join();
    ASSERT_TRUE(results[i].ok()) << results[i].error().message();
    applied += results[i].value();
  }
  EXPECT_EQ(applied, migrations.size());
}

TEST_F(MigrationsTest, TheProgramsOwnApplyAndRunIntoAnotherSchemaToo) {
  const auto up = MigrateUp(*session_, ProgramMigrations());
  ASSERT_TRUE(up.ok()) << up.error().message();
  ASSERT_TRUE(session_->RunScript("CREATE SCHEMA read_model_next").ok());
  const Status into = RunFilesInto(*session_, ProgramMigrations(), "read_model", "read_model_next");
  ASSERT_TRUE(into.ok()) << into.error().message();
  constexpr Statement kCount{"test.count",
                             "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = "
                             "c.relnamespace WHERE n.nspname = $1"};
  const auto count = [&](const std::string& schema) {
    return session_->Run(kCount, Params().Text(schema)).value().Integer(0, 0);
  };
  EXPECT_GT(count("read_model"), 0);
  EXPECT_EQ(count("read_model"), count("read_model_next"));
  EXPECT_GT(count("identity"), 0);
  EXPECT_EQ(count("public"), 0);
}

}  // namespace
}  // namespace alertstream::migrations

// The adapter against a real PostgreSQL.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "processor/base/rfc3339.h"
#include "projections/postgres/database.h"
#include "tests/support/postgres_fixture.h"

namespace alertstream::postgres {
namespace {

using sql::Params;
using sql::SessionOptions;
using sql::Statement;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr Statement kEcho{"test.echo",
                          "SELECT $1::text, $2::bigint, $3::boolean, $4::bytea, $5::timestamptz"};
constexpr Statement kAdd{"test.add", "INSERT INTO things (id, name) VALUES ($1, $2)"};
constexpr Statement kCount{"test.count", "SELECT count(*) FROM things"};
constexpr Statement kSleep{"test.sleep", "SELECT pg_sleep($1::integer)"};
constexpr Statement kBackend{"test.backend", "SELECT pg_backend_pid()"};
constexpr Statement kEnd{"test.end", "SELECT pg_terminate_backend($1::integer)"};
constexpr Statement kOwned{"test.owned", "SELECT n, tenant_id FROM owned ORDER BY n"};
constexpr Statement kMissing{"test.missing", "SELECT 1 / n FROM (SELECT 0 AS n) AS none"};
constexpr Statement kTenant{"test.tenant", "SELECT current_setting('alertstream.tenant', true)"};

std::unique_ptr<sql::Session> Open(sql::Database& database, const SessionOptions& options = {}) {
  auto session = database.Open(options);
  EXPECT_TRUE(session.ok()) << session.error().message();
  return std::move(session).value();
}

std::int64_t Count(sql::Session& session) {
  const auto rows = session.Run(kCount);
  EXPECT_TRUE(rows.ok()) << rows.error().message();
  return rows.value().Integer(0, 0);
}

Status Add(sql::Session& session, std::int64_t id, std::string_view name) {
  const auto ran = session.Run(kAdd, Params().Integer(id).Text(name));
  return ran.ok() ? Status::Ok() : Status(ran.error());
}

class SessionTest : public ::testing::Test {
 protected:
  SessionTest() : database_(NewTestDatabase()), session_(Open(*database_)) {
    const Status made = session_->RunScript(
        "CREATE TABLE things (id bigint PRIMARY KEY, name text NOT NULL CHECK (name <> 'no'));"
        "CREATE TABLE parts (thing bigint CONSTRAINT parts_thing REFERENCES things (id));");
    EXPECT_TRUE(made.ok()) << made.error().message();
  }

  // The table `owned`: one row of the tenant a, two of b, shown by row-level security to the role
  // test_reader, which may write its own.
  void MakeOwned() {
    const auto owner = OpenTestDatabase(TestCluster().UrlOf("postgres", "postgres"));
    const Status role = Open(*owner)->RunScript(
        "DO $$ BEGIN CREATE ROLE test_reader NOLOGIN; EXCEPTION WHEN "
        "duplicate_object THEN NULL; END $$;"
        "GRANT test_reader TO alertstream");
    ASSERT_TRUE(role.ok()) << role.error().message();
    const Status made = session_->RunScript(
        "CREATE TABLE owned (tenant_id text, n bigint);"
        "ALTER TABLE owned ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON owned USING (tenant_id = "
        "current_setting('alertstream.tenant', true));"
        "GRANT SELECT, INSERT ON owned TO test_reader;"
        "INSERT INTO owned VALUES ('a', 1), ('b', 2), ('b', 3);"
        "ALTER TABLE owned FORCE ROW LEVEL SECURITY");
    ASSERT_TRUE(made.ok()) << made.error().message();
  }

  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<sql::Session> session_;
};

TEST_F(SessionTest, ValuesComeBackAsTheyWere) {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) {
    bytes.push_back(static_cast<char>(byte));
  }
  const LogTime time = ParseRfc3339("2026-01-31T23:59:59.123456+03:00").value();
  const std::string text = "q'uo\"te \\ back\\\\slash {,} \xc3\xa9\n$1";
  const auto rows = session_->Run(
      kEcho, Params().Text(text).Integer(INT64_MIN).Boolean(true).Bytes(bytes).Time(time));
  ASSERT_TRUE(rows.ok()) << rows.error().message();
  EXPECT_EQ(rows.value().Text(0, 0), text);
  EXPECT_EQ(rows.value().Integer(0, 1), INT64_MIN);
  EXPECT_TRUE(rows.value().Boolean(0, 2));
  EXPECT_EQ(rows.value().Bytes(0, 3), bytes);
  EXPECT_EQ(rows.value().Time(0, 4), time);
  const auto nulls = session_->Run(kEcho, Params().Null().Null().Null().Null().Null());
  ASSERT_TRUE(nulls.ok());
  for (std::size_t column = 0; column < 5; ++column) {
    EXPECT_TRUE(nulls.value().IsNull(0, column));
  }
}

TEST_F(SessionTest, ExtremeTimesComeBackAsTheNearestThatCanBeWritten) {
  constexpr Statement kTime{"test.time", "SELECT $1::timestamptz"};
  for (const auto& [time, expected] :
       {std::pair{FromMicros(INT64_MAX), "9999-12-31T23:59:59.999999Z"},
        {FromMicros(INT64_MIN), "0001-01-01T00:00:00Z"}}) {
    const auto rows = session_->Run(kTime, Params().Time(time));
    ASSERT_TRUE(rows.ok()) << rows.error().message();
    EXPECT_EQ(FormatRfc3339(rows.value().Time(0, 0)), expected);
  }
}

TEST_F(SessionTest, ArraysComeBackAsTheyWere) {
  constexpr Statement kUnnest{
      "test.unnest",
      "SELECT a, b, c, d, e FROM unnest($1::text[], $2::bigint[], $3::boolean[], $4::bytea[], "
      "$5::timestamptz[]) WITH ORDINALITY AS t (a, b, c, d, e, n) ORDER BY n"};
  const std::vector<std::optional<std::string>> texts = {"q\"u{o},te\\", std::nullopt, "NULL", ""};
  const std::vector<std::optional<std::int64_t>> integers = {1, std::nullopt, -3, 4};
  const std::vector<std::optional<bool>> booleans = {true, std::nullopt, false, true};
  const std::vector<std::optional<std::string>> bytes = {std::string("\0\"\\", 3), std::nullopt, "",
                                                         "\xff"};
  const std::vector<std::optional<LogTime>> times = {FromMicros(1), std::nullopt, FromMicros(-1),
                                                     FromMicros(1'700'000'000'000'000)};
  const auto rows = session_->Run(
      kUnnest,
      Params().Texts(texts).Integers(integers).Booleans(booleans).BytesList(bytes).Times(times));
  ASSERT_TRUE(rows.ok()) << rows.error().message();
  ASSERT_EQ(rows.value().size(), texts.size());
  for (std::size_t row = 0; row < texts.size(); ++row) {
    for (std::size_t column = 0; column < 5; ++column) {
      EXPECT_EQ(rows.value().IsNull(row, column), !texts[row].has_value()) << row << column;
    }
    if (texts[row]) {
      EXPECT_EQ(rows.value().Text(row, 0), *texts[row]);
      EXPECT_EQ(rows.value().Integer(row, 1), *integers[row]);
      EXPECT_EQ(rows.value().Boolean(row, 2), *booleans[row]);
      EXPECT_EQ(rows.value().Bytes(row, 3), *bytes[row]);
      EXPECT_EQ(rows.value().Time(row, 4), *times[row]);
    }
  }
}

TEST_F(SessionTest, WhatCannotBeStoredIsInvalidAndItsTextIsNotRepeated) {
  const Status nul = Add(*session_, 1, std::string_view("secret\0x", 8));
  EXPECT_EQ(nul.error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(nul.error().message(), HasSubstr("U+0000"));
  const Status encoding = Add(*session_, 1, "secret\xff");
  EXPECT_EQ(encoding.error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(encoding.error().message(), HasSubstr("UTF-8"));
  const Status check = Add(*session_, 1, "no");
  EXPECT_EQ(check.error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(check.error().message(), HasSubstr("things_name_check"));
  for (const Status& status : {nul, encoding, check}) {
    EXPECT_THAT(status.error().message(), Not(HasSubstr("secret")));
  }
  EXPECT_TRUE(session_->alive());
  EXPECT_EQ(Count(*session_), 0);
}

TEST_F(SessionTest, ConflictsNameTheConstraintAndNoValue) {
  ASSERT_TRUE(Add(*session_, 4711, "a").ok());
  const Status twice = Add(*session_, 4711, "b");
  EXPECT_EQ(twice.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(twice.error().message(), HasSubstr("constraint things_pkey"));
  EXPECT_THAT(twice.error().message(), Not(HasSubstr("4711")));
  constexpr Statement kPart{"test.part", "INSERT INTO parts VALUES ($1)"};
  const auto orphan = session_->Run(kPart, Params().Integer(12));
  EXPECT_EQ(orphan.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(orphan.error().message(), HasSubstr("parts_thing"));
}

TEST_F(SessionTest, ATransactionIsAllOrNothing) {
  ASSERT_TRUE(session_->Begin({}).ok());
  ASSERT_TRUE(Add(*session_, 1, "a").ok());
  session_->Rollback();
  EXPECT_EQ(Count(*session_), 0);
  ASSERT_TRUE(session_->Begin({}).ok());
  ASSERT_TRUE(Add(*session_, 1, "a").ok());
  ASSERT_TRUE(session_->Commit().ok());
  EXPECT_EQ(Count(*session_), 1);
  session_->Rollback();  // Nothing is open: does nothing.
  EXPECT_EQ(Count(*session_), 1);
}

TEST_F(SessionTest, AnErrorEndsItsTransaction) {
  ASSERT_TRUE(session_->Begin({}).ok());
  ASSERT_TRUE(Add(*session_, 1, "a").ok());
  EXPECT_FALSE(Add(*session_, 1, "b").ok());
  const Status after = Add(*session_, 2, "c");
  EXPECT_EQ(after.error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(after.error().message(), HasSubstr("transaction has ended"));
  EXPECT_EQ(session_->Commit().error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(Count(*session_), 0);
  ASSERT_TRUE(session_->Begin({}).ok());
  ASSERT_TRUE(Add(*session_, 3, "d").ok());
  EXPECT_TRUE(session_->Commit().ok());
}

TEST_F(SessionTest, AReadOnlyTransactionWritesNothing) {
  ASSERT_TRUE(session_->Begin({.read_only = true}).ok());
  EXPECT_EQ(Add(*session_, 1, "a").error().code(), ErrorCode::kUnavailable);
  session_->Rollback();
  EXPECT_TRUE(Add(*session_, 1, "a").ok());
}

TEST_F(SessionTest, TheTenantHoldsForItsTransaction) {
  const auto tenant = [&] {
    const auto rows = session_->Run(kTenant);
    return rows.value().IsNull(0, 0) ? "" : std::string(rows.value().Text(0, 0));
  };
  EXPECT_EQ(tenant(), "");
  const std::string odd = "it's'; DROP TABLE things; --\\";
  ASSERT_TRUE(session_->Begin({.tenant = odd}).ok());
  EXPECT_EQ(tenant(), odd);
  ASSERT_TRUE(session_->Commit().ok());
  EXPECT_EQ(tenant(), "");
  EXPECT_EQ(session_->Begin({.tenant = std::string("a\0b", 3)}).error().code(),
            ErrorCode::kInvalid);
}

TEST_F(SessionTest, ARoleSeesItsOwnTenantsRowsOnly) {
  MakeOwned();
  const auto reader = Open(*database_, {.role = "test_reader"});
  EXPECT_EQ(reader->Run(kOwned).value().size(), 0U);
  ASSERT_TRUE(reader->Begin({.read_only = true, .tenant = "b"}).ok());
  EXPECT_EQ(reader->Run(kOwned).value().size(), 2U);
  ASSERT_TRUE(reader->Commit().ok());
  EXPECT_EQ(reader->Run(kOwned).value().size(), 0U);
  const Status refused = Add(*reader, 1, "a");
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(refused.error().message(), HasSubstr("may not"));
}

TEST_F(SessionTest, TenantsThatTakeTurnsInOneSessionNeverSeeEachOthersRows) {
  MakeOwned();
  sql::TenantPool pool(*database_, {.role = "test_reader"}, 1);
  std::int64_t backend = 0;
  for (int turn = 0; turn < 20; ++turn) {
    const std::string tenant = turn % 3 == 0 ? "a" : "b";
    const auto lease = pool.Take(tenant, milliseconds(0));
    ASSERT_TRUE(lease.ok()) << lease.error().message();
    const auto rows = lease.value()->Run(kOwned);
    ASSERT_TRUE(rows.ok()) << rows.error().message();
    EXPECT_EQ(rows.value().size(), tenant == "a" ? 1U : 2U);
    for (std::size_t row = 0; row < rows.value().size(); ++row) {
      EXPECT_EQ(rows.value().Text(row, 1), tenant);
    }
    const std::int64_t present = lease.value()->Run(kBackend).value().Integer(0, 0);
    EXPECT_TRUE(backend == 0 || backend == present) << "it was one session all the time";
    backend = present;
    if (turn % 4 == 0) {  // Neither an error nor a transaction that ends with one changes it.
      EXPECT_TRUE(lease.value()->Begin(sql::kSnapshot).ok());
      EXPECT_FALSE(lease.value()->Run(kMissing).ok());
    }
  }
}

TEST_F(SessionTest, ASessionThatKeepsATenantRunsNothingBeforeItHasOne) {
  MakeOwned();
  const auto reader = Open(*database_, {.role = "test_reader", .keeps_tenant = true});
  EXPECT_EQ(reader->tenant(), "");
  const auto before = reader->Run(kOwned);
  ASSERT_FALSE(before.ok());
  EXPECT_EQ(before.error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(before.error().message(), HasSubstr("no tenant"));
  EXPECT_EQ(reader->KeepTenant("").error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(reader->KeepTenant(std::string("a\0b", 3)).error().code(), ErrorCode::kInvalid);
  EXPECT_FALSE(reader->Run(kOwned).ok());
  ASSERT_TRUE(reader->KeepTenant("a").ok());
  EXPECT_EQ(reader->tenant(), "a");
  EXPECT_EQ(reader->Run(kOwned).value().size(), 1U);
  const Status script = reader->RunScript("SET alertstream.tenant = 'b'");
  EXPECT_EQ(script.error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(reader->Run(kOwned).value().size(), 1U);
  const std::string odd = "it's'; DROP TABLE things; --\\";
  ASSERT_TRUE(reader->KeepTenant(odd).ok());
  EXPECT_EQ(reader->Run(kTenant).value().Text(0, 0), odd);
}

TEST_F(SessionTest, ASessionThatKeepsATenantOnlyReads) {
  MakeOwned();
  constexpr Statement kOwn{"test.own", "INSERT INTO owned VALUES ('a', 9)"};
  const auto writer = Open(*database_, {.role = "test_reader"});
  ASSERT_TRUE(writer->Begin({.tenant = "a"}).ok());
  ASSERT_TRUE(writer->Run(kOwn).ok()) << "the role itself may write";
  writer->Rollback();
  sql::TenantPool pool(*database_, {.role = "test_reader"}, 1);
  const auto lease = pool.Take("a", milliseconds(0));
  ASSERT_TRUE(lease.ok());
  const auto alone = lease.value()->Run(kOwn);
  EXPECT_EQ(alone.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(alone.error().message(), HasSubstr("read-only"));
  ASSERT_TRUE(lease.value()->Begin({}).ok());
  const auto within = lease.value()->Run(kOwn);
  EXPECT_THAT(within.error().message(), HasSubstr("read-only"));
}

TEST_F(SessionTest, ASessionWhoseTenantCouldNotBeSetIsGivenToNobody) {
  MakeOwned();
  constexpr Statement kName{"test.name", "SELECT current_database()"};
  const auto owner = OpenTestDatabase(
      TestCluster().UrlOf(std::string(session_->Run(kName).value().Text(0, 0)), "postgres"));
  const auto admin = Open(*owner);
  sql::TenantPool pool(*database_, {.role = "test_reader"}, 1);
  const auto backend_of = [&](const std::string& tenant) {
    const auto lease = pool.Take(tenant, milliseconds(0));
    return lease.ok() ? lease.value()->Run(kBackend).value().Integer(0, 0) : 0;
  };
  const std::int64_t first = backend_of("a");
  constexpr const char* kFunction = "pg_catalog.set_config(text, text, boolean)";
  ASSERT_TRUE(
      admin->RunScript(fmt::format("REVOKE EXECUTE ON FUNCTION {} FROM PUBLIC", kFunction)).ok());
  const auto refused = pool.Take("b", milliseconds(0));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(refused.error().message(), HasSubstr("session.keep_tenant"));
  const auto reader = Open(*database_, {.role = "test_reader", .keeps_tenant = true});
  EXPECT_FALSE(reader->KeepTenant("b").ok());
  EXPECT_FALSE(reader->alive());
  EXPECT_EQ(reader->tenant(), "");
  EXPECT_EQ(reader->Run(kOwned).error().code(), ErrorCode::kUnavailable);
  ASSERT_TRUE(
      admin->RunScript(fmt::format("GRANT EXECUTE ON FUNCTION {} TO PUBLIC", kFunction)).ok());
  EXPECT_FALSE(reader->KeepTenant("b").ok()) << "what is lost stays lost";
  EXPECT_EQ(reader->Run(kOwned).error().code(), ErrorCode::kUnavailable);
  const std::int64_t second = backend_of("a");
  EXPECT_NE(second, 0);
  EXPECT_NE(second, first);
}

TEST_F(SessionTest, ABrokenConnectionIsReplacedByOneWithTheTenant) {
  MakeOwned();
  sql::TenantPool pool(*database_, {.role = "test_reader"}, 1);
  for (const std::string next : {"a", "b"}) {
    {
      const auto lease = pool.Take("a", milliseconds(0));
      ASSERT_TRUE(lease.ok());
      const std::int64_t backend = lease.value()->Run(kBackend).value().Integer(0, 0);
      ASSERT_TRUE(session_->Run(kEnd, Params().Integer(backend)).ok());
      const auto ran = lease.value()->Run(kOwned);
      ASSERT_FALSE(ran.ok());
      EXPECT_EQ(ran.error().code(), ErrorCode::kUnavailable);
      EXPECT_FALSE(lease.value()->alive());
    }
    const auto lease = pool.Take(next, milliseconds(0));
    ASSERT_TRUE(lease.ok()) << lease.error().message();
    EXPECT_EQ(lease.value()->Run(kOwned).value().size(), next == "a" ? 1U : 2U);
  }
}

TEST_F(SessionTest, AnIdleSessionThatDiesUnseenCostsTheNextTenantNothing) {
  MakeOwned();
  sql::TenantPool pool(*database_, {.role = "test_reader"}, 1);
  for (int turn = 0; turn < 5; ++turn) {
    std::int64_t backend = 0;
    {
      const auto lease = pool.Take("a", milliseconds(0));
      ASSERT_TRUE(lease.ok());
      backend = lease.value()->Run(kBackend).value().Integer(0, 0);
    }
    ASSERT_TRUE(session_->Run(kEnd, Params().Integer(backend)).ok());
    const auto lease = pool.Take("b", milliseconds(0));
    ASSERT_TRUE(lease.ok()) << lease.error().message();
    EXPECT_EQ(lease.value()->tenant(), "b");
  }
}

TEST_F(SessionTest, AStatementWithoutATransactionIsEndedInTimeToo) {
  MakeOwned();
  sql::TenantPool pool(*database_, {.role = "test_reader", .statement_timeout = milliseconds(50)},
                       1);
  const auto lease = pool.Take("a", milliseconds(0));
  ASSERT_TRUE(lease.ok());
  const auto ran = lease.value()->Run(kSleep, Params().Integer(60));
  ASSERT_FALSE(ran.ok());
  EXPECT_THAT(ran.error().message(), HasSubstr("too long"));
  EXPECT_TRUE(lease.value()->alive());
  EXPECT_EQ(lease.value()->Run(kOwned).value().size(), 1U);
}

TEST_F(SessionTest, OnlyInASnapshotDoStatementsSeeTheSameRows) {
  const auto reader = Open(*database_);
  for (const bool one_snapshot : {false, true}) {
    ASSERT_TRUE(reader->Begin({.read_only = true, .one_snapshot = one_snapshot}).ok());
    const std::int64_t before = Count(*reader);
    ASSERT_TRUE(Add(*session_, one_snapshot ? 1 : 2, "a").ok());
    EXPECT_EQ(Count(*reader), one_snapshot ? before : before + 1);
    reader->Rollback();
  }
}

TEST_F(SessionTest, ARoleThatIsMissingIsNamed) {
  const auto session = database_->Open({.role = "nobody_here"});
  ASSERT_FALSE(session.ok());
  EXPECT_EQ(session.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(session.error().message(), HasSubstr("nobody_here"));
  EXPECT_THAT(session.error().message(), HasSubstr("migrate up"));
}

TEST_F(SessionTest, ASlowStatementIsEndedByTheServerAndTheSessionLives) {
  const auto slow = Open(*database_, {.statement_timeout = milliseconds(50)});
  const auto ran = slow->Run(kSleep, Params().Integer(60));
  ASSERT_FALSE(ran.ok());
  EXPECT_EQ(ran.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(ran.error().message(), HasSubstr("too long"));
  EXPECT_TRUE(slow->alive());
  EXPECT_TRUE(slow->Run(kBackend).ok());
}

TEST_F(SessionTest, ASessionThatTheServerEndedIsDeadAndNeverReconnects) {
  const auto victim = Open(*database_);
  const std::int64_t backend = victim->Run(kBackend).value().Integer(0, 0);
  ASSERT_TRUE(victim->Begin({}).ok());
  ASSERT_TRUE(Add(*victim, 1, "a").ok());
  EXPECT_TRUE(victim->alive());
  ASSERT_TRUE(session_->Run(kEnd, Params().Integer(backend)).ok());
  const auto ran = victim->Run(kCount);
  ASSERT_FALSE(ran.ok());
  EXPECT_EQ(ran.error().code(), ErrorCode::kUnavailable);
  EXPECT_FALSE(victim->alive());
  victim->Rollback();
  EXPECT_EQ(victim->Run(kCount).error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(victim->Begin({}).error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(Count(*session_), 0);
}

TEST_F(SessionTest, ACommitThatWasCutOffIsUnknown) {
  // Commits sleep.
  ASSERT_TRUE(session_
                  ->RunScript("CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS "
                              "'BEGIN PERFORM pg_sleep(60); RETURN NULL; END';"
                              "CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON things DEFERRABLE "
                              "INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()")
                  .ok());
  const auto victim = Open(*database_);
  const std::int64_t backend = victim->Run(kBackend).value().Integer(0, 0);
  ASSERT_TRUE(victim->Begin({}).ok());
  ASSERT_TRUE(Add(*victim, 1, "a").ok());
  Status committed = Status::Ok();
  std::thread committing([&] { committed = victim->Commit(); });
  constexpr Statement kEndAtCommit{"test.end_at_commit",
                                   "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                                   "pid = $1::integer AND query = 'COMMIT' AND state = 'active'"};
  for (int tries = 0; tries < 20'000; ++tries) {
    const auto ended = session_->Run(kEndAtCommit, Params().Integer(backend));
    if (!ended.ok() || ended.value().size() == 1) {
      break;
    }
    std::this_thread::yield();
  }
  committing.join();
  ASSERT_FALSE(committed.ok());
  EXPECT_EQ(committed.error().code(), ErrorCode::kUnknown);
  EXPECT_FALSE(victim->alive());
}

TEST_F(SessionTest, ScriptsSayWhatIsWrongWithThem) {
  const Status missing = session_->RunScript("CREATE TABLE x (a int); SELECT * FROM nowhere;");
  EXPECT_THAT(missing.error().message(), HasSubstr("relation \"nowhere\" does not exist"));
  const Status syntax = session_->RunScript("CREATE TALE x");
  EXPECT_EQ(syntax.error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(syntax.error().message(), HasSubstr("syntax error at or near \"TALE\""));
  constexpr Statement kX{"test.x", "SELECT to_regclass('x')::text"};
  EXPECT_TRUE(session_->Run(kX).value().IsNull(0, 0));  // A script is one transaction.
}

TEST_F(SessionTest, NotificationsArriveAndTheWaitEnds) {
  ASSERT_TRUE(session_->Listen("test_changes").ok());
  EXPECT_THAT(session_->AwaitPayloads(milliseconds(0)).value(), ElementsAre());
  constexpr Statement kNotify{"test.notify", "SELECT pg_notify('test_changes', $1)"};
  const auto other = Open(*database_);
  ASSERT_TRUE(other->Run(kNotify, Params().Text("one")).ok());
  ASSERT_TRUE(other->Run(kNotify, Params().Text("two")).ok());
  std::vector<std::string> payloads;
  while (payloads.size() < 2) {
    const auto more = session_->AwaitPayloads(milliseconds(10'000));
    ASSERT_TRUE(more.ok()) << more.error().message();
    payloads.insert(payloads.end(), more.value().begin(), more.value().end());
  }
  EXPECT_THAT(payloads, ElementsAre("one", "two"));
  EXPECT_TRUE(Add(*session_, 1, "a").ok());  // And still runs statements.
}

TEST_F(SessionTest, AListenerNoticesThatTheServerEndedItsSession) {
  ASSERT_TRUE(session_->Listen("test_changes").ok());
  const std::int64_t backend = session_->Run(kBackend).value().Integer(0, 0);
  ASSERT_TRUE(Open(*database_)->Run(kEnd, Params().Integer(backend)).ok());
  auto payloads = session_->AwaitPayloads(milliseconds(10'000));
  if (payloads.ok()) {  // The server's last words came before the end of the connection.
    payloads = session_->AwaitPayloads(milliseconds(10'000));
  }
  ASSERT_FALSE(payloads.ok());
  EXPECT_EQ(payloads.error().code(), ErrorCode::kUnavailable);
  EXPECT_FALSE(session_->alive());
}

TEST_F(SessionTest, AServerKilledInATransactionLosesItAndComesBack) {
  ASSERT_TRUE(Add(*session_, 1, "kept").ok());
  sql::Pool pool(*database_, {}, 2);
  { ASSERT_TRUE(pool.Take(milliseconds(0)).ok()); }
  ASSERT_TRUE(session_->Begin({}).ok());
  ASSERT_TRUE(Add(*session_, 2, "lost").ok());
  TestCluster().Kill();
  const Status committed = session_->Commit();
  ASSERT_FALSE(committed.ok());
  EXPECT_EQ(committed.error().code(), ErrorCode::kUnknown);
  EXPECT_FALSE(session_->alive());
  const auto refused = database_->Open({});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(refused.error().message(), HasSubstr("postgres.url"));
  // The process behind a session of the pool may take a moment to end.
  const auto patience = SystemClock().SinceBoot() + std::chrono::seconds(5);
  while (pool.Take(milliseconds(0)).ok() && SystemClock().SinceBoot() < patience) {
    SystemClock().SleepFor(milliseconds(10));
  }
  const auto taken = pool.Take(milliseconds(0));
  ASSERT_FALSE(taken.ok());
  EXPECT_EQ(taken.error().code(), ErrorCode::kUnavailable);
  const Status restarted = TestCluster().Restart();
  ASSERT_TRUE(restarted.ok()) << restarted.error().message();
  EXPECT_EQ(Count(*Open(*database_)), 1);
}

TEST_F(SessionTest, AServerThatHangsIsGivenUp) {
  const auto victim = Open(*database_, {.statement_timeout = milliseconds(1)});
  ASSERT_TRUE(victim->Begin({}).ok());
  TestCluster().Suspend();
  const auto ran = victim->Run(kBackend);
  TestCluster().Resume();
  ASSERT_FALSE(ran.ok());
  EXPECT_EQ(ran.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(ran.error().message(), HasSubstr("did not answer in time"));
  EXPECT_FALSE(victim->alive());
  EXPECT_EQ(Count(*session_), 0);
}

}  // namespace
}  // namespace alertstream::postgres

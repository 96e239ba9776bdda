#include "projections/sql/database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "processor/base/rfc3339.h"

namespace alertstream::sql {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Values = std::vector<std::optional<std::string>>;

std::string OnlyValue(const Params& params) {
  EXPECT_EQ(params.values().size(), 1U);
  return params.values().front().value_or("(null)");
}

TEST(ParamsTest, ScalarsAreWrittenAsPostgresReadsThem) {
  EXPECT_EQ(OnlyValue(Params().Text("it's \"a\" \\ b")), "it's \"a\" \\ b");
  EXPECT_EQ(OnlyValue(Params().Integer(INT64_MIN)), "-9223372036854775808");
  EXPECT_EQ(OnlyValue(Params().Boolean(true)), "t");
  EXPECT_EQ(OnlyValue(Params().Boolean(false)), "f");
  EXPECT_EQ(OnlyValue(Params().Bytes(std::string_view("\0a\\\xff", 4))), "\\x00615cff");
  EXPECT_EQ(OnlyValue(Params().Bytes("")), "\\x");
  EXPECT_EQ(OnlyValue(Params().Time(FromMicros(1))), "1970-01-01T00:00:00.000001Z");
  EXPECT_EQ(Params().Null().values(), Values{std::nullopt});
}

TEST(ParamsTest, ArraysQuoteTextsAndLeaveNullsBare) {
  const Values texts = {"a", std::nullopt, "", "NULL", "q\"uote", "back\\slash", "{,}", "\xc3\xa9"};
  EXPECT_EQ(OnlyValue(Params().Texts(texts)),
            "{\"a\",NULL,\"\",\"NULL\",\"q\\\"uote\",\"back\\\\slash\",\"{,}\",\"\xc3\xa9\"}");
  EXPECT_EQ(OnlyValue(Params().Texts({})), "{}");
  const std::vector<std::optional<std::int64_t>> integers = {-1, std::nullopt, 7};
  EXPECT_EQ(OnlyValue(Params().Integers(integers)), "{-1,NULL,7}");
  const std::vector<std::optional<bool>> booleans = {true, false, std::nullopt};
  EXPECT_EQ(OnlyValue(Params().Booleans(booleans)), "{t,f,NULL}");
  const Values bytes = {std::string("\0\"", 2), std::nullopt};
  EXPECT_EQ(OnlyValue(Params().BytesList(bytes)), "{\"\\\\x0022\",NULL}");
  const std::vector<std::optional<LogTime>> times = {FromMicros(0), std::nullopt};
  EXPECT_EQ(OnlyValue(Params().Times(times)), "{1970-01-01T00:00:00Z,NULL}");
}

TEST(ParamsTest, ANulInATextIsNoticedAndInBytesItIsNot) {
  const std::string nul("a\0b", 3);
  EXPECT_TRUE(Params().Text(nul).Integer(1).has_nul());
  const Values values = {"a", nul};
  EXPECT_TRUE(Params().Texts(values).has_nul());
  EXPECT_FALSE(Params().Bytes(nul).BytesList(values).Text("a").has_nul());
}

TEST(RowsTest, ReadsWhatPostgresWrites) {
  Rows rows(3, 5);
  rows.AddValue("-12");
  rows.AddValue("t");
  rows.AddValue(std::nullopt);
  rows.AddValue("\\x00ff");
  rows.AddValue("2026-01-31 23:59:59.25+00");
  rows.AddValue("");
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows.affected(), 5U);
  EXPECT_EQ(rows.Integer(0, 0), -12);
  EXPECT_TRUE(rows.Boolean(0, 1));
  EXPECT_TRUE(rows.IsNull(0, 2));
  EXPECT_EQ(rows.Bytes(1, 0), std::string("\0\xff", 2));
  EXPECT_EQ(rows.Time(1, 1), ParseRfc3339("2026-01-31T23:59:59.25Z").value());
  EXPECT_FALSE(rows.IsNull(1, 2));
  EXPECT_EQ(rows.Text(1, 2), "");
}

TEST(RowsDeathTest, AWrongTypeANullAndAMissingColumnStopTheProgram) {
  Rows rows(2, 0);
  rows.AddValue("x");
  rows.AddValue(std::nullopt);
  EXPECT_DEATH(rows.Integer(0, 0), "check failed");
  EXPECT_DEATH(rows.Text(0, 1), "check failed");
  EXPECT_DEATH(rows.Text(0, 2), "check failed");
  EXPECT_DEATH(rows.Text(1, 0), "check failed");
}

// A database whose sessions do nothing and die when told to.
class FakeDatabase : public Database {
 public:
  std::string Describe() const override { return "fake"; }
  Result<std::unique_ptr<Session>> Open(const SessionOptions& /*options*/) override;

  std::atomic<int> opened = 0;
  std::atomic<int> open_now = 0;
  std::atomic<int> rollbacks = 0;
  std::atomic<bool> is_down = false;
  std::atomic<bool> refuses_tenants = false;
  std::atomic<bool> keeps_tenant = false;  // What the last session was opened with.
  std::vector<std::string> tenants_set;    // "1 a": of the first session that was opened.
};

class FakeSession : public Session {
 public:
  explicit FakeSession(FakeDatabase& database) : database_(database), number_(database.opened) {
    ++database_.open_now;
  }
  ~FakeSession() override { --database_.open_now; }
  Result<Rows> Run(const Statement& /*statement*/, const Params& /*params*/) override {
    return Rows();
  }
  Status KeepTenant(const std::string& tenant) override {
    if (database_.refuses_tenants) {
      is_lost_ = true;
      return Error(ErrorCode::kUnavailable, "not set");
    }
    if (tenant_ != tenant) {
      tenant_ = tenant;
      database_.tenants_set.push_back(std::to_string(number_) + " " + tenant);
    }
    return Status::Ok();
  }
  std::string_view tenant() const override { return tenant_; }
  Status Begin(const TransactionOptions& /*options*/) override { return Status::Ok(); }
  Status Commit() override { return Status::Ok(); }
  void Rollback() override { ++database_.rollbacks; }
  Status RunScript(const std::string& /*script*/) override { return Status::Ok(); }
  Status Listen(const char* /*channel*/) override { return Status::Ok(); }
  Result<std::vector<std::string>> AwaitPayloads(milliseconds /*timeout*/) override {
    return std::vector<std::string>();
  }
  bool alive() const override { return !database_.is_down && !is_lost_; }

 private:
  FakeDatabase& database_;
  const int number_;
  bool is_lost_ = false;
  std::string tenant_;
};

Result<std::unique_ptr<Session>> FakeDatabase::Open(const SessionOptions& options) {
  keeps_tenant = options.keeps_tenant;
  ++opened;
  if (is_down) {
    return Error(ErrorCode::kUnavailable, "down");
  }
  return std::unique_ptr<Session>(std::make_unique<FakeSession>(*this));
}

TEST(PoolTest, KeepsSessionsOpenAndRollsBackWhatWasLeft) {
  FakeDatabase database;
  {
    Pool pool(database, {}, 2);
    for (int i = 0; i < 3; ++i) {
      auto lease = pool.Take(milliseconds(0));
      ASSERT_TRUE(lease.ok());
      EXPECT_TRUE((*lease.value()).alive());
    }
    EXPECT_EQ(database.opened, 1);
    EXPECT_EQ(database.rollbacks, 3);
  }
  EXPECT_EQ(database.open_now, 0);
}

TEST(PoolTest, GivesNoMoreThanItsNumberAndSaysWhichSettingItIs) {
  FakeDatabase database;
  Pool pool(database, {}, 2);
  auto first = pool.Take(milliseconds(0));
  auto second = pool.Take(milliseconds(0));
  ASSERT_TRUE(first.ok() && second.ok());
  const auto third = pool.Take(milliseconds(5));
  ASSERT_FALSE(third.ok());
  EXPECT_EQ(third.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(third.error().message(), HasSubstr("postgres.sessions_max"));
}

TEST(PoolTest, AWaiterGetsWhatIsGivenBack) {
  FakeDatabase database;
  Pool pool(database, {}, 1);
  auto first = std::make_unique<Result<Pool::Lease>>(pool.Take(milliseconds(0)));
  std::thread waiter([&] {
    const auto lease = pool.Take(milliseconds(10'000));
    EXPECT_TRUE(lease.ok());
  });
  first.reset();
  waiter.join();
  EXPECT_EQ(database.opened, 1);
}

TEST(PoolTest, DeadSessionsAreReplacedAndAFailureToConnectStandsForAMoment) {
  FakeDatabase database;
  Pool pool(database, {}, 1);
  ASSERT_TRUE(pool.Take(milliseconds(0)).ok());
  database.is_down = true;
  EXPECT_EQ(pool.Take(milliseconds(0)).error().message(), "down");
  EXPECT_EQ(database.open_now, 0);
  EXPECT_EQ(pool.Take(milliseconds(0)).error().message(), "down");
  EXPECT_EQ(database.opened, 2);
  database.is_down = false;
  // The pause before the next try is real; every refused Take gives its place back.
  while (!pool.Take(milliseconds(0)).ok()) {
    std::this_thread::yield();
  }
  EXPECT_EQ(database.opened, 3);
  EXPECT_EQ(database.open_now, 1);
}

TEST(PoolTest, WhenASessionBreaksThoseThatWaitAreNotTrustedEither) {
  FakeDatabase database;
  Pool pool(database, {}, 3);
  {
    auto first = pool.Take(milliseconds(0));
    auto second = pool.Take(milliseconds(0));
    auto third = pool.Take(milliseconds(0));
    ASSERT_TRUE(first.ok() && second.ok() && third.ok());
  }
  EXPECT_EQ(database.open_now, 3);
  {
    auto lease = pool.Take(milliseconds(0));
    ASSERT_TRUE(lease.ok());
    database.refuses_tenants = true;
    EXPECT_FALSE((*lease.value()).KeepTenant("a").ok());
  }
  EXPECT_EQ(database.open_now, 0);
  ASSERT_TRUE(pool.Take(milliseconds(0)).ok());
  EXPECT_EQ(database.opened, 4);
}

TEST(TenantPoolTest, ATenantGetsTheSessionThatIsItsOwnAlready) {
  FakeDatabase database;
  TenantPool pool(database, {}, 2);
  {
    const auto a = pool.Take("a", milliseconds(0));
    const auto b = pool.Take("b", milliseconds(0));
    ASSERT_TRUE(a.ok() && b.ok());
    EXPECT_EQ(a.value()->tenant(), "a");
    EXPECT_EQ(b.value()->tenant(), "b");
  }
  for (const std::string tenant : {"a", "b", "b", "a"}) {
    EXPECT_EQ(pool.Take(tenant, milliseconds(0)).value()->tenant(), tenant);
  }
  EXPECT_TRUE(database.keeps_tenant);
  EXPECT_THAT(database.tenants_set, ElementsAre("1 a", "2 b"));
}

TEST(TenantPoolTest, AnotherTenantGetsTheSessionThatWasUsedLongestAgo) {
  FakeDatabase database;
  TenantPool pool(database, {}, 2);
  {
    const auto a = pool.Take("a", milliseconds(0));
    const auto b = pool.Take("b", milliseconds(0));
  }
  ASSERT_TRUE(pool.Take("a", milliseconds(0)).ok());
  ASSERT_TRUE(pool.Take("b", milliseconds(0)).ok());
  ASSERT_TRUE(pool.Take("c", milliseconds(0)).ok());
  EXPECT_THAT(database.tenants_set, ElementsAre("1 a", "2 b", "1 c"));
}

TEST(TenantPoolTest, ASessionThatDidNotTakeTheTenantIsDroppedAndNobodyGetsIt) {
  FakeDatabase database;
  TenantPool pool(database, {}, 1);
  ASSERT_TRUE(pool.Take("a", milliseconds(0)).ok());
  database.refuses_tenants = true;
  const auto refused = pool.Take("a", milliseconds(0));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(refused.error().message(), "not set");
  EXPECT_EQ(database.open_now, 0);
  database.refuses_tenants = false;
  EXPECT_EQ(pool.Take("a", milliseconds(0)).value()->tenant(), "a");
}

TEST(TenantPoolTest, GivesNoMoreThanItsNumber) {
  FakeDatabase database;
  TenantPool pool(database, {}, 1);
  const auto first = pool.Take("a", milliseconds(0));
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(pool.Take("a", milliseconds(5)).error().code(), ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace alertstream::sql

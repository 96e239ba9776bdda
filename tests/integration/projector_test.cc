// The projector on a real PostgreSQL: the tables are the fold of the log, whatever happens between.
#include "projections/projector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "processor/base/clock.h"
#include "processor/log/local/local_log.h"
#include "projections/dead_letters.h"
#include "projections/partition_projector.h"
#include "projections/rebuild.h"
#include "tests/support/local_log_fixture.h"
#include "tests/support/postgres_fixture.h"
#include "tests/support/read_model_fixture.h"
#include "tests/support/runtime_story.h"
#include "tests/unit/projections/batch_builder.h"

namespace alertstream::projections {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::chrono::milliseconds kNow{0};

std::unique_ptr<sql::Session> OpenAsProjector(sql::Database& database) {
  auto session = database.Open({.role = "alertstream_projector"});
  EXPECT_TRUE(session.ok()) << session.error().message();
  return std::move(session).value();
}

// Everything that the log has now, in transactions of at most `rows_max` rows.
void ProjectAll(log::EventLog& log, const std::string& log_id, sql::Database& database,
                std::size_t rows_max) {
  const auto session = OpenAsProjector(database);
  PartitionProjector projector(log, {.log_id = log_id, .rows_max = rows_max});
  const Status opened = projector.Open(*session);
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  for (;;) {
    const auto some = projector.Collect(kNow);
    ASSERT_TRUE(some.ok()) << some.error().message();
    if (!some.value()) {
      return;
    }
    const Status written = projector.Write(*session);
    ASSERT_TRUE(written.ok()) << written.error().message();
  }
}

RebuildDeps RebuildOf(log::EventLog& log, const std::string& log_id, sql::Database& database) {
  return {.log = log,
          .clock = SystemClock(),
          .database = database,
          .log_id = log_id,
          .partitions = 1,
          .make_tables = [](sql::Session& session, const std::string& schema) {
            return MakeReadModelTables(session, schema);
          }};
}

class ProjectorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    instance_ = story_.Start();
    database_ = postgres::NewMigratedTestDatabase();
  }

  void TellDay(std::string_view tenant) {
    TellShopDay(story_.writer, story_.log, *instance_, tenant);
  }

  runtime::Story story_;
  std::unique_ptr<runtime::Instance> instance_;
  std::unique_ptr<sql::Database> database_;
};

TEST_F(ProjectorTest, EveryTableIsFilled) {
  TellDay("acme");
  ProjectAll(story_.log, story_.log_id(), *database_, kRowsPerTransactionMax);
  for (const TableKey& table : AllTables()) {
    if (table.table == "sites") {
      continue;  // The day has none.
    }
    const std::string query = "SELECT count(*) FROM read_model." + std::string(table.table);
    EXPECT_GT(CountOf(*database_, query.c_str()), 0) << table.table;
  }
  EXPECT_EQ(CountOf(*database_, "SELECT count(*) FROM read_model.triggers WHERE is_current"), 2);
  EXPECT_EQ(CountOf(*database_,
                    "SELECT count(*) FROM read_model.senders WHERE is_default = (id = 'main')"),
            3);
  EXPECT_EQ(CountOf(*database_, "SELECT count(*) FROM read_model.triggers WHERE id = 'paid'"), 3);
  EXPECT_EQ(CountOf(*database_,
                    "SELECT count(*) FROM read_model.notifications WHERE status = 'delivered'"),
            CountOf(*database_,
                    "SELECT count(*) FROM read_model.notifications"
                    " WHERE timeline @> '[{\"status\": \"delivered\"}]'"));
  EXPECT_EQ(CountOf(*database_, "SELECT count(*) FROM read_model.attempts WHERE result IS NULL"),
            0);
}

TEST_F(ProjectorTest, TransactionsOfAnySizeEndInTheSameRows) {
  TellDay("acme");
  TellDay("bravo");
  ProjectAll(story_.log, story_.log_id(), *database_, kRowsPerTransactionMax);
  const auto other = postgres::NewMigratedTestDatabase();
  ProjectAll(story_.log, story_.log_id(), *other, 1);
  EXPECT_EQ(DifferencesOf(*database_, *other), "");
}

namespace {

void AddLetter(BatchBuilder* batch, char id, char retry_of = 0) {
  v1::DeadLetter& letter = batch->DeadLetter();
  letter.set_tenant("acme");
  letter.set_id(IdBytesOf(id));
  letter.mutable_original()->set_plain("bytes");
  if (retry_of != 0) {
    letter.set_retry_of(IdBytesOf(retry_of));
  }
}

void AddAct(BatchBuilder* batch, char id, v1::DeadLetterActionKind kind,
            v1::DeadLetterStatus status) {
  v1::DeadLetterFact* fact = batch->Fact().mutable_dead_letter();
  fact->set_id(IdBytesOf(id));
  fact->set_action(kind);
  fact->set_status(status);
  fact->set_retries(1);
}

// `batches_max` batches a transaction.
void WriteLetters(sql::Database& database, const std::vector<const Batch*>& batches,
                  std::size_t batches_max) {
  constexpr sql::Statement kSchema = {"test.schema", "SET search_path TO read_model"};
  const auto session = OpenAsProjector(database);
  ASSERT_TRUE(session->Run(kSchema).ok());
  DeadLettersProjection letters;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    letters.Fold(*batches[i]);
    if ((i + 1) % batches_max == 0 || i + 1 == batches.size()) {
      ASSERT_TRUE(session->Begin({}).ok());
      const Status written = letters.Write(*session);
      ASSERT_TRUE(written.ok()) << written.error().message();
      ASSERT_TRUE(session->Commit().ok());
      letters.Clear();
    }
  }
}

}  // namespace

// a was retried as b, b as c; d is the rest of a fan-out, which died twice; e is nobody's relative.
TEST_F(ProjectorTest, APurgeForgetsTheBytesOfTheWholeFamilyAndALetterThatComesAgainIsOpen) {
  constexpr auto kRetry = v1::DEAD_LETTER_ACTION_KIND_RETRY;
  std::deque<BatchBuilder> story;
  AddLetter(&story.emplace_back(1), 'a');
  AddLetter(&story.back(), 'd');
  AddLetter(&story.back(), 'e');
  AddLetter(&story.emplace_back(2), 'b', 'a');
  AddAct(&story.back(), 'a', kRetry, v1::DEAD_LETTER_STATUS_FAILED_AGAIN);
  AddAct(&story.back(), 'd', kRetry, v1::DEAD_LETTER_STATUS_RESOLVED);
  AddLetter(&story.emplace_back(3), 'd');
  AddAct(&story.emplace_back(4), 'b', v1::DEAD_LETTER_ACTION_KIND_PURGE,
         v1::DEAD_LETTER_STATUS_PURGED);
  AddLetter(&story.emplace_back(5), 'c', 'b');  // Its retry was on its way.
  AddAct(&story.emplace_back(6), 'd', v1::DEAD_LETTER_ACTION_KIND_PURGE,
         v1::DEAD_LETTER_STATUS_PURGED);
  AddLetter(&story.emplace_back(7), 'd');
  std::vector<const Batch*> batches;
  for (const BatchBuilder& each : story) {
    batches.push_back(&each.batch());
  }
  WriteLetters(*database_, batches, 1);
  EXPECT_EQ(CountOf(*database_, "SELECT count(*) FROM read_model.dead_letters"), 5);
  EXPECT_EQ(CountOf(*database_,
                    "SELECT count(*) FROM read_model.dead_letters WHERE original_sealed IS NULL"),
            4);
  const std::string opened =
      "SELECT count(*) FROM read_model.dead_letters WHERE status = 'open'"
      " AND retries = 1 AND seq = 7 AND id = '" +
      FormatId(IdKind::kDeadLetter, IdBytesOf('d')) + "'";
  EXPECT_EQ(CountOf(*database_, opened.c_str()), 1);
  for (const std::size_t batches_max : {2U, 3U, 7U}) {
    const auto other = postgres::NewMigratedTestDatabase();
    WriteLetters(*other, batches, batches_max);
    EXPECT_EQ(DifferencesOf(*database_, *other), "") << batches_max;
  }
}

TEST_F(ProjectorTest, ATransactionEndsWhenItsRecordsHoldEnoughBytes) {
  TellDay("acme");
  const auto session = OpenAsProjector(*database_);
  PartitionProjector all(story_.log, {.log_id = story_.log_id()});
  ASSERT_TRUE(all.Open(*session).ok());
  ASSERT_TRUE(all.Collect(kNow).value());
  ASSERT_GT(all.pending_batches(), 1U);

  PartitionProjector projector(story_.log, {.log_id = story_.log_id(), .bytes_max = 1});
  ASSERT_TRUE(projector.Open(*session).ok());
  std::size_t transactions = 0;
  std::size_t with_bytes = 0;
  while (projector.Collect(kNow).value()) {
    // A batch without records (the opening one) does not fill a transaction.
    EXPECT_LE(projector.pending_batches(), 2U);
    with_bytes += projector.pending_batches() == 1 ? 1 : 0;
    ASSERT_TRUE(projector.Write(*session).ok());
    ++transactions;
  }
  EXPECT_GT(transactions, 1U);
  EXPECT_GE(with_bytes, transactions - 1);
  EXPECT_EQ(projector.position().seq,
            static_cast<std::int64_t>(story_.Read().journal.back().seq()));
  const auto other = postgres::NewMigratedTestDatabase();
  ProjectAll(story_.log, story_.log_id(), *other, kRowsPerTransactionMax);
  EXPECT_EQ(DifferencesOf(*database_, *other), "");
}

TEST_F(ProjectorTest, ARebuildEqualsWhatCameStepByStep) {
  TellDay("acme");
  ProjectAll(story_.log, story_.log_id(), *database_, 1);
  const auto other = postgres::NewMigratedTestDatabase();
  const auto rebuilt = Rebuild(RebuildOf(story_.log, story_.log_id(), *other));
  ASSERT_TRUE(rebuilt.ok()) << rebuilt.error().message();
  EXPECT_EQ(DifferencesOf(*other, *database_), "");
}

// The server ends a session that is idle in its transaction for long; a swap may have much to fold.
TEST_F(ProjectorTest, WhoHoldsTheWritersForASwapIsHeardOfWhileItFolds) {
  TellDay("acme");
  ProjectAll(story_.log, story_.log_id(), *database_, kRowsPerTransactionMax);
  RebuildDeps deps = RebuildOf(story_.log, story_.log_id(), *database_);
  constexpr sql::Statement kHolder = {
      "tests.holder",
      "SELECT query FROM pg_stat_activity WHERE state = 'idle in transaction' AND"
      " application_name = 'alertstream-rebuild' AND datname = current_database()"};
  // What others ask is seen by the owner of the database only.
  const auto owner = std::move(database_->Open({})).value();
  std::vector<std::string> heard;
  int days = 0;
  deps.interrupted = [&] {  // After each of the fold's transactions.
    const auto holder = owner->Run(kHolder);
    if (!holder.ok()) {
      return true;
    }
    if (holder.value().size() > 0) {
      heard.emplace_back(holder.value().Text(0, 0));
    } else {  // So that something is left for the swap.
      TellDay("shop" + std::to_string(++days));
      ProjectAll(story_.log, story_.log_id(), *database_, kRowsPerTransactionMax);
    }
    return false;
  };
  const auto rebuilt = Rebuild(deps);
  ASSERT_TRUE(rebuilt.ok()) << rebuilt.error().message();
  EXPECT_THAT(heard, ElementsAre("SELECT 1"));
}

TEST_F(ProjectorTest, VerifyFindsNothingThenNamesTheRowThatWasChanged) {
  TellDay("acme");
  ProjectAll(story_.log, story_.log_id(), *database_, 7);
  const auto sound = Verify(RebuildOf(story_.log, story_.log_id(), *database_));
  ASSERT_TRUE(sound.ok()) << sound.error().message();
  EXPECT_TRUE(sound.value().comparison.differences.empty());
  EXPECT_GT(sound.value().comparison.rows, 20U);

  const auto session = OpenAsProjector(*database_);
  ASSERT_TRUE(session
                  ->RunScript("UPDATE read_model.notifications SET status = 'read' WHERE id ="
                              " (SELECT min(id) FROM read_model.notifications);"
                              "DELETE FROM read_model.consents")
                  .ok());
  const auto changed = Verify(RebuildOf(story_.log, story_.log_id(), *database_));
  ASSERT_TRUE(changed.ok()) << changed.error().message();
  const auto& differences = changed.value().comparison.differences;
  ASSERT_EQ(differences.size(), 2U);
  EXPECT_EQ(differences[0].table, "notifications");
  EXPECT_THAT(differences[0].key, HasSubstr("tenant_id=acme id=ntf_"));
  EXPECT_EQ(differences[0].what, "differs in status");
  EXPECT_EQ(differences[1].table, "consents");
  EXPECT_EQ(differences[1].what, "is missing");
}

TEST_F(ProjectorTest, AForeignLogIsRefusedWithARemedy) {
  TellDay("acme");
  ProjectAll(story_.log, story_.log_id(), *database_, kRowsPerTransactionMax);
  runtime::Story other;
  const auto session = OpenAsProjector(*database_);
  PartitionProjector projector(other.log, {.log_id = other.log_id()});
  const Status opened = projector.Open(*session);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(opened.error().message(), HasSubstr("projections rebuild"));
}

TEST_F(ProjectorTest, ATruncatedLogIsRefusedWithARemedy) {
  TellDay("acme");
  ProjectAll(story_.log, story_.log_id(), *database_, kRowsPerTransactionMax);
  const auto session = OpenAsProjector(*database_);
  ASSERT_TRUE(session
                  ->RunScript("UPDATE read_model.projection_positions SET journal_offset ="
                              " journal_offset + 1000")
                  .ok());
  PartitionProjector truncated(story_.log, {.log_id = story_.log_id()});
  const Status opened = truncated.Open(*session);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(opened.error().message(), HasSubstr("truncated"));

  ASSERT_TRUE(session
                  ->RunScript("UPDATE read_model.projection_positions SET journal_offset ="
                              " journal_offset - 1001")
                  .ok());
  PartitionProjector changed(story_.log, {.log_id = story_.log_id()});
  const Status refused = changed.Open(*session);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message(), HasSubstr("another record"));
}

TEST_F(ProjectorTest, OfTwoProjectorsOfAPartitionOneFindsItsTablesMoved) {
  TellDay("acme");
  const auto first = OpenAsProjector(*database_);
  const auto second = OpenAsProjector(*database_);
  PartitionProjector a(story_.log, {.log_id = story_.log_id(), .rows_max = 5});
  PartitionProjector b(story_.log, {.log_id = story_.log_id(), .rows_max = 9});
  ASSERT_TRUE(a.Open(*first).ok());
  ASSERT_TRUE(b.Open(*second).ok());
  ASSERT_TRUE(a.Collect(kNow).value());
  ASSERT_TRUE(b.Collect(kNow).value());
  ASSERT_TRUE(a.Write(*first).ok());
  const Status late = b.Write(*second);
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code(), ErrorCode::kConflict);
  ASSERT_TRUE(b.Open(*second).ok());
  ProjectAll(story_.log, story_.log_id(), *database_, 50);
  const auto sound = Verify(RebuildOf(story_.log, story_.log_id(), *database_));
  ASSERT_TRUE(sound.ok()) << sound.error().message();
  EXPECT_TRUE(sound.value().comparison.differences.empty());
}

TEST_F(ProjectorTest, ACommitOfUnknownOutcomeIsLookedUp) {
  TellDay("acme");
  const auto session = OpenAsProjector(*database_);
  PartitionProjector projector(story_.log, {.log_id = story_.log_id(), .rows_max = 5});
  ASSERT_TRUE(projector.Open(*session).ok());
  ASSERT_TRUE(projector.Collect(kNow).value());
  const auto not_applied = projector.Resolve(*session);
  ASSERT_TRUE(not_applied.ok());
  EXPECT_FALSE(not_applied.value());
  // Another one that stood at the same place has written the same.
  const auto other = OpenAsProjector(*database_);
  PartitionProjector twin(story_.log, {.log_id = story_.log_id(), .rows_max = 5});
  ASSERT_TRUE(twin.Open(*other).ok());
  ASSERT_TRUE(twin.Collect(kNow).value());
  ASSERT_TRUE(twin.Write(*other).ok());
  const auto applied = projector.Resolve(*session);
  ASSERT_TRUE(applied.ok());
  EXPECT_TRUE(applied.value());
  EXPECT_FALSE(projector.has_pending());
}

// The projector with its threads, until the tables hold all that the log has.
class RunningProjector {
 public:
  RunningProjector(log::EventLog& log, const std::string& log_id, sql::Database& database)
      : projector_(log, SystemClock(), database,
                   {.log_id = log_id, .partitions = {0}, .rows_max = 20}) {
    projector_.Start();
  }
  Projector& operator*() { return projector_; }

  // False after half a minute.
  bool AwaitSeq(std::int64_t seq) {
    for (int i = 0; i < 3000; ++i) {
      const auto status = projector_.Status().front();
      if (status.phase == "projecting" && status.seq >= seq) {
        return true;
      }
      SystemClock().SleepFor(std::chrono::milliseconds(10));
    }
    return false;
  }
  bool AwaitNoLag() {
    for (int i = 0; i < 3000 && projector_.Status().front().lag_seconds > 0; ++i) {
      SystemClock().SleepFor(std::chrono::milliseconds(10));
    }
    return projector_.Status().front().lag_seconds == 0;
  }

 private:
  Projector projector_;
};

TEST_F(ProjectorTest, AServerThatIsKilledAndBackLosesAndDoublesNothing) {
  TellDay("acme");
  RunningProjector running(story_.log, story_.log_id(), *database_);
  for (const std::string tenant : {"bravo", "charlie", "delta"}) {
    postgres::TestCluster().Kill();
    TellDay(tenant);
    const Status back = postgres::TestCluster().Restart();
    ASSERT_TRUE(back.ok()) << back.error().message();
  }
  const auto seq = static_cast<std::int64_t>(story_.Read().journal.back().seq());
  ASSERT_TRUE(running.AwaitSeq(seq)) << (*running).Status().front().error;
  EXPECT_TRUE((*running).Ready());
  EXPECT_EQ((*running).Status().front().error, "");
  const auto sound = Verify(RebuildOf(story_.log, story_.log_id(), *database_));
  ASSERT_TRUE(sound.ok()) << sound.error().message();
  EXPECT_TRUE(sound.value().comparison.differences.empty());
}

TEST_F(ProjectorTest, AServerThatHangsShowsAsLagAndIsCaughtUpWith) {
  TellDay("acme");
  RunningProjector running(story_.log, story_.log_id(), *database_);
  ASSERT_TRUE(running.AwaitSeq(1));
  postgres::TestCluster().Suspend();
  TellDay("bravo");
  SystemClock().SleepFor(std::chrono::milliseconds(1500));
  // The story's own time stands still, so its batches are old by the system's clock; an idle
  // projector has no lag whatever the time.
  EXPECT_GT((*running).Status().front().lag_seconds, 0);
  postgres::TestCluster().Resume();
  const auto seq = static_cast<std::int64_t>(story_.Read().journal.back().seq());
  ASSERT_TRUE(running.AwaitSeq(seq)) << (*running).Status().front().error;
  ASSERT_TRUE(running.AwaitNoLag());
  const auto sound = Verify(RebuildOf(story_.log, story_.log_id(), *database_));
  ASSERT_TRUE(sound.ok()) << sound.error().message();
  EXPECT_TRUE(sound.value().comparison.differences.empty());
}

TEST_F(ProjectorTest, TheRunningProjectorGoesOnInRebuiltTables) {
  TellDay("acme");
  RunningProjector running(story_.log, story_.log_id(), *database_);
  ASSERT_TRUE(running.AwaitSeq(1));
  TellDay("bravo");
  const auto rebuilt = Rebuild(RebuildOf(story_.log, story_.log_id(), *database_));
  ASSERT_TRUE(rebuilt.ok()) << rebuilt.error().message();
  TellDay("charlie");
  const auto seq = static_cast<std::int64_t>(story_.Read().journal.back().seq());
  ASSERT_TRUE(running.AwaitSeq(seq)) << (*running).Status().front().error;
  const auto sound = Verify(RebuildOf(story_.log, story_.log_id(), *database_));
  ASSERT_TRUE(sound.ok()) << sound.error().message();
  EXPECT_TRUE(sound.value().comparison.differences.empty());
  EXPECT_EQ(CountOf(*database_, "SELECT count(*) FROM read_model.tenants"), 3);
}

}  // namespace
}  // namespace alertstream::projections

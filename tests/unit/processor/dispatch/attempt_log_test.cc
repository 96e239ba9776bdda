#include "processor/dispatch/attempt_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/base/crypto.h"
#include "tests/support/command_journal.h"
#include "tests/support/runtime_story.h"

namespace alertstream::dispatch {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::SizeIs;

struct AttemptStory {
  std::unique_ptr<AttemptLog> Open() {
    auto attempts = AttemptLog::Open(story.log, {.log_id = story.log_id(), .take_timeout = 200ms});
    EXPECT_TRUE(attempts.ok());
    return std::move(attempts).value();
  }
  std::string Id(const std::string& which) const {
    return "alertstream-dispatch-" + ToHex(story.log_id()).substr(0, 12) + "-0-" + which;
  }
  // A rival begins to take over, and gets no further than this id.
  void TakeOnly(const std::string& which) {
    auto rival = story.log.OpenTransactor(Id(which));
    EXPECT_TRUE(rival.ok() && rival.value()->Init(1s).ok());
  }
  AttemptTarget Target(std::uint32_t n) { return TargetOf(SmsCommand(n, "token")); }
  AttemptKey Key(std::uint32_t n) { return {NotificationIdOf(n), 1}; }

  runtime::Story story;
};

TEST(AttemptLogTest, ANewOwnerLearnsWhatIsStartedAndWhatIsFinal) {
  AttemptStory story;
  const auto first = story.Open();
  ASSERT_TRUE(first->Take().ok());
  const LogTime now = ManualClock::kNoon;
  const Outcome accepted{.result = v1::ATTEMPT_CLASS_ACCEPTED, .provider_message_id = "SM1"};
  ASSERT_TRUE(
      first->Commit({StartedRecord(story.Target(1), now), StartedRecord(story.Target(2), now)})
          .ok());
  ASSERT_TRUE(first
                  ->Commit({ResultRecord(story.Target(1), accepted, now, nullptr),
                            NotCalledRecord(story.Target(3), v1::ATTEMPT_PHASE_CANCELLED, now),
                            NotCalledRecord(story.Target(4), v1::ATTEMPT_PHASE_EXPIRED, now)})
                  .ok());
  const auto recovered = story.Open()->Take();
  ASSERT_TRUE(recovered.ok());
  const auto& attempts = recovered.value().attempts;
  ASSERT_THAT(attempts, SizeIs(4));
  EXPECT_TRUE(attempts.at(story.Key(1)).final);
  EXPECT_FALSE(attempts.at(story.Key(2)).final);
  EXPECT_EQ(attempts.at(story.Key(2)).target.tenant, "acme");
  EXPECT_EQ(attempts.at(story.Key(2)).target.account, "main");
  EXPECT_TRUE(attempts.at(story.Key(3)).final);
  EXPECT_TRUE(attempts.at(story.Key(4)).final);
  EXPECT_FALSE(recovered.value().checkpoint);
}

TEST(AttemptLogTest, TheNewestCheckpointIsFoundHoweverFarBack) {
  AttemptStory story;
  const auto first = story.Open();
  ASSERT_TRUE(first->Take().ok());
  for (const std::uint64_t seq : {5U, 9U}) {
    std::vector<v1::Envelope> records = {StartedRecord(story.Target(1), ManualClock::kNoon)};
    SetCheckpoint({.seq = seq, .journal_offset = 50, .commands_offset = 60, .attempts_offset = 3},
                  &records.back());
    ASSERT_TRUE(first->Commit(records).ok());
  }
  const v1::Envelope filler = StartedRecord(story.Target(7), ManualClock::kNoon);
  ASSERT_TRUE(first->Commit(std::vector<v1::Envelope>(9000, filler)).ok());
  const auto recovered = story.Open()->Take();
  ASSERT_TRUE(recovered.ok() && recovered.value().checkpoint);
  EXPECT_EQ(recovered.value().checkpoint->seq, 9U);
  EXPECT_EQ(recovered.value().checkpoint->journal_offset, 50);
  EXPECT_EQ(recovered.value().checkpoint->commands_offset, 60);
  EXPECT_EQ(recovered.value().checkpoint->attempts_offset, 3);
}

// `fine`: how many transactions pass after a rival has taken the ids, before one is fenced.
TEST(AttemptLogTest, OfRivalsTheHolderOfTheFirstIdGoesOn) {
  struct Case {
    std::vector<std::string> taken;
    int before = 0;  // Transactions before the rival comes.
    int fine = 0;
  };
  constexpr int kNoEnd = 5;
  const std::vector<Case> cases = {
      {{"a"}, 0, 0},      {{"b"}, 0, kNoEnd}, {{"b"}, 1, kNoEnd},
      {{"b"}, 2, kNoEnd}, {{"a", "b"}, 0, 0}, {{"a", "b"}, 1, 0},
      {{"a", "b"}, 2, 0}, {{"a"}, 1, 1},  // It has not taken the other one yet, and will read what
                                          // is committed there.
  };
  for (const Case& test : cases) {
    AttemptStory story;
    const auto attempts = story.Open();
    ASSERT_TRUE(attempts->Take().ok());
    const auto commit = [&] {
      return attempts->Commit({StartedRecord(story.Target(1), ManualClock::kNoon)});
    };
    for (int i = 0; i < test.before; ++i) {
      ASSERT_TRUE(commit().ok());
    }
    for (const std::string& id : test.taken) {
      story.TakeOnly(id);
    }
    for (int i = 0; i < test.fine; ++i) {
      ASSERT_TRUE(commit().ok()) << test.taken.front() << " " << test.before << " " << i;
    }
    if (test.fine < kNoEnd) {
      const Status fenced = commit();
      ASSERT_FALSE(fenced.ok()) << test.taken.front() << " " << test.before;
      EXPECT_EQ(fenced.error().code(), ErrorCode::kFenced);
    }
  }
}

// Who takes over while B is taken back has A: the next transaction is on A, whatever came before.
TEST(AttemptLogTest, WhoTookBothMeanwhileIsNotOvertaken) {
  AttemptStory story;
  const auto attempts = story.Open();
  ASSERT_TRUE(attempts->Take().ok());
  const std::vector<v1::Envelope> records = {StartedRecord(story.Target(1), ManualClock::kNoon)};
  ASSERT_TRUE(attempts->Commit(records).ok());
  story.TakeOnly("b");
  ASSERT_TRUE(attempts->Commit(records).ok());  // B is taken back.
  story.TakeOnly("a");
  EXPECT_EQ(attempts->Commit(records).error().code(), ErrorCode::kFenced);
}

TEST(AttemptLogTest, TakeWaitsForWhatIsUnderWay) {
  AttemptStory story;
  const std::string value = "of another writer";
  const log::NewRecord record{schemas::Topic::kDeliveryAttempts, 0, "acme", value};
  auto open = story.story.log.Begin("somebody", std::span(&record, 1));
  ASSERT_TRUE(open.ok());
  const auto attempts = story.Open();
  const auto early = attempts->Take();
  ASSERT_FALSE(early.ok());
  EXPECT_EQ(early.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(early.error().message(), HasSubstr("open transaction"));
  ASSERT_TRUE(open.value().Commit().ok());
  EXPECT_TRUE(attempts->Take().ok());
}

}  // namespace
}  // namespace alertstream::dispatch

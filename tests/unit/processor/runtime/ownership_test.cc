// Unknown outcomes, rivals, and a log that is away: whatever happens, the journal stays one chain
// and every event is decided exactly once.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/runtime/task.h"
#include "tests/support/runtime_story.h"

namespace alertstream::runtime {
namespace {

using log::CommitFault;
using schemas::Topic;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::SizeIs;
using namespace std::chrono_literals;

constexpr CommitFault kFaults[] = {CommitFault::kUnknownApplied, CommitFault::kUnknownNotApplied,
                                   CommitFault::kUnknownAppliedLater,
                                   CommitFault::kUnknownAbortedLater, CommitFault::kUnavailable};

std::string IdOf(const Story& story, char id) {
  return "alertstream-" + ToHex(story.log_id()).substr(0, 12) + "-0-" + id;
}

// Goes on as a Processor does.
Status RunOn(Instance& owner) {
  for (int i = 0; i < 20; ++i) {
    const Status ran = owner.RunUntilQuiet();
    if (ran.ok() || !owner.task().CanGoOn(ran.error())) {
      return ran;
    }
  }
  return Error(ErrorCode::kExhausted, "does not come to an end");
}

void ExpectEachOnce(Story& story, std::size_t events) {
  const Outputs outputs = story.Read();
  EXPECT_THAT(outputs.DecisionsByEvent(), SizeIs(events));
  EXPECT_THAT(outputs.DecisionsByEvent(), Each(Pair(::testing::_, 1)));
  EXPECT_THAT(outputs.commands, SizeIs(events));
  EXPECT_EQ(outputs.dropped, 0U);
}

class FaultTest : public ::testing::TestWithParam<CommitFault> {};

TEST_P(FaultTest, AtAClaimTheNextStartGoesOn) {
  Story story;
  story.writer.Shop("acme");
  story.writer.Order("acme", "o1");
  story.log.InjectCommitFault(IdOf(story, 'a'), GetParam());
  const auto first = Instance::Start(story.log, story.clock, story.log_id(), story.store);
  ASSERT_FALSE(first.ok());
  const auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  ExpectEachOnce(story, 1);
  story.ExpectAuditAgrees(*owner);
}

TEST_P(FaultTest, AtABatchTheSameTaskGoesOn) {
  for (const char id : {'a', 'b'}) {
    Story story;
    story.writer.Shop("acme");
    const auto owner = story.Start();
    story.log.InjectCommitFault(IdOf(story, id), GetParam());
    for (int i = 0; i < 3; ++i) {
      story.writer.Order("acme", "o" + std::to_string(i));
      ASSERT_TRUE(RunOn(*owner).ok());
    }
    EXPECT_TRUE(owner->task().idle());
    ExpectEachOnce(story, 3);
    story.ExpectAuditAgrees(*owner);
  }
}

TEST_P(FaultTest, AtABatchAndAtTheClaimsThatFollowTheSameTaskGoesOn) {
  Story story;
  story.writer.Shop("acme");
  const auto owner = story.Start();
  story.writer.Order("acme", "o1");
  for (const CommitFault claim : kFaults) {
    story.log.InjectCommitFault(IdOf(story, 'a'), claim);
  }
  story.log.InjectCommitFault(IdOf(story, 'b'), GetParam());
  ASSERT_TRUE(RunOn(*owner).ok());
  story.writer.Order("acme", "o2");
  ASSERT_TRUE(RunOn(*owner).ok());
  ExpectEachOnce(story, 2);
  story.ExpectAuditAgrees(*owner);
}

TEST_P(FaultTest, AtABatchARestartGoesOnFromTheLastFlushedPoint) {
  Story story;
  story.writer.Shop("acme");
  auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  ASSERT_TRUE(owner->task().Flush().ok());
  story.writer.Order("acme", "o1");
  story.log.InjectCommitFault(IdOf(story, 'a'), GetParam());
  const auto failed = owner->RunOnce();
  ASSERT_FALSE(failed.ok());
  // A clean end must not write out a batch that may not be history.
  ASSERT_TRUE(owner->task().Flush().ok());
  owner.reset();
  owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  ExpectEachOnce(story, 1);
  story.ExpectAuditAgrees(*owner);
}

INSTANTIATE_TEST_SUITE_P(Outcomes, FaultTest, ::testing::ValuesIn(kFaults));

TEST(Redo, KeepsTimeInputsAndEffects) {
  Story story;
  story.writer.Shop("acme");
  const auto owner = story.Start();
  story.writer.Order("acme", "o1");
  const LogTime folded_at = story.clock.Now();
  story.log.InjectCommitFault(IdOf(story, 'b'), CommitFault::kUnknownNotApplied);
  ASSERT_FALSE(owner->RunOnce().ok());
  story.clock.Advance(90s);
  story.writer.Order("acme", "o2");
  ASSERT_TRUE(RunOn(*owner).ok());
  const Outputs outputs = story.Read();
  ASSERT_THAT(outputs.decisions, SizeIs(2));
  EXPECT_EQ(outputs.decisions[0].decided_at_us(), ToMicros(folded_at));
  EXPECT_GT(outputs.decisions[1].decided_at_us(), ToMicros(folded_at));
  EXPECT_EQ(outputs.journal[1].kind(), v1::JOURNAL_KIND_CLAIM);
  EXPECT_EQ(outputs.journal[1].now_us(), ToMicros(folded_at));
  story.ExpectAuditAgrees(*owner);
}

TEST(LogAway, TheTaskGoesOnByItselfWhenTheLogIsBack) {
  Story story;
  story.writer.Shop("acme");
  const auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  story.writer.Order("acme", "o1");
  story.log.FailWrites(true);
  for (int i = 0; i < 3; ++i) {
    const auto ran = owner->RunOnce();
    ASSERT_FALSE(ran.ok());
    EXPECT_EQ(ran.error().code(), ErrorCode::kUnavailable);
    EXPECT_TRUE(owner->task().CanGoOn(ran.error()));
  }
  story.log.FailWrites(false);
  ASSERT_TRUE(RunOn(*owner).ok());
  ExpectEachOnce(story, 1);
  story.ExpectAuditAgrees(*owner);
}

TEST(LogAway, AnInputThatCannotBeReadIsWaitedFor) {
  Story story;
  story.writer.Shop("acme");
  const auto owner = story.Start();
  story.log.FailReads(Topic::kSiteEvents, true);
  const auto ran = owner->RunOnce();
  ASSERT_FALSE(ran.ok());
  EXPECT_TRUE(owner->task().CanGoOn(ran.error()));
  story.log.FailReads(Topic::kSiteEvents, false);
  story.writer.Order("acme", "o1");
  ASSERT_TRUE(RunOn(*owner).ok());
  ExpectEachOnce(story, 1);
}

TEST(LogAway, AnOpenTransactionOnTheJournalIsWaitedForAtAStart) {
  Story story;
  const log::NewRecord record{Topic::kJournal, 0, schemas::kLogKey, "of somebody else"};
  auto open = story.log.Begin("stranger", std::span(&record, 1));
  ASSERT_TRUE(open.ok());
  const auto started = Instance::Start(story.log, story.clock, story.log_id(), story.store);
  ASSERT_FALSE(started.ok());
  EXPECT_EQ(started.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(started.error().message(), HasSubstr("open transaction"));
  ASSERT_TRUE(open.value().Abort().ok());
  EXPECT_NE(story.Start(), nullptr);
}

TEST(Rivals, TheLastToStartOwnsAndTheOtherIsFenced) {
  Story story;
  story.writer.Shop("acme");
  state::MemoryStore other_store;
  auto first = story.Start();
  for (int round = 0; round < 4; ++round) {
    story.writer.Order("acme", "r" + std::to_string(round));
    const auto second = story.Start(round % 2 == 0 ? other_store : story.store);
    const auto fenced = first->RunOnce();
    ASSERT_FALSE(fenced.ok());
    // The fence itself is not an answer: the journal says who owns it.
    Status last = fenced.error();
    for (int i = 0; i < 3 && first->task().CanGoOn(last.error()); ++i) {
      last = first->RunUntilQuiet();
      ASSERT_FALSE(last.ok());
    }
    EXPECT_EQ(last.error().code(), ErrorCode::kFenced);
    EXPECT_FALSE(first->task().CanGoOn(last.error()));
    ASSERT_TRUE(RunOn(*second).ok());
    ExpectEachOnce(story, static_cast<std::size_t>(round) + 1);
    story.ExpectAuditAgrees(*second);
    first.reset();
    first = story.Start(round % 2 == 0 ? story.store : other_store);
    ASSERT_TRUE(RunOn(*first).ok());
  }
}

TEST(Rivals, AnUnknownOutcomeFollowedByARivalsClaimIsALoss) {
  for (const CommitFault fault : kFaults) {
    Story story;
    story.writer.Shop("acme");
    const auto first = story.Start();
    story.writer.Order("acme", "o1");
    story.log.InjectCommitFault(IdOf(story, 'b'), fault);
    ASSERT_FALSE(first->RunOnce().ok());
    state::MemoryStore other_store;
    const auto second = story.Start(other_store);
    ASSERT_TRUE(RunOn(*second).ok());
    const auto lost = first->RunOnce();
    ASSERT_FALSE(lost.ok());
    EXPECT_EQ(lost.error().code(), ErrorCode::kFenced);
    EXPECT_THAT(lost.error().message(), HasSubstr("another owner"));
    const auto third = story.Start(other_store);
    ASSERT_TRUE(RunOn(*third).ok());
    ExpectEachOnce(story, 1);
    story.ExpectAuditAgrees(*third);
  }
}

}  // namespace
}  // namespace alertstream::runtime

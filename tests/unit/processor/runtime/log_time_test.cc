#include "processor/runtime/log_time.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/runtime/task.h"
#include "tests/support/runtime_story.h"

namespace alertstream::runtime {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

constexpr LogDuration kDay = std::chrono::hours{24};

TEST(LogTime, IsTheWallClockAndNeverGoesBack) {
  ManualClock clock;
  LogTimeSource time(clock);
  EXPECT_EQ(time.Next(LogTime{}).value(), ManualClock::kNoon);
  EXPECT_EQ(time.Next(ManualClock::kNoon + 3s).value(), ManualClock::kNoon + 3s);
  clock.Step(-4s);
  EXPECT_EQ(time.Next(ManualClock::kNoon).value(), ManualClock::kNoon);
  clock.Advance(std::chrono::hours{24 * 30});
  EXPECT_EQ(time.Next(LogTime{}).value(), ManualClock::kNoon - 4s + 30 * kDay);
}

TEST(LogTime, AStepOfTheWallClockIsRefused) {
  struct Case {
    LogDuration step;
    bool ok;
  };
  for (const Case& c : {Case{5s, true}, Case{-5s, true}, Case{5s + 1us, false},
                        Case{-5s - 1us, false}, Case{kDay, false}}) {
    ManualClock clock;
    LogTimeSource time(clock);
    clock.Advance(1min);
    clock.Step(c.step);
    const auto next = time.Next(LogTime{});
    ASSERT_EQ(next.ok(), c.ok) << c.step.count();
    if (!c.ok) {
      EXPECT_EQ(next.error().code(), ErrorCode::kInvalid);
      EXPECT_THAT(next.error().message(), HasSubstr("stepped"));
    }
  }
}

TEST(LogTime, AStartFarFromTheLogIsRefused) {
  struct Case {
    LogDuration clock_after_log;
    const char* error;  // "": fine.
  };
  for (const Case& c : {Case{7 * kDay, ""}, Case{7 * kDay + 1us, "--accept-clock"}, Case{-5s, ""},
                        Case{-5s - 1us, "behind the last time of the log"}}) {
    ManualClock clock;
    const Status checked = LogTimeSource(clock).CheckStart(ManualClock::kNoon - c.clock_after_log);
    ASSERT_EQ(checked.ok(), *c.error == '\0') << c.clock_after_log.count();
    if (!checked.ok()) {
      EXPECT_EQ(checked.error().code(), ErrorCode::kInvalid);
      EXPECT_THAT(checked.error().message(), HasSubstr(c.error));
    }
  }
}

TEST(LogTime, ASkewAgainstTheLogsClockIsRefused) {
  ManualClock clock;
  const LogTimeSource time(clock);
  EXPECT_TRUE(time.CheckSkew(ManualClock::kNoon + 5s).ok());
  EXPECT_TRUE(time.CheckSkew(ManualClock::kNoon - 5s).ok());
  for (const LogDuration skew : {LogDuration{5s + 1us}, LogDuration{-5s - 1us}}) {
    const Status checked = time.CheckSkew(ManualClock::kNoon + skew);
    ASSERT_FALSE(checked.ok());
    EXPECT_EQ(checked.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(checked.error().message(), HasSubstr("differ"));
  }
}

TEST(TaskClock, AStepEndsTheTaskAndLeavesTheLogsTimeAlone) {
  Story story;
  story.writer.Shop("acme");
  auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  const LogTime before = owner->state().tail().now;
  story.clock.Step(std::chrono::hours{1});
  story.writer.Order("acme", "o1");
  const auto ran = owner->RunOnce();
  ASSERT_FALSE(ran.ok());
  EXPECT_EQ(ran.error().code(), ErrorCode::kInvalid);
  EXPECT_FALSE(owner->task().CanGoOn(ran.error()));
  EXPECT_EQ(owner->state().tail().now, before);
}

TEST(TaskClock, AStepDuringAnUnknownOutcomeDoesNotReachTheClaim) {
  Story story;
  story.writer.Shop("acme");
  const auto owner = story.Start();
  const std::string base = "alertstream-" + ToHex(story.log_id()).substr(0, 12) + "-0";
  story.log.InjectCommitFault(base + "-b", log::CommitFault::kUnknownApplied);
  ASSERT_FALSE(owner->RunOnce().ok());
  story.clock.Step(std::chrono::hours{1});
  const auto ran = owner->RunOnce();
  ASSERT_FALSE(ran.ok());
  EXPECT_EQ(ran.error().code(), ErrorCode::kInvalid);
  for (const auto& record : story.Read().journal) {
    EXPECT_LE(FromMicros(record.now_us()), ManualClock::kNoon + 1min);
  }
}

TEST(TaskClock, ALongPauseNeedsConsentWhichIsRecorded) {
  Story story;
  story.writer.Shop("acme");
  auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  owner.reset();
  story.clock.Advance(8 * kDay);
  const auto refused = Instance::Start(story.log, story.clock, story.log_id(), story.store);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(refused.error().message(), HasSubstr("--accept-clock"));
  InstanceOptions options;
  options.task.accept_clock = true;
  owner = story.Start(story.store, options);
  EXPECT_TRUE(story.Read().journal.back().accepted_clock());
  // Said again without need it is not recorded again.
  owner = story.Start(story.store, options);
  EXPECT_FALSE(story.Read().journal.back().accepted_clock());
  story.ExpectAuditAgrees(*owner);
}

TEST(TaskClock, AClockBehindTheLogStandsStillOnceAccepted) {
  Story story;
  story.writer.Shop("acme");
  auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  const LogTime last = owner->state().tail().now;
  owner.reset();
  story.clock.Step(-std::chrono::hours{1});
  EXPECT_FALSE(Instance::Start(story.log, story.clock, story.log_id(), story.store).ok());
  InstanceOptions options;
  options.task.accept_clock = true;
  owner = story.Start(story.store, options);
  story.writer.Order("acme", "o1");
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  EXPECT_EQ(owner->state().tail().now, last);
  story.ExpectAuditAgrees(*owner);
}

}  // namespace
}  // namespace alertstream::runtime

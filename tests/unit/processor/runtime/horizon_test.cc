#include "processor/runtime/horizon.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/runtime_story.h"

namespace alertstream::runtime {
namespace {

using schemas::Topic;
using ::testing::ElementsAre;
using namespace std::chrono_literals;

TEST(Horizon, NamesTheEndsOfThePermissionTopicsOfEachPartition) {
  Story story(4);
  story.writer.OptOut("acme");
  story.writer.Consent("acme", v1::CONSENT_STATUS_GRANTED);
  story.writer.Consent("acme", v1::CONSENT_STATUS_REVOKED);
  const std::int32_t home = story.writer.HomeOf("acme");
  const std::int32_t other = (home + 1) % 4;
  PermissionHorizon horizon(story.log, story.clock, {other, home});
  EXPECT_FALSE(horizon.Get(home).has_value()) << "nobody asked yet";
  ASSERT_TRUE(horizon.Refresh().ok());
  ASSERT_TRUE(horizon.Get(home).has_value());
  EXPECT_THAT(horizon.Get(home)->ends, ElementsAre(1, 2, 3, 1));
  EXPECT_THAT(horizon.Get(other)->ends, ElementsAre(1, 1, 1, 1));
  EXPECT_FALSE(horizon.Get((home + 2) % 4).has_value()) << "not one of its partitions";
}

TEST(Horizon, CountsOpenTransactions) {
  Story story;
  const log::NewRecord record{Topic::kOptOuts, 0, "acme", "open"};
  const auto open = story.log.Begin("someone", std::span(&record, 1));
  PermissionHorizon horizon(story.log, story.clock, {0});
  ASSERT_TRUE(horizon.Refresh().ok());
  EXPECT_EQ(horizon.Get(0)->ends[1], 2);
}

TEST(Horizon, IsForgottenWhenItIsTooOld) {
  Story story;
  PermissionHorizon horizon(story.log, story.clock, {0});
  ASSERT_TRUE(horizon.Refresh().ok());
  story.clock.Advance(kHorizonAgeMax);
  EXPECT_TRUE(horizon.Get(0).has_value());
  story.clock.Advance(1us);
  EXPECT_FALSE(horizon.Get(0).has_value());
  story.log.FailEnds(Topic::kAccountChanges, true);
  EXPECT_FALSE(horizon.Refresh().ok());
  EXPECT_FALSE(horizon.Get(0).has_value());
}

TEST(Horizon, AsksByItselfOnceStarted) {
  log::MemoryEventLog log({.clock = SystemClock()});
  const StoryWriter writer(log, 1);
  PermissionHorizon horizon(log, SystemClock(), {0});
  horizon.Start();
  const auto deadline = SystemClock().SinceBoot() + 10s;
  while (!horizon.Get(0).has_value() && SystemClock().SinceBoot() < deadline) {
    SystemClock().SleepFor(5ms);
  }
  EXPECT_TRUE(horizon.Get(0).has_value());
  horizon.Stop();
}

}  // namespace
}  // namespace alertstream::runtime

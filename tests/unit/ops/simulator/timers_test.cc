#include "ops/simulator/timers.h"

#include <chrono>
#include <future>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

namespace alertstream::simulator {
namespace {

using namespace std::chrono_literals;

TEST(TimersTest, RunInTheOrderOfTheirTimes) {
  std::vector<int> order;
  std::promise<void> done;
  Timers timers(SystemClock());
  EXPECT_TRUE(timers.After(60ms, [&] {
    order.push_back(3);
    done.set_value();
  }));
  EXPECT_TRUE(timers.After(30ms, [&] { order.push_back(2); }));
  EXPECT_TRUE(timers.After(0ms, [&] { order.push_back(1); }));
  ASSERT_EQ(done.get_future().wait_for(10s), std::future_status::ready);
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

TEST(TimersTest, ATimerMayStartAnother) {
  std::promise<void> done;
  Timers timers(SystemClock());
  EXPECT_TRUE(timers.After(0ms, [&] { timers.After(0ms, [&] { done.set_value(); }); }));
  EXPECT_EQ(done.get_future().wait_for(10s), std::future_status::ready);
}

TEST(TimersTest, ThereIsALimit) {
  Timers timers(SystemClock(), 1);
  EXPECT_TRUE(timers.After(1h, [] {}));
  EXPECT_FALSE(timers.After(1h, [] {}));
  EXPECT_EQ(timers.pending(), 1U);
}

TEST(TimersTest, StopDropsWhatIsPending) {
  const auto held = std::make_shared<int>(0);
  Timers timers(SystemClock());
  EXPECT_TRUE(timers.After(1h, [held] { ++*held; }));
  timers.Stop();
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_FALSE(timers.After(0ms, [] {}));
}

}  // namespace
}  // namespace alertstream::simulator

#include "api/query/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <vector>

namespace alertstream::api {
namespace {

TEST(WorkerPoolTest, RunsTasksInTheOrderOfSubmission) {
  WorkerPool pool({.threads = 1});
  std::vector<int> order;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(pool.Submit([&order, i] { order.push_back(i); }));
  }
  pool.Stop();
  ASSERT_EQ(order.size(), 100U);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
  }
}

TEST(WorkerPoolTest, RunsAsManyTasksAtOnceAsItHasThreads) {
  WorkerPool pool({.threads = 2});
  std::promise<void> first;
  std::promise<void> second;
  // Each waits for the other: one thread would never come to the second.
  ASSERT_TRUE(pool.Submit([&] {
    first.set_value();
    second.get_future().wait();
  }));
  ASSERT_TRUE(pool.Submit([&] {
    first.get_future().wait();
    second.set_value();
  }));
  pool.Stop();
}

TEST(WorkerPoolTest, RefusesWhatDoesNotFitAndDestroysIt) {
  WorkerPool pool({.threads = 1, .queue_max = 2});
  std::promise<void> started;
  std::promise<void> go;
  ASSERT_TRUE(pool.Submit([&] {
    started.set_value();
    go.get_future().wait();
  }));
  started.get_future().wait();  // The queue is empty again.
  std::atomic<int> ran = 0;
  EXPECT_TRUE(pool.Submit([&ran] { ++ran; }));
  EXPECT_TRUE(pool.Submit([&ran] { ++ran; }));
  EXPECT_EQ(pool.waiting(), 2U);
  auto held = std::make_shared<int>(1);
  EXPECT_FALSE(pool.Submit([held, &ran] { ++ran; }));
  EXPECT_EQ(held.use_count(), 1);
  go.set_value();
  pool.Stop();
  EXPECT_EQ(ran, 2);
}

TEST(WorkerPoolTest, StopRunsWhatWasTakenAndTakesNoMore) {
  WorkerPool pool({.threads = 2});
  std::atomic<int> ran = 0;
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(pool.Submit([&ran] { ++ran; }));
  }
  pool.Stop();
  EXPECT_EQ(ran, 500);
  EXPECT_FALSE(pool.Submit([&ran] { ++ran; }));
  pool.Stop();
  EXPECT_EQ(ran, 500);
}

}  // namespace
}  // namespace alertstream::api

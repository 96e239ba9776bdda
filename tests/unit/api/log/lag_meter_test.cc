#include "api/log/lag_meter.h"

#include <gtest/gtest.h>

#include "processor/log/memory/memory_log.h"
#include "tests/support/manual_clock.h"

namespace alertstream::api {
namespace {

using schemas::Topic;
using namespace std::chrono_literals;

constexpr std::size_t kAttempts = 4;  // In schemas::kInputTopics.
constexpr std::size_t kEvents = 6;

class LagMeterTest : public ::testing::Test {
 protected:
  LagMeterTest() { EXPECT_TRUE(log_.ApplyTopics({.partitions = 2}, 1s).ok()); }

  LogDuration Sample() {
    const auto lag = meter_.Sample(consumed_, clock_.Now(), 1s);
    EXPECT_TRUE(lag.ok());
    return lag.ok() ? lag.value() : LogDuration(-1);
  }
  void Start() {
    ASSERT_TRUE(meter_.Start(1s).ok());
    consumed_ = meter_.consumed();
  }
  void Append(Topic topic, std::int32_t partition = 0) {
    const log::NewRecord record{topic, partition, "acme", "x"};
    ASSERT_TRUE(log_.Append(std::span(&record, 1), 1s).ok());
  }
  // A batch of partition 0.
  void Consume(Topic topic, std::int64_t next) {
    v1::JournalRecord journal;
    auto* input = journal.add_inputs();
    input->set_topic(static_cast<std::uint32_t>(topic));
    input->set_next(next);
    LagMeter::Raise(journal, &consumed_);
  }

  ManualClock clock_;
  log::MemoryEventLog log_{log::MemoryLogOptions{.clock = clock_}};
  LagMeter meter_{log_, 2};
  LagMeter::Positions consumed_;
};

TEST_F(LagMeterTest, GrowsFromTheAppendOfTheOldestRecordThatWaits) {
  Start();
  Append(Topic::kOptOuts);
  clock_.Advance(1s);
  Append(Topic::kSiteEvents);
  EXPECT_EQ(Sample(), 0s);  // It came since the sample before.
  clock_.Advance(2s);
  EXPECT_EQ(Sample(), 3s);
  Consume(Topic::kOptOuts, 1);
  EXPECT_EQ(Sample(), 2s);
  clock_.Advance(4s);
  EXPECT_EQ(Sample(), 6s);
  Consume(Topic::kSiteEvents, 1);
  EXPECT_EQ(consumed_[kEvents], 1);
  EXPECT_EQ(Sample(), 0s);
}

TEST_F(LagMeterTest, APartitionThatNobodyFoldsIsSeen) {
  Start();
  Append(Topic::kSiteEvents, 1);
  Consume(Topic::kSiteEvents, 1);  // Of the other one.
  EXPECT_EQ(Sample(), 0s);
  clock_.Advance(2s);
  EXPECT_EQ(Sample(), 2s);
}

TEST_F(LagMeterTest, WhatWasThereBeforeCountsAsConsumed) {
  Append(Topic::kSiteEvents);
  Start();
  clock_.Advance(5s);
  EXPECT_EQ(Sample(), 0s);
  EXPECT_EQ(Sample(), 0s);
}

TEST_F(LagMeterTest, MarkersOfTransactionsDoNotWait) {
  Start();
  const log::NewRecord record{schemas::Topic::kDeliveryAttempts, 0, "acme", "x"};
  auto transaction = log_.Begin("t", std::span(&record, 1));
  ASSERT_TRUE(transaction.ok());
  ASSERT_TRUE(transaction.value().Commit().ok());
  EXPECT_EQ(Sample(), 0s);
  clock_.Advance(3s);
  EXPECT_EQ(Sample(), 3s);
  // A batch consumed the record; the marker behind it stays.
  Consume(Topic::kDeliveryAttempts, 1);
  EXPECT_EQ(consumed_[kAttempts], 1);
  EXPECT_EQ(Sample(), 0s);
  clock_.Advance(3s);
  EXPECT_EQ(Sample(), 0s);
}

TEST_F(LagMeterTest, ALogThatCannotBeAskedIsAnError) {
  Start();
  log_.FailEnds(schemas::Topic::kSiteEvents, true);
  const auto lag = meter_.Sample(consumed_, clock_.Now(), 100ms);
  ASSERT_FALSE(lag.ok());
  EXPECT_EQ(lag.error().code(), ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace alertstream::api

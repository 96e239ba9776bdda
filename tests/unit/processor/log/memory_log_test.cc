#include "processor/log/memory/memory_log.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream::log {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

constexpr TopicPartition kFacts0{.topic = Topic::kFacts, .partition = 0};
constexpr TopicPartition kJournal0{.topic = Topic::kJournal, .partition = 0};

class StoppedClock final : public Clock {
 public:
  LogTime Now() const override { return now; }
  std::chrono::microseconds SinceBoot() const override { return 0us; }
  void SleepFor(std::chrono::milliseconds duration) override { now += duration; }

  LogTime now = FromMicros(1'000'000);
};

class MemoryLogTest : public ::testing::Test {
 protected:
  MemoryLogTest() { EXPECT_TRUE(log_.ApplyTopics({.partitions = 1}, 1s).ok()); }

  Result<std::int64_t> Append(TopicPartition where, std::string_view value) {
    const NewRecord record{
        .topic = where.topic, .partition = where.partition, .key = "k", .value = value};
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto appended, log_.Append(std::span(&record, 1), 1s));
    return appended[0].offset;
  }

  Status Commit(Transactor& transactor, std::string_view value) {
    const std::vector<NewRecord> records = {
        {.topic = Topic::kFacts, .partition = 0, .key = "k", .value = value},
        {.topic = Topic::kJournal, .partition = 0, .key = "k", .value = value}};
    return transactor.Commit(records, 1s);
  }

  std::unique_ptr<Transactor> Init(const std::string& id) {
    auto transactor = log_.OpenTransactor(id).value();
    EXPECT_TRUE(transactor->Init(1s).ok());
    return transactor;
  }

  // "offset:value" of all visible records.
  std::vector<std::string> Read(TopicPartition where) {
    const ReadFrom from{.source = where, .offset = 0};
    const auto reader = log_.OpenReader(std::span(&from, 1)).value();
    Fetched fetched;
    EXPECT_TRUE(reader->Fetch(0, {.records_max = 100, .bytes_max = 1 << 20}, &fetched).ok());
    std::vector<std::string> read;
    for (const auto& record : fetched.records) {
      read.push_back(std::to_string(record.offset) + ":" + std::string(record.value));
    }
    return read;
  }

  std::int64_t End(TopicPartition where, EndKind kind) {
    return log_.Ends(std::span(&where, 1), kind, 1s).value()[0];
  }

  StoppedClock clock_;
  MemoryEventLog log_{MemoryLogOptions{.clock = clock_, .wait_on_clock = true}};
};

TEST_F(MemoryLogTest, AMarkerTakesAnOffsetInEachPartitionOfATransaction) {
  const auto transactor = Init("a");
  ASSERT_TRUE(Commit(*transactor, "x").ok());
  ASSERT_TRUE(Commit(*transactor, "y").ok());
  ASSERT_TRUE(Append(kFacts0, "z").ok());
  EXPECT_THAT(Read(kFacts0), ElementsAre("0:x", "2:y", "4:z"));
  EXPECT_EQ(End(kFacts0, EndKind::kStable), 5);
  EXPECT_EQ(End(kJournal0, EndKind::kStable), 4);
}

TEST_F(MemoryLogTest, WithoutMarkersOffsetsAreDense) {
  MemoryEventLog log(MemoryLogOptions{.clock = clock_, .markers = false});
  ASSERT_TRUE(log.ApplyTopics({.partitions = 1}, 1s).ok());
  const auto transactor = log.OpenTransactor("a").value();
  ASSERT_TRUE(transactor->Init(1s).ok());
  ASSERT_TRUE(Commit(*transactor, "x").ok());
  ASSERT_TRUE(Commit(*transactor, "y").ok());
  EXPECT_EQ(log.Ends(std::span(&kFacts0, 1), EndKind::kStable, 1s).value()[0], 2);
}

TEST_F(MemoryLogTest, AppendTimesFollowTheClockButNeverBack) {
  ASSERT_TRUE(Append(kFacts0, "a").ok());
  clock_.now -= 1ms;
  const NewRecord record{.topic = Topic::kFacts, .partition = 0, .key = "", .value = "b"};
  EXPECT_EQ(log_.Append(std::span(&record, 1), 1s).value()[0].append_time, FromMicros(1'000'000));
  clock_.now = FromMicros(2'000'007);
  EXPECT_EQ(log_.Append(std::span(&record, 1), 1s).value()[0].append_time, FromMicros(2'000'007));
}

struct FaultCase {
  CommitFault fault;
  ErrorCode code;
  std::int64_t stable_before_init;
  std::size_t visible_before_init;
  std::size_t visible_after_init;
};

TEST_F(MemoryLogTest, CommitFaultsEndAsOrdered) {
  // Without a fault one record and its marker would make the stable end 2.
  const std::vector<FaultCase> cases = {
      {CommitFault::kUnknownApplied, ErrorCode::kUnknown, 2, 1, 1},
      {CommitFault::kUnknownNotApplied, ErrorCode::kUnknown, 2, 0, 0},
      {CommitFault::kUnknownAppliedLater, ErrorCode::kUnknown, 0, 0, 1},
      {CommitFault::kUnknownAbortedLater, ErrorCode::kUnknown, 0, 0, 0},
      {CommitFault::kUnavailable, ErrorCode::kUnavailable, 0, 0, 0},
  };
  for (const auto& test : cases) {
    SCOPED_TRACE(static_cast<int>(test.fault));
    log_.Truncate(kFacts0, 0);
    log_.Truncate(kJournal0, 0);
    const auto transactor = Init("a");
    log_.InjectCommitFault("a", test.fault);
    const auto status = Commit(*transactor, "x");
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code(), test.code);
    EXPECT_EQ(End(kFacts0, EndKind::kStable), test.stable_before_init);
    EXPECT_EQ(Read(kFacts0).size(), test.visible_before_init);
    ASSERT_TRUE(transactor->Init(1s).ok());
    EXPECT_EQ(Read(kFacts0).size(), test.visible_after_init);
    EXPECT_EQ(Read(kJournal0).size(), test.visible_after_init);
    EXPECT_EQ(End(kFacts0, EndKind::kStable), End(kFacts0, EndKind::kUncommitted));
  }
}

TEST_F(MemoryLogTest, AFailedCommitNeedsInit) {
  const auto transactor = Init("a");
  log_.InjectCommitFault("a", CommitFault::kUnavailable);
  EXPECT_FALSE(Commit(*transactor, "x").ok());
  const auto status = Commit(*transactor, "x");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), ErrorCode::kFenced);
  EXPECT_THAT(status.error().message(), HasSubstr("needs Init"));
  ASSERT_TRUE(transactor->Init(1s).ok());
  EXPECT_TRUE(Commit(*transactor, "x").ok());
}

TEST_F(MemoryLogTest, WritesFailWhileOrdered) {
  const auto transactor = Init("a");
  log_.FailWrites(true);
  EXPECT_EQ(Append(kFacts0, "x").error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(Commit(*transactor, "x").error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(transactor->Init(1s).error().code(), ErrorCode::kUnavailable);
  log_.FailWrites(false);
  EXPECT_TRUE(transactor->Init(1s).ok());
  EXPECT_THAT(Read(kFacts0), IsEmpty());
}

TEST_F(MemoryLogTest, EndsAndReadsOfATopicFailWhileOrdered) {
  ASSERT_TRUE(Append(kFacts0, "x").ok());
  log_.FailEnds(Topic::kFacts, true);
  const std::vector<TopicPartition> both = {kJournal0, kFacts0};
  const auto ends = log_.Ends(both, EndKind::kStable, 1s);
  ASSERT_FALSE(ends.ok());
  EXPECT_EQ(ends.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(ends.error().message(), HasSubstr("facts partition 0"));
  EXPECT_EQ(End(kJournal0, EndKind::kStable), 0);
  log_.FailEnds(Topic::kFacts, false);
  EXPECT_EQ(End(kFacts0, EndKind::kStable), 1);

  const ReadFrom from{.source = kFacts0, .offset = 0};
  const auto reader = log_.OpenReader(std::span(&from, 1)).value();
  Fetched fetched;
  log_.FailReads(Topic::kFacts, true);
  EXPECT_EQ(reader->Fetch(0, {.records_max = 9, .bytes_max = 9}, &fetched).error().code(),
            ErrorCode::kUnavailable);
  log_.FailReads(Topic::kFacts, false);
  EXPECT_EQ(reader->Fetch(0, {.records_max = 9, .bytes_max = 9}, &fetched).value(), 1u);
}

TEST_F(MemoryLogTest, AReaderBehindATruncationIsCorrupt) {
  ASSERT_TRUE(Append(kFacts0, "x").ok());
  ASSERT_TRUE(Append(kFacts0, "y").ok());
  const ReadFrom from{.source = kFacts0, .offset = 2};
  const auto reader = log_.OpenReader(std::span(&from, 1)).value();
  log_.Truncate(kFacts0, 1);
  Fetched fetched;
  const auto count = reader->Fetch(0, {.records_max = 9, .bytes_max = 9}, &fetched);
  ASSERT_FALSE(count.ok());
  EXPECT_EQ(count.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(count.error().message(), HasSubstr("facts partition 0 ends at 1"));
}

TEST_F(MemoryLogTest, ADamagedRecordStopsTheReaderBeforeIt) {
  ASSERT_TRUE(Append(kFacts0, "x").ok());
  ASSERT_TRUE(Append(kFacts0, "y").ok());
  log_.Corrupt(kFacts0, 1);
  const ReadFrom from{.source = kFacts0, .offset = 0};
  const auto reader = log_.OpenReader(std::span(&from, 1)).value();
  Fetched fetched;
  EXPECT_EQ(reader->Fetch(0, {.records_max = 9, .bytes_max = 9}, &fetched).value(), 1u);
  const auto count = reader->Fetch(0, {.records_max = 9, .bytes_max = 9}, &fetched);
  ASSERT_FALSE(count.ok());
  EXPECT_EQ(count.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(count.error().message(), HasSubstr("offset 1"));
  EXPECT_EQ(reader->Position(0), 1);
}

TEST_F(MemoryLogTest, WaitPassesSimulatedTimeOnlyWhenNothingIsAtHand) {
  const ReadFrom from{.source = kFacts0, .offset = 0};
  const auto reader = log_.OpenReader(std::span(&from, 1)).value();
  const auto before = clock_.now;
  reader->Wait(70ms);
  EXPECT_EQ(clock_.now - before, 70ms);
  ASSERT_TRUE(Append(kFacts0, "x").ok());
  reader->Wait(70ms);
  EXPECT_EQ(clock_.now - before, 70ms);
}

TEST_F(MemoryLogTest, AnotherHandleSharesRecordsAndFences) {
  const auto other = log_.Share();
  const auto zombie = Init("a");
  const auto heir = other->OpenTransactor("a").value();
  ASSERT_TRUE(heir->Init(1s).ok());
  EXPECT_EQ(Commit(*zombie, "x").error().code(), ErrorCode::kFenced);
  EXPECT_TRUE(Commit(*heir, "y").ok());
  EXPECT_THAT(Read(kFacts0), ElementsAre("0:y"));
}

}  // namespace
}  // namespace alertstream::log

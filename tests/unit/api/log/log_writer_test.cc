#include "api/log/log_writer.h"

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/log/memory/memory_log.h"
#include "processor/log/record_limits.h"
#include "tests/support/manual_clock.h"

namespace alertstream::api {
namespace {

using schemas::Topic;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

using Answer = Result<std::vector<log::Appended>>;

// A memory log whose appends wait while the gate is closed, and are noted by their sizes.
class GatedLog final : public log::EventLog {
 public:
  GatedLog() { EXPECT_TRUE(memory.ApplyTopics({.partitions = 2}, 1s).ok()); }

  void Close() {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void WaitForAppend() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_; });
  }
  std::vector<std::size_t> sizes() {
    const std::lock_guard lock(mutex_);
    return sizes_;
  }

  Result<std::vector<log::Appended>> Append(std::span<const log::NewRecord> records,
                                            std::chrono::milliseconds timeout) override {
    std::unique_lock lock(mutex_);
    sizes_.push_back(records.size());
    waiting_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    waiting_ = false;
    for (const auto& record : records) {
      if (!refused_key.empty() && record.key == refused_key) {
        return Error(ErrorCode::kInvalid, "the log does not like this key");
      }
    }
    return memory.Append(records, timeout);
  }
  std::string Describe() const override { return memory.Describe(); }
  bool ExclusiveWriter() const override { return memory.ExclusiveWriter(); }
  Result<std::vector<log::TopicInfo>> DescribeTopics(std::chrono::milliseconds timeout) override {
    return memory.DescribeTopics(timeout);
  }
  Status ApplyTopics(const log::TopicPlan& plan, std::chrono::milliseconds timeout) override {
    return memory.ApplyTopics(plan, timeout);
  }
  Result<std::int32_t> Partitions(std::chrono::milliseconds timeout) override {
    ++partitions_asked;
    if (away) {
      return Error(ErrorCode::kUnavailable, "the broker is away");
    }
    return memory.Partitions(timeout);
  }
  Result<std::unique_ptr<log::Reader>> OpenReader(std::span<const log::ReadFrom> sources) override {
    return memory.OpenReader(sources);
  }
  Result<std::vector<std::int64_t>> Ends(std::span<const log::TopicPartition> partitions,
                                         log::EndKind kind,
                                         std::chrono::milliseconds timeout) override {
    return memory.Ends(partitions, kind, timeout);
  }
  Result<std::unique_ptr<log::Transactor>> OpenTransactor(const std::string& id) override {
    return memory.OpenTransactor(id);
  }

  ManualClock clock;
  log::MemoryEventLog memory{log::MemoryLogOptions{.clock = clock}};
  std::string refused_key;
  std::atomic<bool> away{false};
  std::atomic<int> partitions_asked{0};

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  bool waiting_ = false;
  std::vector<std::size_t> sizes_;
};

RecordToAppend Record(std::string value, std::string key = "acme", std::int32_t partition = 0) {
  return {.topic = Topic::kSiteEvents,
          .partition = partition,
          .key = std::move(key),
          .value = std::move(value)};
}

std::future<Answer> Append(LogWriter* writer, std::vector<RecordToAppend> records) {
  auto promise = std::make_shared<std::promise<Answer>>();
  auto future = promise->get_future();
  EXPECT_TRUE(writer->Append(std::move(records),
                             [promise](Answer answer) { promise->set_value(std::move(answer)); }));
  return future;
}

std::vector<std::int64_t> Offsets(const Answer& answer) {
  std::vector<std::int64_t> offsets;
  for (const auto& appended : answer.value()) {
    offsets.push_back(appended.offset);
  }
  return offsets;
}

TEST(LogWriter, AnswersOffsetsInTheOrderOfTheRecords) {
  GatedLog log;
  LogWriter writer(log, {});
  const Answer first = Append(&writer, {Record("a"), Record("b", "acme", 1), Record("c")}).get();
  ASSERT_TRUE(first.ok()) << first.error().message();
  EXPECT_THAT(Offsets(first), ElementsAre(0, 0, 1));
  EXPECT_EQ(first.value()[0].append_time, log.clock.Now());
  EXPECT_THAT(Offsets(Append(&writer, {}).get()), ElementsAre());
  EXPECT_EQ(writer.pending_records(), 0U);
}

TEST(LogWriter, WhatArrivesDuringAnAppendLeavesTogether) {
  GatedLog log;
  log.Close();
  LogWriter writer(log, {.group_records_max = 4});
  std::vector<std::future<Answer>> answers;
  answers.push_back(Append(&writer, {Record("0")}));
  log.WaitForAppend();
  for (int i = 1; i <= 3; ++i) {
    answers.push_back(Append(&writer, {Record("a"), Record("b")}));
  }
  EXPECT_EQ(writer.pending_records(), 7U);
  log.Open();
  for (auto& answer : answers) {
    EXPECT_TRUE(answer.get().ok());
  }
  EXPECT_THAT(log.sizes(), ElementsAre(1U, 4U, 2U));
}

TEST(LogWriter, ARequestOverALimitFailsAloneAndAppendsNothing) {
  const std::string large(static_cast<std::size_t>(schemas::kInputRecordBytesMax) + 1, 'x');
  struct Case {
    RecordToAppend bad;
    std::string_view why;
  };
  const std::vector<Case> cases = {
      {Record(large), "the limit is 1310720"},
      {Record("a", "acme", 7), "partition 7 does not exist"},
      {Record("a", std::string(log::kKeyAndHeadersBytesMax + 1, 'k')), "key and headers"},
  };
  for (const Case& each : cases) {
    GatedLog log;
    log.Close();
    LogWriter writer(log, {});
    auto first = Append(&writer, {Record("0")});
    log.WaitForAppend();
    auto good = Append(&writer, {Record("good")});
    auto bad = Append(&writer, {Record("fine"), each.bad});
    auto other = Append(&writer, {Record("other")});
    log.Open();
    EXPECT_THAT(Offsets(good.get()), ElementsAre(1));
    EXPECT_THAT(Offsets(other.get()), ElementsAre(2));
    const Answer refused = bad.get();
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(refused.error().message(), HasSubstr(each.why));
    EXPECT_THAT(log.sizes(), ElementsAre(1U, 2U));
  }
}

TEST(LogWriter, WhatOnlyTheLogRefusesFailsAloneToo) {
  GatedLog log;
  log.refused_key = "odd";
  log.Close();
  LogWriter writer(log, {});
  auto first = Append(&writer, {Record("0")});
  log.WaitForAppend();
  auto good = Append(&writer, {Record("good")});
  auto bad = Append(&writer, {Record("bad", "odd")});
  log.Open();
  EXPECT_TRUE(good.get().ok());
  EXPECT_EQ(bad.get().error().code(), ErrorCode::kInvalid);
}

TEST(LogWriter, AFailedAppendIsAnsweredToAllOfTheGroup) {
  GatedLog log;
  log.memory.FailWrites(true);
  LogWriter writer(log, {});
  EXPECT_EQ(Append(&writer, {Record("a")}).get().error().code(), ErrorCode::kUnavailable);
  log.memory.FailWrites(false);
  EXPECT_TRUE(Append(&writer, {Record("a")}).get().ok());
}

TEST(LogWriter, TakesNothingOverItsLimitsAndNothingAfterStop) {
  GatedLog log;
  log.Close();
  LogWriter writer(log, {.records_max = 3, .bytes_max = 100});
  const auto never = [](const Answer&) { FAIL() << "not to be called"; };
  auto first = Append(&writer, {Record("a"), Record("b")});
  EXPECT_FALSE(writer.Append({Record("c"), Record("d")}, never));
  EXPECT_FALSE(writer.Append({Record(std::string(90, 'x'))}, never));
  auto second = Append(&writer, {Record("c")});
  log.Open();
  writer.Stop();  // What was taken is appended.
  EXPECT_TRUE(first.get().ok());
  EXPECT_TRUE(second.get().ok());
  EXPECT_FALSE(writer.Append({Record("e")}, never));
}

TEST(LogWriter, WhatIsNotBegunByTheDeadlineOfStopIsNeverAppended) {
  GatedLog log;
  log.Close();
  LogWriter writer(log, {.group_records_max = 1, .partitions = 2});
  auto begun = Append(&writer, {Record("0")});
  log.WaitForAppend();
  auto second = Append(&writer, {Record("a")});
  auto third = Append(&writer, {Record("b")});
  std::thread stop([&writer] { writer.Stop(0ms); });
  // Nothing is taken any more as soon as it stops.
  while (writer.Append({}, [](const Answer&) {})) {
    std::this_thread::yield();
  }
  log.Open();
  stop.join();
  EXPECT_TRUE(begun.get().ok());
  EXPECT_EQ(second.get().error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(third.get().error().message(), HasSubstr("the program ended"));
  EXPECT_THAT(log.sizes(), ElementsAre(1U));
  EXPECT_EQ(writer.pending_records(), 0U);
}

TEST(LogWriter, ALogThatIsAwayIsAskedForItsPartitionsOnceAGroup) {
  GatedLog gone;
  gone.away = true;
  LogWriter writer(gone, {});
  constexpr int kRequests = 200;
  std::promise<void> gate;
  EXPECT_TRUE(
      writer.Append({}, [wait = gate.get_future().share()](const Answer&) { wait.wait(); }));
  while (gone.partitions_asked == 0) {
    std::this_thread::yield();
  }
  std::vector<std::future<Answer>> answers;
  answers.reserve(kRequests);
  for (int i = 0; i < kRequests; ++i) {
    answers.push_back(Append(&writer, {Record("a")}));
  }
  gate.set_value();
  for (auto& answer : answers) {
    EXPECT_EQ(answer.get().error().code(), ErrorCode::kUnavailable);
  }
  EXPECT_EQ(gone.partitions_asked, 2);
}

TEST(LogWriter, ALogWhosePartitionsAreKnownIsNotAsked) {
  GatedLog log;
  LogWriter writer(log, {.partitions = 2});
  EXPECT_TRUE(Append(&writer, {Record("a", "acme", 1)}).get().ok());
  EXPECT_EQ(Append(&writer, {Record("a", "acme", 2)}).get().error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(log.partitions_asked, 0);
}

}  // namespace
}  // namespace alertstream::api

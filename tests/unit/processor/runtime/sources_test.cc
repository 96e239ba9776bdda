#include "processor/runtime/sources.h"

#include <memory>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/base/clock.h"

namespace alertstream::runtime {
namespace {

using namespace std::chrono_literals;

constexpr log::ReadFrom kEvents{{schemas::Topic::kSiteEvents, 0}, 0};
constexpr log::ReadFrom kJournal{{schemas::Topic::kJournal, 0}, 0};

// Source 0 never ends: records of one byte, each fetch with an owner of its own. Others are empty.
class EndlessReader final : public log::Reader {
 public:
  explicit EndlessReader(std::vector<std::weak_ptr<const void>>* owners) : owners_(owners) {}
  Result<std::size_t> Fetch(std::size_t index, const log::FetchLimits& limits,
                            log::Fetched* out) override {
    if (index != 0) {
      return std::size_t{0};
    }
    const auto owner = std::make_shared<const int>(0);
    out->owners.push_back(owner);
    owners_->push_back(owner);
    for (std::size_t i = 0; i < limits.records_max; ++i) {
      out->records.push_back({.offset = next_++, .append_time = {}, .key = "k", .value = "v"});
    }
    return limits.records_max;
  }
  std::int64_t Position(std::size_t index) const override { return index == 0 ? next_ : 0; }
  void Wait(std::chrono::milliseconds) override {}  // There is always something.
  void Wake() override {}

 private:
  std::vector<std::weak_ptr<const void>>* owners_;
  std::int64_t next_ = 0;
};

class EndlessLog final : public log::EventLog {
 public:
  std::string Describe() const override { return "endless"; }
  bool ExclusiveWriter() const override { return true; }
  Result<std::vector<log::TopicInfo>> DescribeTopics(std::chrono::milliseconds) override {
    return std::vector<log::TopicInfo>();
  }
  Status ApplyTopics(const log::TopicPlan&, std::chrono::milliseconds) override {
    return Status::Ok();
  }
  Result<std::int32_t> Partitions(std::chrono::milliseconds) override { return 1; }
  Result<std::unique_ptr<log::Reader>> OpenReader(std::span<const log::ReadFrom>) override {
    return std::unique_ptr<log::Reader>(std::make_unique<EndlessReader>(&owners));
  }
  Result<std::vector<std::int64_t>> Ends(std::span<const log::TopicPartition>, log::EndKind,
                                         std::chrono::milliseconds) override {
    return std::vector<std::int64_t>();
  }
  Result<std::vector<log::Appended>> Append(std::span<const log::NewRecord>,
                                            std::chrono::milliseconds) override {
    return std::vector<log::Appended>();
  }
  Result<std::unique_ptr<log::Transactor>> OpenTransactor(const std::string&) override {
    return Error(ErrorCode::kInvalid, "not this one");
  }

  std::vector<std::weak_ptr<const void>> owners;
};

TEST(Sources, GiveRecordsInOrderHoweverTheyAreTaken) {
  EndlessLog log;
  auto sources = Sources::Open(log, {kEvents}).value();
  std::int64_t expected = 0;
  for (std::size_t round = 1; round < 50; ++round) {
    ASSERT_TRUE(sources.Fill(0, 10, 1 << 20).ok());
    const auto at_hand = sources.AtHand(0);
    ASSERT_EQ(at_hand.size(), 10U);
    EXPECT_EQ(sources.Passed(0), expected);
    const std::size_t taken = round % 10 + 1;
    for (std::size_t i = 0; i < taken; ++i) {
      EXPECT_EQ(at_hand[i].offset, expected++);
    }
    sources.Consume(0, taken);
  }
}

TEST(Sources, LetGoOfWhatWasConsumedAlsoWhenNeverEmpty) {
  EndlessLog log;
  auto sources = Sources::Open(log, {kEvents}).value();
  for (int round = 0; round < 1000; ++round) {
    ASSERT_TRUE(sources.Fill(0, 10, 1 << 20).ok());
    sources.Consume(0, 7);  // Three are always left.
  }
  std::size_t alive = 0;
  for (const auto& owner : log.owners) {
    alive += owner.expired() ? 0 : 1;
  }
  EXPECT_GE(log.owners.size(), 1000U);
  EXPECT_LE(alive, 3U);
  EXPECT_FALSE(log.owners.back().expired());
}

TEST(Sources, AnotherSourcesRecordsDoNotEndAWait) {
  EndlessLog log;
  auto sources = Sources::Open(log, {kEvents, kJournal}).value();
  const auto begun = SystemClock().SinceBoot();
  const Status filled = sources.FillAtLeast(1, 1, 60ms);
  ASSERT_FALSE(filled.ok());
  EXPECT_EQ(filled.error().code(), ErrorCode::kUnavailable);
  EXPECT_GE(SystemClock().SinceBoot() - begun, 60ms);
}

}  // namespace
}  // namespace alertstream::runtime

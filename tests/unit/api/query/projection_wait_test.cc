#include "api/query/projection_wait.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "tests/support/manual_clock.h"

namespace alertstream::api {
namespace {

using schemas::Topic;
using ::testing::HasSubstr;

// The table of positions, in memory.
class FakePositions final : public sql::Database {
 public:
  void Cover(std::int64_t partition, const std::string& topic, std::int64_t next) {
    const std::lock_guard lock(mutex_);
    next_[{partition, topic}] = next;
  }
  std::atomic<bool> is_down = false;
  std::atomic<int> asked = 0;

  std::string Describe() const override { return "fake"; }
  Result<std::unique_ptr<sql::Session>> Open(const sql::SessionOptions& options) override {
    EXPECT_EQ(options.role, "alertstream_api");
    if (is_down) {
      return Error(ErrorCode::kUnavailable, "the database is down");
    }
    return std::unique_ptr<sql::Session>(std::make_unique<FakeSession>(*this));
  }

 private:
  class FakeSession final : public sql::Session {
   public:
    explicit FakeSession(FakePositions& positions) : positions_(positions) {}
    Result<sql::Rows> Run(const sql::Statement&, const sql::Params&) override {
      ++positions_.asked;
      if (positions_.is_down) {
        return Error(ErrorCode::kUnavailable, "the database is down");
      }
      const std::lock_guard lock(positions_.mutex_);
      sql::Rows rows(3, 0);
      for (const auto& [key, next] : positions_.next_) {
        rows.AddValue(std::to_string(key.first));
        rows.AddValue(key.second);
        rows.AddValue(std::to_string(next));
      }
      return rows;
    }
    Status KeepTenant(const std::string&) override { return Status::Ok(); }
    std::string_view tenant() const override { return ""; }
    Status Begin(const sql::TransactionOptions&) override { return Status::Ok(); }
    Status Commit() override { return Status::Ok(); }
    void Rollback() override {}
    Status RunScript(const std::string&) override { return Status::Ok(); }
    Status Listen(const char* channel) override {
      EXPECT_STREQ(channel, "alertstream_projected");
      return Status::Ok();
    }
    Result<std::vector<std::string>> AwaitPayloads(std::chrono::milliseconds timeout) override {
      EXPECT_LE(timeout, std::chrono::milliseconds(25));
      return std::vector<std::string>();
    }
    bool alive() const override { return !positions_.is_down; }

   private:
    FakePositions& positions_;
  };

  std::mutex mutex_;
  std::map<std::pair<std::int64_t, std::string>, std::int64_t> next_;
};

class ProjectionWaitTest : public ::testing::Test {
 protected:
  std::future<Status> Await(std::vector<AppendedPosition> positions,
                            std::chrono::milliseconds timeout = std::chrono::seconds(5)) {
    auto promise = std::make_shared<std::promise<Status>>();
    wait_.Await(std::move(positions), clock_.SinceBoot() + timeout,
                [promise](const Status& status) { promise->set_value(status); });
    return promise->get_future();
  }
  static bool IsOpen(const std::future<Status>& future) {
    return future.wait_for(std::chrono::milliseconds(60)) == std::future_status::timeout;
  }

  FakePositions positions_;
  ManualClock clock_;
  ProjectionWait wait_{positions_, clock_};
};

TEST_F(ProjectionWaitTest, AnAppendedRecordIsCoveredWhenTheNextOffsetIsBehindIt) {
  positions_.Cover(2, "opt-outs", 7);
  EXPECT_TRUE(Await({{Topic::kOptOuts, 2, 6}}).get().ok());
  auto waiting = Await({{Topic::kOptOuts, 2, 7}});
  EXPECT_TRUE(IsOpen(waiting));
  positions_.Cover(2, "opt-outs", 8);
  EXPECT_TRUE(waiting.get().ok());
}

TEST_F(ProjectionWaitTest, AllPositionsHaveToBeCovered) {
  positions_.Cover(0, "opt-outs", 5);
  positions_.Cover(1, "opt-outs", 5);
  auto waiting = Await({{Topic::kOptOuts, 0, 4}, {Topic::kOptOuts, 1, 5}});
  auto elsewhere = Await({{Topic::kConsentChanges, 0, 0}});
  EXPECT_TRUE(IsOpen(waiting));
  positions_.Cover(1, "opt-outs", 6);
  EXPECT_TRUE(waiting.get().ok());
  EXPECT_TRUE(IsOpen(elsewhere));
  positions_.Cover(0, "consent-changes", 1);
  EXPECT_TRUE(elsewhere.get().ok());
}

TEST_F(ProjectionWaitTest, NobodyWaitsBeyondTheDeadline) {
  auto waiting = Await({{Topic::kOptOuts, 0, 0}});
  EXPECT_TRUE(IsOpen(waiting));
  clock_.Advance(std::chrono::seconds(5));
  const Status status = waiting.get();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(status.error().message(), HasSubstr("does not cover the record yet"));
}

TEST_F(ProjectionWaitTest, ADatabaseThatComesBackIsAskedAgain) {
  positions_.is_down = true;
  auto waiting = Await({{Topic::kOptOuts, 0, 0}});
  EXPECT_TRUE(IsOpen(waiting));
  positions_.Cover(0, "opt-outs", 1);
  positions_.is_down = false;
  EXPECT_TRUE(waiting.get().ok());
}

TEST_F(ProjectionWaitTest, ADatabaseThatStaysAwayIsNamedAtTheDeadline) {
  positions_.is_down = true;
  auto waiting = Await({{Topic::kOptOuts, 0, 0}});
  EXPECT_TRUE(IsOpen(waiting));
  clock_.Advance(std::chrono::seconds(5));
  const Status status = waiting.get();
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message(), HasSubstr("the database is down"));
}

TEST_F(ProjectionWaitTest, TheTableIsAskedOnlyWhileSomebodyWaits) {
  SystemClock().SleepFor(std::chrono::milliseconds(100));
  EXPECT_EQ(positions_.asked, 0);
  positions_.Cover(0, "opt-outs", 1);
  EXPECT_TRUE(Await({{Topic::kOptOuts, 0, 0}}).get().ok());
  const int asked = positions_.asked;
  SystemClock().SleepFor(std::chrono::milliseconds(100));
  EXPECT_LE(positions_.asked, asked + 1);
}

TEST_F(ProjectionWaitTest, OutputsHaveNoPositionToWaitFor) {
  const Status status = Await({{Topic::kDecisions, 0, 0}}).get();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), ErrorCode::kInvalid);
  EXPECT_TRUE(Await({}).get().ok());
}

TEST_F(ProjectionWaitTest, StopEndsTheWaitsAndRefusesMore) {
  auto waiting = Await({{Topic::kOptOuts, 0, 0}});
  wait_.Stop();
  EXPECT_EQ(waiting.get().error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(Await({{Topic::kOptOuts, 0, 0}}).get().error().code(), ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace alertstream::api

#include "api/log/answer_watch.h"

#include <future>
#include <memory>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/log/engine_version.h"

#include "tests/support/forged_batch.h"
#include "tests/support/runtime_story.h"

namespace alertstream::api {
namespace {

using schemas::Topic;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using namespace std::chrono_literals;

using Answers = Result<std::vector<RecordAnswer>>;

class AnswerWatchTest : public ::testing::Test {
 protected:
  AnswerWatchTest() {
    story_.writer.Shop("acme");
    owner_ = story_.Start();
    EXPECT_TRUE(owner_->RunUntilQuiet().ok());
    auto watch = AnswerWatch::Start(story_.log, SystemClock(),
                                    {.log_id = story_.log_id(), .partitions = 1, .tickets_max = 2});
    EXPECT_TRUE(watch.ok());
    watch_ = std::move(watch).value();
  }

  std::future<Answers> Await(std::unique_ptr<AnswerWatch::Ticket> ticket,
                             const std::vector<AppendedPosition>& positions,
                             std::chrono::milliseconds timeout = 20s) {
    auto promise = std::make_shared<std::promise<Answers>>();
    auto future = promise->get_future();
    watch_->Await(std::move(ticket), positions, timeout,
                  [promise](Answers answers) { promise->set_value(std::move(answers)); });
    return future;
  }

  runtime::Story story_{1};
  std::unique_ptr<runtime::Instance> owner_;
  std::unique_ptr<AnswerWatch> watch_;
};

AppendedPosition At(Topic topic, const log::Appended& appended) {
  return {.topic = topic, .partition = 0, .offset = appended.offset};
}

TEST_F(AnswerWatchTest, AnswersDecisionsFactsAndDeadLetters) {
  auto ticket = watch_->Open();
  const auto order = story_.writer.Order("acme", "o1");
  const auto stop = story_.writer.OptOut("acme", "+254700000001");
  const auto stranger = story_.writer.Order("nobody", "o2");
  auto answers = Await(std::move(ticket), {At(Topic::kSiteEvents, order), At(Topic::kOptOuts, stop),
                                           At(Topic::kSiteEvents, stranger)});
  ASSERT_TRUE(owner_->RunUntilQuiet().ok());
  const Answers got = answers.get();
  ASSERT_TRUE(got.ok()) << got.error().message();
  ASSERT_THAT(got.value(), SizeIs(3));
  ASSERT_THAT(got.value()[0].decisions, SizeIs(1));
  EXPECT_EQ(got.value()[0].decisions[0].decisions(0).outcome(), v1::OUTCOME_SEND);
  ASSERT_THAT(got.value()[1].facts, SizeIs(1));
  EXPECT_EQ(got.value()[1].facts[0].result(), v1::FACT_RESULT_ACCEPTED);
  EXPECT_THAT(got.value()[1].decisions, IsEmpty());
  ASSERT_THAT(got.value()[2].dead_letters, SizeIs(1));
  EXPECT_EQ(got.value()[2].dead_letters[0].reason(), v1::DEAD_LETTER_REASON_UNKNOWN_TENANT);
  EXPECT_EQ(watch_->Problem(), "");
}

TEST_F(AnswerWatchTest, AnAnswerThatCameFirstIsStillThere) {
  auto ticket = watch_->Open();
  const auto order = story_.writer.Order("acme", "o1");
  auto fence = watch_->Open();
  ASSERT_TRUE(owner_->RunUntilQuiet().ok());
  // When the second order is answered, the first one has been.
  const auto second = story_.writer.Order("acme", "o2");
  auto later = Await(std::move(fence), {At(Topic::kSiteEvents, second)});
  ASSERT_TRUE(owner_->RunUntilQuiet().ok());
  ASSERT_TRUE(later.get().ok());
  const Answers got = Await(std::move(ticket), {At(Topic::kSiteEvents, order)}, 0ms).get();
  ASSERT_TRUE(got.ok()) << got.error().message();
  EXPECT_THAT(got.value()[0].decisions, SizeIs(1));
}

TEST_F(AnswerWatchTest, WithoutAProcessorTheWaitEndsInTime) {
  auto ticket = watch_->Open();
  const auto order = story_.writer.Order("acme", "o1");
  const Answers got = Await(std::move(ticket), {At(Topic::kSiteEvents, order)}, 30ms).get();
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(got.error().message(), HasSubstr("has not answered in time"));
}

TEST_F(AnswerWatchTest, TicketsAreLimited) {
  auto one = watch_->Open();
  auto two = watch_->Open();
  EXPECT_EQ(watch_->Open(), nullptr);
  one.reset();
  EXPECT_NE(watch_->Open(), nullptr);
}

TEST_F(AnswerWatchTest, StopEndsTheWaits) {
  auto ticket = watch_->Open();
  auto spare = watch_->Open();
  auto answers = Await(std::move(ticket), {{Topic::kSiteEvents, 0, 1'000}});
  watch_->Stop();
  EXPECT_EQ(answers.get().error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(watch_->Open(), nullptr);
  watch_.reset();
  spare.reset();  // A ticket may outlive the watch.
}

TEST_F(AnswerWatchTest, TheEngineVersionIsKnownFromTheStartAndFollowed) {
  EXPECT_EQ(watch_->EngineVersion(0), engine::kEngineVersion);
  EXPECT_EQ(watch_->EngineVersion(1), std::nullopt) << "there is no such partition";
  runtime::ForgeBatch(story_, *owner_, {}, 3);
  auto ticket = watch_->Open();
  const auto order = story_.writer.Order("acme", "o1");
  auto answers = Await(std::move(ticket), {At(Topic::kSiteEvents, order)});
  ASSERT_TRUE(owner_->RunUntilQuiet().ok());
  ASSERT_TRUE(answers.get().ok());
  EXPECT_EQ(watch_->EngineVersion(0), 3U);
}

TEST_F(AnswerWatchTest, WhereNothingWasDecidedNoEngineVersionIsInForce) {
  runtime::Story empty{2};
  const auto watch =
      AnswerWatch::Start(empty.log, SystemClock(), {.log_id = empty.log_id(), .partitions = 2});
  ASSERT_TRUE(watch.ok());
  EXPECT_EQ(watch.value()->EngineVersion(1), 0U);
}

// The journal's end may be markers of transactions only.
TEST(EngineVersion, IsReadFromFarBehindTheJournalsEnd) {
  runtime::Story story;
  const auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  for (int i = 0; i < 100; ++i) {
    story.writer.Raw(Topic::kJournal, "acme", "no journal record", 0);
  }
  const auto version = ReadEngineVersion(story.log, 0, 1s);
  ASSERT_TRUE(version.ok()) << version.error().message();
  EXPECT_EQ(version.value(), engine::kEngineVersion);
}

TEST_F(AnswerWatchTest, ADamagedHistoryIsAProblem) {
  auto ticket = watch_->Open();
  story_.writer.Raw(Topic::kJournal, "acme", "no journal record", 0);
  EXPECT_EQ(Await(std::move(ticket), {{Topic::kSiteEvents, 0, 1'000}}, 500ms).get().error().code(),
            ErrorCode::kUnavailable);
  EXPECT_THAT(watch_->Problem(), HasSubstr("partition 0: journal of partition 0"));
}

}  // namespace
}  // namespace alertstream::api

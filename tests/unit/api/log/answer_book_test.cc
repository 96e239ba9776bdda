#include "api/log/answer_book.h"

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream::api {
namespace {

using schemas::Topic;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using namespace std::chrono_literals;

constexpr std::uint32_t kEvents = static_cast<std::uint32_t>(Topic::kSiteEvents);
constexpr std::chrono::microseconds kDeadline = 5s;

v1::JournalRecord Journal(std::int64_t first, std::int64_t next, std::uint32_t partition = 0) {
  v1::JournalRecord journal;
  journal.set_partition(partition);
  auto* input = journal.add_inputs();
  input->set_topic(kEvents);
  input->set_first(first);
  input->set_next(next);
  return journal;
}

v1::DecisionRecord Decision(std::int64_t offset, std::uint32_t part = 0, bool more = false) {
  v1::DecisionRecord record;
  record.mutable_event()->set_topic(kEvents);
  record.mutable_event()->set_offset(offset);
  record.set_part(part);
  record.set_more(more);
  return record;
}

AppendedPosition At(std::int64_t offset) {
  return {.topic = Topic::kSiteEvents, .partition = 0, .offset = offset};
}

class AnswerBookTest : public ::testing::Test {
 protected:
  void Await(std::uint64_t ticket, const std::vector<AppendedPosition>& positions) {
    book_.Await(
        ticket, positions, kDeadline,
        [this](Result<std::vector<RecordAnswer>> answers) {
          answers_.push_back(std::move(answers));
        },
        &due_);
    Call();
  }
  void Batch(const v1::JournalRecord& journal, std::vector<v1::DecisionRecord> decisions = {}) {
    book_.TakeBatch(journal, {.decisions = std::move(decisions)}, &due_);
    Call();
  }
  void Call() {
    for (auto& each : due_) {
      each.Call();
    }
    due_.clear();
  }

  AnswerBook book_{3, 10'000};
  std::vector<AnswerBook::Due> due_;
  std::vector<Result<std::vector<RecordAnswer>>> answers_;
};

TEST_F(AnswerBookTest, AnAnswerThatCameBeforeItWasAskedForIsKept) {
  const auto ticket = book_.OpenTicket();
  Batch(Journal(0, 2), {Decision(0), Decision(1)});
  Await(*ticket, {At(1), At(0)});
  ASSERT_THAT(answers_, SizeIs(1));
  ASSERT_THAT(answers_[0].value(), SizeIs(2));
  EXPECT_EQ(answers_[0].value()[0].decisions.at(0).event().offset(), 1);
  EXPECT_EQ(answers_[0].value()[1].decisions.at(0).event().offset(), 0);
  EXPECT_EQ(book_.kept_bytes(), 0U);
}

TEST_F(AnswerBookTest, AnAnswerThatComesLaterIsWaitedFor) {
  const auto ticket = book_.OpenTicket();
  Await(*ticket, {At(0), At(3), At(3)});
  EXPECT_TRUE(book_.IsWanted(0));
  EXPECT_FALSE(book_.IsWanted(1));
  Batch(Journal(0, 2), {Decision(0), Decision(1)});
  EXPECT_THAT(answers_, IsEmpty());
  Batch(Journal(2, 4), {Decision(2), Decision(3)});
  ASSERT_THAT(answers_, SizeIs(1));
  ASSERT_THAT(answers_[0].value(), SizeIs(3));
  EXPECT_EQ(answers_[0].value()[2].decisions.at(0).event().offset(), 3);
  EXPECT_FALSE(book_.IsWanted(0));
  EXPECT_EQ(book_.kept_bytes(), 0U);
}

TEST_F(AnswerBookTest, ALargeFanOutIsWholeWithItsLastPart) {
  const auto ticket = book_.OpenTicket();
  Await(*ticket, {At(0)});
  Batch(Journal(0, 1), {Decision(0, 0, true), Decision(0, 1, true)});
  EXPECT_THAT(answers_, IsEmpty());
  Batch(Journal(1, 1), {Decision(0, 2, true)});
  EXPECT_THAT(answers_, IsEmpty());
  Batch(Journal(1, 1), {Decision(0, 3, false)});
  ASSERT_THAT(answers_, SizeIs(1));
  EXPECT_THAT(answers_[0].value().at(0).decisions, SizeIs(4));
}

TEST_F(AnswerBookTest, ARecordWithoutOutputsHasAnEmptyAnswer) {
  const auto before = book_.OpenTicket();
  const auto after = book_.OpenTicket();
  Await(*before, {At(0)});
  Batch(Journal(0, 1));
  Await(*after, {At(0)});
  ASSERT_THAT(answers_, SizeIs(2));
  EXPECT_THAT(answers_[0].value().at(0).decisions, IsEmpty());
  EXPECT_THAT(answers_[1].value().at(0).decisions, IsEmpty());
}

TEST_F(AnswerBookTest, WhatWasDecidedBeforeTheTicketIsNotAnswered) {
  const auto other = book_.OpenTicket();
  Batch(Journal(0, 1));
  const auto ticket = book_.OpenTicket();
  Await(*ticket, {At(0)});
  EXPECT_THAT(answers_, IsEmpty());
  book_.Expire(kDeadline - 1us, &due_);
  Call();
  EXPECT_THAT(answers_, IsEmpty());
  book_.Expire(kDeadline, &due_);
  Call();
  ASSERT_THAT(answers_, SizeIs(1));
  EXPECT_EQ(answers_[0].error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(answers_[0].error().message(), HasSubstr("in time"));
  book_.CloseTicket(*other);
}

TEST_F(AnswerBookTest, TwoMayWaitForTheSameRecord) {
  const auto one = book_.OpenTicket();
  const auto two = book_.OpenTicket();
  const auto three = book_.OpenTicket();
  Await(*one, {At(0)});
  Await(*two, {At(0)});
  Batch(Journal(0, 1), {Decision(0)});
  Await(*three, {At(0)});
  ASSERT_THAT(answers_, SizeIs(3));
  for (const auto& answer : answers_) {
    EXPECT_THAT(answer.value().at(0).decisions, SizeIs(1));
  }
  EXPECT_EQ(book_.kept_bytes(), 0U);
}

TEST_F(AnswerBookTest, NothingIsKeptWithoutATicket) {
  EXPECT_FALSE(book_.IsWanted(0));
  const auto ticket = book_.OpenTicket();
  EXPECT_TRUE(book_.IsWanted(7));
  Batch(Journal(0, 1), {Decision(0)});
  EXPECT_GT(book_.kept_bytes(), 0U);
  book_.CloseTicket(*ticket);
  EXPECT_EQ(book_.kept_bytes(), 0U);
  EXPECT_FALSE(book_.IsWanted(7));
}

TEST_F(AnswerBookTest, TicketsAreLimitedUntilTheirWaitEnds) {
  const auto one = book_.OpenTicket();
  const auto two = book_.OpenTicket();
  ASSERT_TRUE(book_.OpenTicket().has_value());
  EXPECT_FALSE(book_.OpenTicket().has_value());
  Await(*one, {At(0)});
  EXPECT_FALSE(book_.OpenTicket().has_value());
  Batch(Journal(0, 1), {Decision(0)});
  ASSERT_TRUE(book_.OpenTicket().has_value());
  book_.CloseTicket(*two);
  EXPECT_TRUE(book_.OpenTicket().has_value());
}

TEST_F(AnswerBookTest, AnAnswerThatHadToGoIsNotReportedAsEmpty) {
  const auto ticket = book_.OpenTicket();
  auto large = Decision(0);
  large.set_event_type(std::string(9'000, 'x'));
  auto larger = Decision(1);
  larger.set_event_type(std::string(9'000, 'x'));
  Batch(Journal(0, 2), {large, larger});
  EXPECT_LE(book_.kept_bytes(), 10'000U);
  Await(*ticket, {At(0)});
  ASSERT_THAT(answers_, SizeIs(1));
  EXPECT_THAT(answers_[0].error().message(), HasSubstr("too many answers"));
}

TEST_F(AnswerBookTest, AnswersThatSomebodyWaitsForAreNoReasonToDropOthers) {
  const auto waits = book_.OpenTicket();
  const auto later = book_.OpenTicket();
  Await(*waits, {At(0), At(5)});
  auto large = Decision(0);
  large.set_event_type(std::string(20'000, 'x'));
  Batch(Journal(0, 2), {large, Decision(1)});
  EXPECT_LT(book_.kept_bytes(), 1'000U);
  Await(*later, {At(1)});
  ASSERT_THAT(answers_, SizeIs(1));
  ASSERT_TRUE(answers_[0].ok()) << answers_[0].error().message();
  EXPECT_THAT(answers_[0].value().at(0).decisions, SizeIs(1));
}

TEST_F(AnswerBookTest, AbandonedWaitsSayWhy) {
  const auto ticket = book_.OpenTicket();
  Await(*ticket, {At(0)});
  book_.Abandon("stopping", &due_);
  Call();
  ASSERT_THAT(answers_, SizeIs(1));
  EXPECT_EQ(answers_[0].error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(answers_[0].error().message(), "stopping");
}

}  // namespace
}  // namespace alertstream::api

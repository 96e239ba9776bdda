#include "projections/decisions.h"

#include <tuple>

#include <gtest/gtest.h>

#include "projections/dead_letters.h"
#include "projections/events.h"
#include "schemas/topics.h"
#include "tests/unit/projections/batch_builder.h"

namespace alertstream::projections {
namespace {

v1::DecisionRecord& AddRecord(BatchBuilder* builder, std::uint32_t part) {
  v1::DecisionRecord& record = builder->Decision();
  record.set_event_id(IdBytesOf('e'));
  record.set_tenant("acme");
  record.mutable_event()->set_topic(1);
  record.mutable_event()->set_partition(3);
  record.mutable_event()->set_offset(42);
  record.set_event_type("order.paid");
  record.set_site("shop");
  record.set_event_time_us(ToMicros(kNoon) - 5);
  record.set_append_time_us(ToMicros(kNoon) - 3);
  record.set_decided_at_us(ToMicros(kNoon));
  record.set_verdict(v1::EVENT_VERDICT_ACCEPTED);
  record.set_candidates(2);
  record.set_part(part);
  record.set_engine_version(2);
  return record;
}

TEST(EventsProjectionTest, AnEventHasOneRowHoweverManyPartsItsDecisionsTake) {
  BatchBuilder builder;
  AddRecord(&builder, 0);
  AddRecord(&builder, 1);
  EventsProjection events;
  events.Fold(builder.batch());
  ASSERT_EQ(events.made().size(), 1U);
  const EventRow& row = events.made()[0];
  EXPECT_EQ(row.tenant_id, "acme");
  EXPECT_EQ(row.id, FormatId(IdKind::kEvent, IdBytesOf('e')));
  EXPECT_EQ(row.type, "order.paid");
  EXPECT_EQ(row.topic, "site-events");
  EXPECT_EQ(row.partition, 3);
  EXPECT_EQ(row.offset, 42);
  EXPECT_EQ(row.verdict, "accepted");
  EXPECT_EQ(row.append_time, kNoon - std::chrono::microseconds(3));
  EXPECT_EQ(row.duplicate_of, std::nullopt);
  EXPECT_EQ(row.seq, 7);
  std::vector<LogTime> months;
  events.VisitMonths([&](LogTime time) { months.push_back(time); });
  EXPECT_EQ(months, std::vector<LogTime>{row.append_time});
}

TEST(EventsProjectionTest, ADuplicateNamesTheFirst) {
  BatchBuilder builder;
  v1::DecisionRecord& record = AddRecord(&builder, 0);
  record.set_verdict(v1::EVENT_VERDICT_DUPLICATE);
  record.set_duplicate_of(IdBytesOf('f'));
  EventsProjection events;
  events.Fold(builder.batch());
  EXPECT_EQ(events.made()[0].verdict, "duplicate");
  EXPECT_EQ(events.made()[0].duplicate_of, FormatId(IdKind::kEvent, IdBytesOf('f')));
}

TEST(DecisionsProjectionTest, EveryDecisionOfEveryPartIsARow) {
  BatchBuilder builder;
  v1::Decision* send = AddRecord(&builder, 0).add_decisions();
  send->set_id(IdBytesOf('d'));
  send->set_trigger_id("paid");
  send->set_trigger_version(4);
  send->set_recipient_token(IdBytesOf('r'));
  send->set_channel(v1::CHANNEL_SMS);
  send->set_outcome(v1::OUTCOME_SEND);
  send->set_notification_id(IdBytesOf('d'));
  send->set_message_class(v1::MESSAGE_CLASS_TRANSACTIONAL);
  v1::Decision* fail = AddRecord(&builder, 1).add_decisions();
  fail->set_id(IdBytesOf('g'));
  fail->set_trigger_id("paid");
  fail->set_channel(v1::CHANNEL_SMS);
  fail->set_outcome(v1::OUTCOME_FAIL);
  fail->set_reason(v1::REASON_RECIPIENT_ABSENT);
  DecisionsProjection decisions;
  decisions.Fold(builder.batch());
  ASSERT_EQ(decisions.made().size(), 2U);
  EXPECT_EQ(decisions.made()[0].outcome, "send");
  EXPECT_EQ(decisions.made()[0].reason, std::nullopt);
  EXPECT_EQ(decisions.made()[0].recipient, FormatId(IdKind::kRecipient, IdBytesOf('r')));
  EXPECT_EQ(decisions.made()[0].notification_id, FormatId(IdKind::kNotification, IdBytesOf('d')));
  EXPECT_EQ(decisions.made()[0].trigger_version, 4);
  EXPECT_EQ(decisions.made()[1].outcome, "fail");
  EXPECT_EQ(decisions.made()[1].reason, "recipient_absent");
  EXPECT_EQ(decisions.made()[1].recipient, std::nullopt);
  EXPECT_EQ(decisions.made()[1].event_id, FormatId(IdKind::kEvent, IdBytesOf('e')));
  decisions.Clear();
  EXPECT_EQ(decisions.rows(), 0U);
}

TEST(DeadLettersProjectionTest, ARecordOfNobodyKnownHasAnEmptyTenant) {
  BatchBuilder builder;
  v1::DeadLetter& letter = builder.DeadLetter();
  letter.set_id(IdBytesOf('l'));
  letter.mutable_record()->set_topic(1);
  letter.mutable_record()->set_partition(3);
  letter.mutable_record()->set_offset(5);
  letter.set_stage(v1::DEAD_LETTER_STAGE_ROUTING);
  letter.set_reason(v1::DEAD_LETTER_REASON_INVALID_KEY);
  letter.set_detail(std::string("key: a\0b", 8));
  letter.mutable_original()->set_plain("bytes");
  DeadLettersProjection letters;
  letters.Fold(builder.batch());
  ASSERT_EQ(letters.made().size(), 1U);
  const DeadLetterRow& row = letters.made()[0];
  EXPECT_EQ(row.tenant_id, "");
  EXPECT_EQ(row.id, FormatId(IdKind::kDeadLetter, IdBytesOf('l')));
  EXPECT_EQ(row.stage, "routing");
  EXPECT_EQ(row.reason, "invalid_key");
  EXPECT_EQ(row.detail,
            "key: a\xE2\x90\x80"
            "b");
  EXPECT_EQ(row.original_sealed, letter.original().SerializeAsString());
}

v1::Fact& FactOf(BatchBuilder* builder, v1::DeadLetterStatus status, std::uint32_t retries) {
  v1::Fact& fact = builder->Fact();
  fact.set_actor("usr_1");
  fact.set_reason("the site is back");
  fact.mutable_dead_letter()->set_id(IdBytesOf('l'));
  fact.mutable_dead_letter()->set_status(status);
  fact.mutable_dead_letter()->set_retries(retries);
  return fact;
}

TEST(DeadLettersProjectionTest, TheNewestAcceptedActionIsKept) {
  BatchBuilder builder;
  FactOf(&builder, v1::DEAD_LETTER_STATUS_FAILED_AGAIN, 1)
      .mutable_dead_letter()
      ->set_died_as(IdBytesOf('m'));
  FactOf(&builder, v1::DEAD_LETTER_STATUS_RESOLVED, 2);
  FactOf(&builder, v1::DEAD_LETTER_STATUS_DROPPED, 3).set_result(v1::FACT_RESULT_REJECTED);
  builder.DeadLetter().set_retry_of(IdBytesOf('l'));
  DeadLettersProjection letters;
  letters.Fold(builder.batch());
  EXPECT_EQ(letters.made()[0].retry_of, FormatId(IdKind::kDeadLetter, IdBytesOf('l')));
  ASSERT_EQ(letters.acts().size(), 1U);
  const DeadLetterAct& act = letters.acts()[0];
  EXPECT_EQ(act.tenant_id, "acme");
  EXPECT_EQ(act.id, FormatId(IdKind::kDeadLetter, IdBytesOf('l')));
  EXPECT_EQ(act.status, "resolved");
  EXPECT_EQ(act.retries, 2);
  EXPECT_EQ(act.acted_by, "usr_1");
  EXPECT_EQ(act.acted_reason, "the site is back");
  EXPECT_EQ(act.died_as, std::nullopt);
  EXPECT_FALSE(act.purged);
  EXPECT_EQ(letters.rows(), 2U);
  letters.Clear();
  EXPECT_EQ(letters.rows(), 0U);
}

// The rest of an event's fan-out died once more.
TEST(DeadLettersProjectionTest, ALetterThatComesAgainIsOneRowAndOpen) {
  DeadLettersProjection letters;
  BatchBuilder first(7);
  v1::DeadLetter& before = first.DeadLetter();
  before.set_tenant("acme");
  before.set_id(IdBytesOf('l'));
  before.set_detail("one");
  before.mutable_original()->set_plain("bytes");
  before.set_retry_of(IdBytesOf('k'));
  letters.Fold(first.batch());
  BatchBuilder retried(8);
  FactOf(&retried, v1::DEAD_LETTER_STATUS_RESOLVED, 1)
      .mutable_dead_letter()
      ->set_action(v1::DEAD_LETTER_ACTION_KIND_RETRY);
  letters.Fold(retried.batch());
  BatchBuilder again(9);
  v1::DeadLetter& after = again.DeadLetter();
  after.set_tenant("acme");
  after.set_id(IdBytesOf('l'));
  after.set_detail("two");
  after.mutable_original()->set_plain("more bytes");
  letters.Fold(again.batch());
  ASSERT_EQ(letters.made().size(), 1U);
  EXPECT_EQ(letters.made()[0].detail, "two");
  EXPECT_EQ(letters.made()[0].original_sealed, after.original().SerializeAsString());
  EXPECT_EQ(letters.made()[0].retry_of, FormatId(IdKind::kDeadLetter, IdBytesOf('k')));
  EXPECT_EQ(letters.made()[0].seq, 9);
  ASSERT_EQ(letters.acts().size(), 1U);
  EXPECT_EQ(letters.acts()[0].status, "open");
  EXPECT_EQ(letters.acts()[0].retries, 1);
  EXPECT_EQ(letters.acts()[0].seq, 9);
}

// In one batch accounts change before timers fire, and events are decided after them.
TEST(DeadLettersProjectionTest, ARetryInTheBatchOfALetterIsLaterAndADropEarlier) {
  for (const auto& [kind, status, expected] :
       {std::tuple(v1::DEAD_LETTER_ACTION_KIND_RETRY, v1::DEAD_LETTER_STATUS_RESOLVED, "resolved"),
        std::tuple(v1::DEAD_LETTER_ACTION_KIND_DROP, v1::DEAD_LETTER_STATUS_DROPPED, "open")}) {
    BatchBuilder builder;
    FactOf(&builder, status, 1).mutable_dead_letter()->set_action(kind);
    v1::DeadLetter& letter = builder.DeadLetter();
    letter.set_id(IdBytesOf('l'));
    letter.set_tenant("acme");
    DeadLettersProjection letters;
    letters.Fold(builder.batch());
    ASSERT_EQ(letters.acts().size(), 1U);
    EXPECT_EQ(letters.acts()[0].status, expected);
  }
}

TEST(DeadLettersProjectionTest, OneOfNobodyKnownIsLookedForUnderBothNames) {
  BatchBuilder builder;
  FactOf(&builder, v1::DEAD_LETTER_STATUS_PURGED, 0).set_tenant(std::string(schemas::kUnroutedKey));
  DeadLettersProjection letters;
  letters.Fold(builder.batch());
  ASSERT_EQ(letters.acts().size(), 2U);
  EXPECT_EQ(letters.acts()[0].tenant_id, schemas::kUnroutedKey);
  EXPECT_EQ(letters.acts()[1].tenant_id, "");
  EXPECT_TRUE(letters.acts()[1].purged);
}

}  // namespace
}  // namespace alertstream::projections

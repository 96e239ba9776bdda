#include "projections/notifications.h"

#include <gtest/gtest.h>

#include "projections/attempts.h"
#include "tests/unit/projections/batch_builder.h"

namespace alertstream::projections {
namespace {

v1::NotificationCommand& AddCommand(BatchBuilder* builder, std::uint32_t attempt) {
  v1::NotificationCommand& command = builder->Command();
  command.set_notification_id(IdBytesOf('n'));
  command.set_kind(v1::COMMAND_KIND_SEND);
  command.set_tenant("acme");
  command.set_event_id(IdBytesOf('e'));
  command.set_decision_id(IdBytesOf('n'));
  command.set_trigger_id("paid");
  command.set_trigger_version(1);
  command.set_recipient_token(IdBytesOf('r'));
  command.set_channel(v1::CHANNEL_SMS);
  command.set_message_class(v1::MESSAGE_CLASS_TRANSACTIONAL);
  command.mutable_to()->set_plain("+254700000001");
  command.mutable_body()->set_plain("Hello");
  command.set_provider("twilio");
  command.set_account("AC1");
  command.set_attempt(attempt);
  command.set_decided_at_us(ToMicros(builder->batch().now));
  command.set_expires_at_us(ToMicros(kNoon) + 1000);
  return command;
}

v1::NotificationFact& AddFact(BatchBuilder* builder, v1::NotificationStatus status, bool changed) {
  v1::NotificationFact* about = builder->Fact().mutable_notification();
  about->set_notification_id(IdBytesOf('n'));
  about->set_status(status);
  about->set_changed(changed);
  about->set_attempt(1);
  return *about;
}

TEST(NotificationsProjectionTest, AFirstCommandIsANewRow) {
  BatchBuilder builder;
  AddCommand(&builder, 1);
  NotificationsProjection notifications;
  notifications.Fold(builder.batch());
  ASSERT_EQ(notifications.made().size(), 1U);
  const NotificationRow& row = notifications.made()[0];
  EXPECT_EQ(row.id, FormatId(IdKind::kNotification, IdBytesOf('n')));
  EXPECT_EQ(row.kind, "send");
  EXPECT_EQ(row.to_masked, "+254700***001");
  EXPECT_EQ(row.created_at, kNoon);
  v1::Personal to;
  ASSERT_TRUE(to.ParseFromString(*row.to_sealed));
  EXPECT_EQ(to.plain(), "+254700000001");
  ASSERT_EQ(notifications.changes().size(), 1U);
  EXPECT_EQ(notifications.changes()[0].timeline,
            R"({"status":"commanded","at":"2026-11-20T12:00:00Z","attempt":1})");
}

TEST(NotificationsProjectionTest, AConfirmationHasNeitherEventNorTrigger) {
  BatchBuilder builder;
  v1::NotificationCommand& command = AddCommand(&builder, 1);
  command.set_kind(v1::COMMAND_KIND_CONFIRMATION);
  command.clear_event_id();
  command.clear_decision_id();
  command.clear_trigger_id();
  command.clear_trigger_version();
  NotificationsProjection notifications;
  notifications.Fold(builder.batch());
  EXPECT_EQ(notifications.made()[0].kind, "confirmation");
  EXPECT_EQ(notifications.made()[0].event_id, std::nullopt);
  EXPECT_EQ(notifications.made()[0].trigger_id, std::nullopt);
  EXPECT_EQ(notifications.made()[0].trigger_version, std::nullopt);
}

TEST(NotificationsProjectionTest, FactsOfSeveralBatchesAreMergedIntoOneChange) {
  BatchBuilder first(7);
  v1::NotificationFact& accepted = AddFact(&first, v1::NOTIFICATION_STATUS_ACCEPTED, true);
  accepted.set_provider_message_id("SM1");
  accepted.set_result(v1::ATTEMPT_CLASS_ACCEPTED);
  BatchBuilder second(9, kNoon + std::chrono::seconds(2));
  AddFact(&second, v1::NOTIFICATION_STATUS_DELIVERED, true).set_attempt(0);
  NotificationsProjection notifications;
  notifications.Fold(first.batch());
  notifications.Fold(second.batch());
  EXPECT_TRUE(notifications.made().empty());
  ASSERT_EQ(notifications.changes().size(), 1U);
  const NotificationChange& change = notifications.changes()[0];
  EXPECT_EQ(change.is_new, std::nullopt);
  EXPECT_EQ(change.status, "delivered");
  EXPECT_EQ(change.provider_message_id, "SM1");
  EXPECT_EQ(change.attempts, 1);
  EXPECT_EQ(change.seq, 9);
  EXPECT_EQ(change.updated_at, kNoon + std::chrono::seconds(2));
  EXPECT_EQ(change.timeline,
            R"({"status":"accepted","at":"2026-11-20T12:00:00Z","attempt":1,"result":"accepted"},)"
            R"({"status":"delivered","at":"2026-11-20T12:00:02Z"})");
}

TEST(NotificationsProjectionTest, AResultThatChangesNothingKeepsTheStatusAndTellsOfTheRetry) {
  BatchBuilder builder;
  v1::NotificationFact& retry = AddFact(&builder, v1::NOTIFICATION_STATUS_STARTED, false);
  retry.set_result(v1::ATTEMPT_CLASS_RETRY);
  retry.set_error_code("30001");
  retry.set_retry_at_us(ToMicros(kNoon) + 60'000'000);
  AddFact(&builder, v1::NOTIFICATION_STATUS_STARTED, false);
  NotificationsProjection notifications;
  notifications.Fold(builder.batch());
  const NotificationChange& change = notifications.changes()[0];
  EXPECT_EQ(change.status, std::nullopt);
  EXPECT_TRUE(change.sets_error);
  EXPECT_EQ(change.error_code, "30001");
  EXPECT_EQ(change.timeline,
            R"({"status":"started","at":"2026-11-20T12:00:00Z","attempt":1,"result":"retry",)"
            R"("error_code":"30001","retry_at":"2026-11-20T12:01:00Z"})");
}

TEST(NotificationsProjectionTest, RejectedFactsAndCancelsChangeNoRow) {
  BatchBuilder builder;
  AddCommand(&builder, 1).set_kind(v1::COMMAND_KIND_CANCEL);
  AddFact(&builder, v1::NOTIFICATION_STATUS_DELIVERED, true);
  const_cast<v1::Fact*>(builder.batch().facts[0])->set_result(v1::FACT_RESULT_REJECTED);
  NotificationsProjection notifications;
  notifications.Fold(builder.batch());
  EXPECT_EQ(notifications.rows(), 0U);
}

// An attempt's record and its fact.
void AddAttempt(BatchBuilder* builder, std::int64_t offset, v1::AttemptPhase phase,
                v1::AttemptClass result) {
  v1::Fact& fact = builder->Fact();
  fact.mutable_notification()->set_notification_id(IdBytesOf('n'));
  auto* attempt =
      builder->Cause(schemas::Topic::kDeliveryAttempts, offset, &fact).mutable_delivery_attempt();
  attempt->set_attempt(1);
  attempt->set_phase(phase);
  attempt->set_result(result);
  attempt->set_provider("twilio");
  attempt->set_account("AC1");
  attempt->set_at_us(ToMicros(kNoon) + offset);
}

TEST(AttemptsProjectionTest, StartAndResultAreOneRow) {
  BatchBuilder builder;
  AddAttempt(&builder, 1, v1::ATTEMPT_PHASE_STARTED, v1::ATTEMPT_CLASS_UNSPECIFIED);
  AddAttempt(&builder, 2, v1::ATTEMPT_PHASE_RESULT, v1::ATTEMPT_CLASS_ACCEPTED);
  AttemptsProjection attempts;
  attempts.Fold(builder.batch());
  ASSERT_EQ(attempts.made().size(), 1U);
  const AttemptRow& row = attempts.made()[0];
  EXPECT_EQ(row.attempt, 1);
  EXPECT_EQ(row.started_at, kNoon + std::chrono::microseconds(1));
  EXPECT_EQ(row.finished_at, kNoon + std::chrono::microseconds(2));
  EXPECT_EQ(row.result, "accepted");
  EXPECT_EQ(row.account, "AC1");
}

TEST(AttemptsProjectionTest, TheFirstDefiniteResultStaysAndAmbiguousGivesWay) {
  struct Case {
    v1::AttemptClass first;
    v1::AttemptClass second;
    const char* result;
  };
  for (const Case& c : {Case{v1::ATTEMPT_CLASS_AMBIGUOUS, v1::ATTEMPT_CLASS_ACCEPTED, "accepted"},
                        {v1::ATTEMPT_CLASS_ACCEPTED, v1::ATTEMPT_CLASS_AMBIGUOUS, "accepted"},
                        {v1::ATTEMPT_CLASS_RETRY, v1::ATTEMPT_CLASS_ACCEPTED, "retry"}}) {
    BatchBuilder builder;
    AddAttempt(&builder, 1, v1::ATTEMPT_PHASE_RESULT, c.first);
    AddAttempt(&builder, 2, v1::ATTEMPT_PHASE_RESULT, c.second);
    AttemptsProjection attempts;
    attempts.Fold(builder.batch());
    EXPECT_EQ(attempts.made()[0].result, c.result);
  }
}

TEST(AttemptsProjectionTest, WhatWasNeverCalledSaysWhy) {
  BatchBuilder builder;
  AddAttempt(&builder, 1, v1::ATTEMPT_PHASE_CANCELLED, v1::ATTEMPT_CLASS_UNSPECIFIED);
  AttemptsProjection attempts;
  attempts.Fold(builder.batch());
  EXPECT_EQ(attempts.made()[0].result, "cancelled");
  EXPECT_EQ(attempts.made()[0].started_at, std::nullopt);
}

TEST(AttemptsProjectionTest, AReceiptIsNoAttempt) {
  BatchBuilder builder;
  v1::Fact& fact = builder.Fact();
  fact.mutable_notification()->set_notification_id(IdBytesOf('n'));
  fact.mutable_cause()->set_topic(static_cast<std::uint32_t>(schemas::Topic::kDeliveryReceipts));
  AttemptsProjection attempts;
  attempts.Fold(builder.batch());
  EXPECT_EQ(attempts.rows(), 0U);
}

}  // namespace
}  // namespace alertstream::projections

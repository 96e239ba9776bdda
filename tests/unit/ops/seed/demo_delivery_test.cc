#include "ops/seed/demo_delivery.h"

#include <map>
#include <string>

#include <gtest/gtest.h>

#include "ops/seed/demo_history.h"
#include "schemas/envelope_check.h"
#include "schemas/topics.h"

namespace alertstream::seed {
namespace {

constexpr LogTime kAt = FromMicros(1'795'176'000'000'000);

v1::NotificationCommand CommandTo(const std::string& phone, std::uint32_t attempt = 1) {
  v1::NotificationCommand command;
  command.set_notification_id(std::string(16, 'n'));
  command.set_tenant(std::string(kTenant));
  command.mutable_to()->set_plain(phone);
  command.set_provider(std::string(kProvider));
  command.set_account(std::string(kAccount));
  command.set_trigger_id("paid");
  command.set_attempt(attempt);
  command.set_decided_at_us(ToMicros(kAt));
  return command;
}

v1::AttemptClass ResultOf(const DemoProvider& provider, const v1::NotificationCommand& command) {
  return provider.Attempt(command, kAt).back().delivery_attempt().result();
}

TEST(DemoProviderTest, AnAttemptIsStartedAndThenHasAResult) {
  const DemoProvider provider(1, {});
  const auto told = provider.Attempt(CommandTo(PhoneOf(0)), kAt);
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0].delivery_attempt().phase(), v1::ATTEMPT_PHASE_STARTED);
  EXPECT_EQ(told[1].delivery_attempt().phase(), v1::ATTEMPT_PHASE_RESULT);
  EXPECT_GT(told[1].delivery_attempt().at_us(), told[0].delivery_attempt().at_us());
  for (const auto& envelope : told) {
    const auto fault = schemas::CheckEnvelope(schemas::Topic::kDeliveryAttempts, kTenant, envelope);
    EXPECT_FALSE(fault.has_value()) << fault->detail;
  }
}

TEST(DemoProviderTest, OutcomesComeInTheirShares) {
  const DemoProvider provider(1, {});
  std::map<v1::AttemptClass, int> classes;
  std::map<std::string, int> ends;
  for (int i = 0; i < 5000; ++i) {
    auto command = CommandTo(PhoneOf(static_cast<std::size_t>(i) % kCustomers));
    command.set_decided_at_us(ToMicros(kAt) + i);
    ++classes[ResultOf(provider, command)];
    const auto receipts = provider.Receipts(command, kAt);
    ++ends[receipts.empty() ? "" : receipts.back().delivery_receipt().provider_status()];
  }
  EXPECT_EQ(classes.size(), 2U);
  EXPECT_NEAR(classes[v1::ATTEMPT_CLASS_RETRY], 75, 40);
  EXPECT_EQ(ends[""], classes[v1::ATTEMPT_CLASS_RETRY]) << "no receipt without acceptance";
  EXPECT_NEAR(ends["undelivered"], 150, 60);
  EXPECT_GT(ends["delivered"], 4500);
}

TEST(DemoProviderTest, ALandlineIsRefusedForGood) {
  const DemoProvider provider(1, {PhoneOf(7)});
  const auto told = provider.Attempt(CommandTo(PhoneOf(7)), kAt);
  EXPECT_EQ(told.back().delivery_attempt().result(), v1::ATTEMPT_CLASS_PERM_ADDRESS);
  EXPECT_EQ(told.back().delivery_attempt().error_code(), "21614");
  EXPECT_TRUE(provider.Receipts(CommandTo(PhoneOf(7)), kAt).empty());
  EXPECT_NE(ResultOf(provider, CommandTo(PhoneOf(8))), v1::ATTEMPT_CLASS_PERM_ADDRESS);
}

TEST(DemoProviderTest, ASecondAttemptIsAccepted) {
  const DemoProvider provider(1, {});
  for (int i = 0; i < 2000; ++i) {
    auto command = CommandTo(PhoneOf(3), 2);
    command.set_decided_at_us(ToMicros(kAt) + i);
    ASSERT_EQ(ResultOf(provider, command), v1::ATTEMPT_CLASS_ACCEPTED) << i;
  }
}

TEST(DemoProviderTest, OutcomesDoNotDependOnIds) {
  const DemoProvider provider(1, {});
  for (int i = 0; i < 500; ++i) {
    auto command = CommandTo(PhoneOf(3));
    command.set_decided_at_us(ToMicros(kAt) + i);
    const auto before = ResultOf(provider, command);
    command.set_notification_id(std::string(16, 'x'));
    ASSERT_EQ(ResultOf(provider, command), before) << i;
  }
}

TEST(DemoProviderTest, ReceiptsAreTheProvidersAndTellOneMessage) {
  const DemoProvider provider(1, {});
  const auto command = CommandTo(PhoneOf(0));
  const auto receipts = provider.Receipts(command, kAt);
  ASSERT_EQ(receipts.size(), 2U);
  const std::string sid =
      provider.Attempt(command, kAt).back().delivery_attempt().provider_message_id();
  EXPECT_EQ(sid.size(), 34U);
  EXPECT_EQ(receipts[0].id(), sid + ":sent");
  EXPECT_EQ(receipts[1].id(), sid + ":delivered");
  for (const auto& envelope : receipts) {
    EXPECT_EQ(envelope.trust(), v1::TRUST_WEBHOOK);
    EXPECT_EQ(envelope.delivery_receipt().provider_message_id(), sid);
    const auto fault = schemas::CheckEnvelope(schemas::Topic::kDeliveryReceipts, kTenant, envelope);
    EXPECT_FALSE(fault.has_value()) << fault->detail;
  }
}

}  // namespace
}  // namespace alertstream::seed

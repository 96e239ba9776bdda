// Attempts, retries, receipts and what takes a notification back.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/engine/notifications.h"
#include "processor/engine/state_keys.h"
#include "tests/support/fold_harness.h"

namespace alertstream::engine {
namespace {

using schemas::Topic;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

constexpr std::string_view kPhone = "+254700000001";
constexpr LogDuration kMaxAge = 24h;

std::string Word(std::string_view name, std::string_view prefix) {
  return std::string(name.substr(prefix.size() + 1));
}

std::string StatusName(v1::NotificationStatus status) {
  return Word(v1::NotificationStatus_Name(status), "NOTIFICATION_STATUS");
}

class DeliveriesTest : public ::testing::Test {
 protected:
  DeliveriesTest() {
    fold_.AddTenant();
    AddTrigger("t", "TRANSACTIONAL");
    fold_.Run();
  }

  void AddTrigger(std::string_view id, std::string_view message_class) {
    fold_.Change(fmt::format(
        R"({{"trigger":{{"id":"{}","event_type":"order","channel":"CHANNEL_SMS","enabled":true,)"
        R"("recipients":{{"field":"data.phone"}},"template_body":"Hi {{{{data.n}}}}",)"
        R"("message_class":"MESSAGE_CLASS_{}"}}}})",
        id, message_class));
  }

  void Consent(std::string_view message_class, std::string_view status = "GRANTED") {
    fold_.Add(Topic::kConsentChanges,
              fmt::format(R"({{"consent_change":{{"address":{{"plain":"{}"}},)"
                          R"("address_kind":"ADDRESS_KIND_PHONE","channel":"CHANNEL_SMS",)"
                          R"("message_class":"MESSAGE_CLASS_{}","status":"CONSENT_STATUS_{}",)"
                          R"("evidence":{{"kind":"paper","written":true}}}}}})",
                          kPhone, message_class, status));
  }

  void OptOut(std::string_view channel = "SMS") {
    fold_.Add(Topic::kOptOuts,
              fmt::format(R"({{"opt_out_change":{{"address":{{"plain":"{}"}},)"
                          R"("address_kind":"ADDRESS_KIND_PHONE","channel":"CHANNEL_{}",)"
                          R"("status":"OPT_OUT_STATUS_ACTIVE","by":"OPT_OUT_BY_API"}}}})",
                          kPhone, channel));
  }

  void Inbound(std::string_view text) {
    fold_.Add(Topic::kInboundMessages,
              fmt::format(R"({{"inbound_message":{{"from":{{"plain":"{}"}},)"
                          R"("from_kind":"ADDRESS_KIND_PHONE","channel":"CHANNEL_SMS",)"
                          R"("body":{{"plain":"{}"}},"provider":"fake","account":"second",)"
                          R"("to_number":"+15005550009"}}}})",
                          kPhone, text));
  }

  // The command of an event to the phone.
  v1::NotificationCommand Send() {
    fold_.Event(fmt::format(R"({{"phone":"{}","n":7}})", kPhone));
    const Outputs outputs = fold_.Run();
    EXPECT_EQ(outputs.commands.size(), 1U);
    return outputs.commands.empty() ? v1::NotificationCommand() : outputs.commands[0];
  }

  static std::string IdOf(const v1::NotificationCommand& command) {
    return FormatId(IdKind::kNotification, command.notification_id());
  }

  void AddAttempt(const v1::NotificationCommand& command, std::string_view phase,
                  std::string_view more = "") {
    fold_.Add(Topic::kDeliveryAttempts,
              fmt::format(R"({{"type":"delivery.attempt","delivery_attempt":{{)"
                          R"("notification_id":"{}","attempt":{},"phase":"ATTEMPT_PHASE_{}"{}}}}})",
                          IdOf(command), command.attempt(), phase, more));
  }

  // What the dispatcher sends along with a result that may be followed.
  static std::string ContentOf(const v1::NotificationCommand& command) {
    return fmt::format(
        R"(,"provider":"{}","account":"{}","content":{{"to":{{"plain":"{}"}},)"
        R"("body":{{"plain":"{}"}},"sender_id":"{}","from_number":"{}","segments":{},)"
        R"("trigger_version":{}}})",
        command.provider(), command.account(), command.to().plain(), command.body().plain(),
        command.sender_id(), command.from_number(), command.segments(), command.trigger_version());
  }

  void AddResult(const v1::NotificationCommand& command, std::string_view result,
                 LogDuration retry_after = {}) {
    AddAttempt(command, "RESULT",
               fmt::format(R"(,"result":"ATTEMPT_CLASS_{}","error_code":"e","retry_after_us":{}{})",
                           result, retry_after.count(), ContentOf(command)));
  }

  void AddReceipt(const v1::NotificationCommand& command, std::string_view status) {
    fold_.Add(Topic::kDeliveryReceipts,
              fmt::format(R"({{"type":"delivery.receipt","delivery_receipt":{{)"
                          R"("notification_id":"{}","status":"RECEIPT_STATUS_{}"}}}})",
                          IdOf(command), status));
  }

  Outputs Result(const v1::NotificationCommand& command, std::string_view result,
                 LogDuration retry_after = {}) {
    AddResult(command, result, retry_after);
    return fold_.Run();
  }

  v1::NotificationState StateOf(const v1::NotificationCommand& command) {
    v1::NotificationState state;
    const auto bytes =
        fold_.map().Get(StateKey("acme", Table::kNotification).Bytes(command.notification_id()));
    EXPECT_TRUE(bytes && state.ParseFromArray(bytes->data(), static_cast<int>(bytes->size())));
    return state;
  }

  std::string Status(const v1::NotificationCommand& command) {
    return StatusName(StateOf(command).status());
  }

  // The next attempt, which is due exactly so long from now.
  v1::NotificationCommand CommandAfter(LogDuration wait) {
    fold_.Advance(wait - 1us);
    EXPECT_THAT(fold_.Run().commands, IsEmpty());
    fold_.Advance(1us);
    const Outputs outputs = fold_.Run();
    EXPECT_EQ(outputs.commands.size(), 1U);
    return outputs.commands.empty() ? v1::NotificationCommand() : outputs.commands[0];
  }

  void ExpectNothingFollows(LogDuration within = 24h * 8) {
    fold_.Advance(within);
    EXPECT_THAT(fold_.Run().commands, IsEmpty());
  }

  FoldHarness fold_;
};

// "STARTED attempt 1 RETRY +", with '+' if the status changed; of the notification facts.
std::vector<std::string> Told(const Outputs& outputs) {
  std::vector<std::string> told;
  for (const auto& fact : outputs.facts) {
    if (fact.has_notification()) {
      const auto& of = fact.notification();
      told.push_back(fmt::format(
          "{} attempt {}{}{}{}", StatusName(of.status()), of.attempt(), of.result() == 0 ? "" : " ",
          of.result() == 0 ? "" : Word(v1::AttemptClass_Name(of.result()), "ATTEMPT_CLASS"),
          of.changed() ? " +" : ""));
    }
  }
  return told;
}

std::vector<std::string> Kinds(const Outputs& outputs) {
  std::vector<std::string> kinds;
  for (const auto& command : outputs.commands) {
    kinds.push_back(fmt::format("{} {}", Word(v1::CommandKind_Name(command.kind()), "COMMAND_KIND"),
                                command.attempt()));
  }
  return kinds;
}

bool HoldsContent(const v1::NotificationState& state) {
  return state.has_to() || state.has_body() ||
         state.sender_id() + state.provider() + state.account() + state.from_number() != "";
}

TEST_F(DeliveriesTest, AnAcceptedMessageIsSettledAndForgotten) {
  const auto command = Send();
  AddAttempt(command, "STARTED");
  EXPECT_THAT(Told(fold_.Run()), ElementsAre("STARTED attempt 1 +"));
  EXPECT_THAT(Told(Result(command, "ACCEPTED")), ElementsAre("ACCEPTED attempt 1 ACCEPTED +"));
  EXPECT_FALSE(HoldsContent(StateOf(command)));
  ExpectNothingFollows();
}

TEST_F(DeliveriesTest, TheStateHoldsAMessageOnlyWhileItWaitsForItsNextAttempt) {
  const auto command = Send();
  EXPECT_FALSE(HoldsContent(StateOf(command)));
  Result(command, "RETRY");
  EXPECT_EQ(StateOf(command).body().plain(), "Hi 7");
  EXPECT_EQ(StateOf(command).to().plain(), kPhone);
  const auto again = CommandAfter(BackoffOf(command.notification_id(), 1));
  EXPECT_EQ(again.body().plain(), "Hi 7");
  EXPECT_FALSE(HoldsContent(StateOf(command)));
}

TEST_F(DeliveriesTest, WithoutItsContentNothingIsSentAgain) {
  const auto retried = Send();
  AddAttempt(retried, "RESULT", R"(,"result":"ATTEMPT_CLASS_RETRY")");
  EXPECT_THAT(Told(fold_.Run()), ElementsAre("FAILED attempt 1 RETRY +"));
  fold_.Event(fmt::format(R"({{"phone":"{}","n":8}})", kPhone));
  const auto unknown = fold_.Run().commands.at(0);
  AddAttempt(unknown, "RESULT", R"(,"result":"ATTEMPT_CLASS_AMBIGUOUS")");
  EXPECT_THAT(Told(fold_.Run()), ElementsAre("UNKNOWN_OUTCOME attempt 1 AMBIGUOUS +"));
  ExpectNothingFollows();
}

TEST_F(DeliveriesTest, OnlyAResultBringsContent) {
  const auto command = Send();
  for (const auto& [phase, more, dead_letter] :
       std::vector<std::tuple<std::string, std::string, std::string>>{
           {"STARTED", ContentOf(command), "SCHEMA FIELD_INVALID"},
           {"RESULT", R"(,"result":"ATTEMPT_CLASS_RETRY","content":{"to":{"plain":"+1"}})",
            "SCHEMA FIELD_MISSING"},
           {"RESULT", R"(,"result":"ATTEMPT_CLASS_RETRY","content":{"body":{"plain":"x"}})",
            "SCHEMA FIELD_MISSING"},
           {"RESULT",
            fmt::format(R"(,"result":"ATTEMPT_CLASS_RETRY","content":{{"to":{{"plain":"+1"}},)"
                        R"("body":{{"plain":"{}"}}}})",
                        std::string(schemas::kMessageBodyBytesMax + 1, 'x')),
            "SCHEMA FIELD_TOO_LONG"}}) {
    AddAttempt(command, phase, more);
    EXPECT_THAT(DeadLetters(fold_.Run()), ElementsAre(dead_letter)) << phase << more.substr(0, 80);
  }
}

TEST_F(DeliveriesTest, VersionTwoKeepsTheMessageFromItsCommandOn) {
  fold_.set_engine_version(2);
  const auto command = Send();
  EXPECT_EQ(StateOf(command).body().plain(), "Hi 7");
  AddAttempt(command, "RESULT", R"(,"result":"ATTEMPT_CLASS_RETRY")");
  EXPECT_THAT(Told(fold_.Run()), ElementsAre("STARTED attempt 1 RETRY +"));
  const auto again = CommandAfter(BackoffOf(command.notification_id(), 1));
  EXPECT_TRUE(HoldsContent(StateOf(command)));
  // The version goes up while it is out.
  fold_.set_engine_version(3);
  AddAttempt(again, "RESULT", R"(,"result":"ATTEMPT_CLASS_RETRY")");
  EXPECT_THAT(Told(fold_.Run()), ElementsAre("STARTED attempt 2 RETRY"));
  EXPECT_EQ(CommandAfter(BackoffOf(command.notification_id(), 2)).body().plain(), "Hi 7");
  EXPECT_FALSE(HoldsContent(StateOf(command)));
  // What version 2 left in the fold's memory reaches no new notification.
  fold_.Event(fmt::format(R"({{"phone":"{}","n":9}})", kPhone));
  EXPECT_FALSE(HoldsContent(StateOf(fold_.Run().commands.at(0))));
}

TEST_F(DeliveriesTest, ARetryIsTheSameMessageWithTheNextAttempt) {
  const auto first = Send();
  const Outputs told = Result(first, "RETRY");
  ASSERT_THAT(Told(told), ElementsAre("STARTED attempt 1 RETRY +"));
  const LogDuration wait = BackoffOf(first.notification_id(), 1);
  EXPECT_EQ(told.facts[0].notification().retry_at_us(), ToMicros(fold_.now() + wait));
  auto again = CommandAfter(wait);
  EXPECT_EQ(again.attempt(), 2U);
  EXPECT_EQ(again.decided_at_us(), ToMicros(fold_.now()));
  again.set_attempt(1);
  again.set_decided_at_us(first.decided_at_us());
  EXPECT_EQ(again.SerializeAsString(), first.SerializeAsString());
}

TEST_F(DeliveriesTest, EveryClassWaitsAsLongAsItShould) {
  struct Case {
    std::string_view result;
    LogDuration retry_after;
    LogDuration wait_min;  // Of the backoff besides.
    bool backs_off;
    std::uint32_t tries;
  };
  const std::vector<Case> cases = {
      {"RETRY", 0s, 0s, true, 1},        {"RETRY", 90s, 90s, true, 1},
      {"THROTTLE", 0s, 1s, true, 0},     {"THROTTLE", 75s, 75s, true, 0},
      {"SUSPEND", 0s, 60s, false, 0},    {"SUSPEND", 600s, 600s, false, 0},
      {"WINDOW", 0s, 3600s, false, 0},   {"WINDOW", 7200s, 7200s, false, 0},
      {"AMBIGUOUS", 0s, 900s, false, 1},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(each.result);
    const auto command = Send();
    Result(command, each.result, each.retry_after);
    EXPECT_EQ(StateOf(command).tries(), each.tries);
    const LogDuration backoff =
        each.backs_off ? BackoffOf(command.notification_id(), 1) : LogDuration{};
    EXPECT_EQ(CommandAfter(std::max(each.wait_min, backoff)).attempt(), 2U);
  }
}

TEST_F(DeliveriesTest, TheBackoffDoublesUpToAMinuteAndIsSpread) {
  const std::string id(16, 'x');
  const LogDuration longest[] = {500ms, 1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s};
  for (std::uint32_t attempt = 1; attempt <= 9; ++attempt) {
    LogDuration least = 60s;
    LogDuration most{};
    for (char c = 'a'; c <= 'z'; ++c) {
      const LogDuration wait = BackoffOf(std::string(15, 'x') + c, attempt);
      least = std::min(least, wait);
      most = std::max(most, wait);
    }
    EXPECT_GT(least, 0us);
    EXPECT_LE(most, longest[attempt - 1]);
    EXPECT_GT(most - least, longest[attempt - 1] / 2);
  }
  // Part of version 2: it may not change.
  EXPECT_EQ(BackoffOf(id, 1).count(), 83'917);
  EXPECT_EQ(BackoffOf(id, 100'000).count(), 20'055'471);
}

TEST_F(DeliveriesTest, TheSixthTryIsTheLast) {
  auto command = Send();
  for (std::uint32_t attempt = 1; attempt < kTriesMax; ++attempt) {
    Result(command, "RETRY");
    // What does not count comes in between.
    command = CommandAfter(BackoffOf(command.notification_id(), command.attempt()));
    Result(command, "SUSPEND");
    command = CommandAfter(60s);
  }
  EXPECT_EQ(command.attempt(), 2 * kTriesMax - 1);
  const Outputs last = Result(command, "RETRY");
  EXPECT_THAT(Told(last), ElementsAre("FAILED attempt 11 RETRY +"));
  EXPECT_EQ(last.facts[0].notification().retry_at_us(), 0);
  EXPECT_FALSE(StateOf(command).has_body());
  ExpectNothingFollows();
}

TEST_F(DeliveriesTest, PermanentFailuresFail) {
  for (const std::string_view result : {"PERM_ADDRESS", "PERM_REQUEST"}) {
    const auto command = Send();
    EXPECT_THAT(Told(Result(command, result)),
                ElementsAre(fmt::format("FAILED attempt 1 {} +", result)));
    EXPECT_FALSE(StateOf(command).has_body());
    ExpectNothingFollows();
  }
}

TEST_F(DeliveriesTest, AnUnknownOutcomeOfATransactionalMessageIsSentAgainOnce) {
  const auto first = Send();
  EXPECT_THAT(Told(Result(first, "AMBIGUOUS")),
              ElementsAre("UNKNOWN_OUTCOME attempt 1 AMBIGUOUS +"));
  const auto second = CommandAfter(15min);
  EXPECT_EQ(second.attempt(), 2U);
  EXPECT_EQ(second.body().plain(), "Hi 7");
  EXPECT_THAT(Told(Result(second, "AMBIGUOUS")),
              ElementsAre("UNKNOWN_OUTCOME attempt 2 AMBIGUOUS"));
  EXPECT_FALSE(StateOf(second).has_body());
  ExpectNothingFollows();
  AddReceipt(first, "DELIVERED");
  EXPECT_THAT(Told(fold_.Run()), ElementsAre("DELIVERED attempt 0 +"));
}

TEST_F(DeliveriesTest, TheTenantSaysHowLongToWaitForAReceipt) {
  fold_.Change(
      R"({"tenant":{"status":"TENANT_STATUS_ACTIVE","plan":"basic","unknown_wait_us":3000000}})");
  const auto command = Send();
  Result(command, "AMBIGUOUS");
  EXPECT_EQ(CommandAfter(3s).attempt(), 2U);
}

TEST_F(DeliveriesTest, AnUnknownOutcomeOfOtherClassesIsNeverSentAgain) {
  for (const std::string_view message_class : {"INFORMATIONAL", "MARKETING"}) {
    AddTrigger("t", message_class);
    Consent(message_class);
    const auto command = Send();
    const Outputs told = Result(command, "AMBIGUOUS");
    EXPECT_EQ(told.facts[0].notification().retry_at_us(), 0);
    EXPECT_EQ(Status(command), "UNKNOWN_OUTCOME");
    EXPECT_FALSE(StateOf(command).has_body());
    ExpectNothingFollows();
  }
}

TEST_F(DeliveriesTest, AReceiptEndsTheWaitForIt) {
  for (const std::string_view receipt : {"QUEUED", "SENT", "FAILED", "DELIVERED"}) {
    const auto command = Send();
    Result(command, "AMBIGUOUS");
    AddReceipt(command, receipt);
    EXPECT_THAT(Told(fold_.Run()), ElementsAre(fmt::format("{} attempt 0 +", receipt)));
    ExpectNothingFollows();
    EXPECT_EQ(Status(command), receipt);
  }
}

TEST_F(DeliveriesTest, AReceiptTakesBackTheReSendThatIsOut) {
  const auto first = Send();
  Result(first, "AMBIGUOUS");
  const auto second = CommandAfter(15min);
  AddReceipt(first, "SENT");
  EXPECT_THAT(Kinds(fold_.Run()), ElementsAre("CANCEL 2"));
  AddAttempt(second, "CANCELLED");
  EXPECT_THAT(Told(fold_.Run()), ElementsAre("CANCELLED attempt 2"));
  EXPECT_EQ(Status(first), "SENT");
}

TEST_F(DeliveriesTest, ALateAmbiguousResultLowersNothing) {
  const auto command = Send();
  AddReceipt(command, "SENT");
  fold_.Run();
  EXPECT_THAT(Told(Result(command, "AMBIGUOUS")),
              ElementsAre("UNKNOWN_OUTCOME attempt 1 AMBIGUOUS"));
  EXPECT_EQ(Status(command), "SENT");
  ExpectNothingFollows();
}

TEST_F(DeliveriesTest, ADefiniteResultAfterAnAmbiguousOneCounts) {
  const auto command = Send();
  Result(command, "AMBIGUOUS");
  Result(command, "RETRY");  // Says no more than that it may be sent again, which it may not.
  EXPECT_EQ(Status(command), "UNKNOWN_OUTCOME");
  Result(command, "ACCEPTED");
  EXPECT_EQ(Status(command), "ACCEPTED");
  ExpectNothingFollows();
}

TEST_F(DeliveriesTest, ARepeatedResultDoesNothingMore) {
  const auto command = Send();
  Result(command, "RETRY");
  EXPECT_THAT(Told(Result(command, "RETRY")), ElementsAre("STARTED attempt 1 RETRY"));
  EXPECT_EQ(StateOf(command).tries(), 1U);
  const auto second = CommandAfter(BackoffOf(command.notification_id(), 1));
  EXPECT_THAT(Told(Result(command, "RETRY")), ElementsAre("STARTED attempt 1 RETRY"));
  EXPECT_EQ(StateOf(second).tries(), 1U);
  EXPECT_FALSE(HoldsContent(StateOf(second)));
  Result(command, "PERM_REQUEST");
  EXPECT_EQ(Status(second), "STARTED");
  Result(command, "ACCEPTED");  // It did arrive.
  EXPECT_EQ(Status(second), "ACCEPTED");
}

TEST_F(DeliveriesTest, AnAttemptThatWasNeverCommandedIsADeadLetter) {
  auto command = Send();
  const std::string root = fold_.RootHex();
  command.set_attempt(2);
  const Outputs outputs = Result(command, "ACCEPTED");
  EXPECT_THAT(DeadLetters(outputs), ElementsAre("RECEIPT FIELD_INVALID"));
  EXPECT_EQ(fold_.RootHex(), root);
}

TEST_F(DeliveriesTest, ARetryThatWouldComeTooLateExpires) {
  const auto command = Send();
  fold_.Advance(kMaxAge - 30min);
  EXPECT_THAT(Told(Result(command, "WINDOW")), ElementsAre("EXPIRED attempt 1 WINDOW +"));
  EXPECT_FALSE(StateOf(command).has_body());
  ExpectNothingFollows();
  AddReceipt(command, "SENT");
  fold_.Run();
  EXPECT_EQ(Status(command), "SENT");
}

TEST_F(DeliveriesTest, ARetryWhoseTimerFiresTooLateExpires) {
  const auto command = Send();
  Result(command, "RETRY");
  fold_.Advance(kMaxAge);
  const Outputs outputs = fold_.Run();
  EXPECT_THAT(Told(outputs), ElementsAre("EXPIRED attempt 1 +"));
  EXPECT_FALSE(outputs.facts[0].has_cause());
  EXPECT_THAT(outputs.commands, IsEmpty());
}

TEST_F(DeliveriesTest, WhatTheDispatcherDidNotStartIsSettled) {
  for (const std::string_view phase : {"CANCELLED", "EXPIRED"}) {
    const auto command = Send();
    AddAttempt(command, phase);
    EXPECT_THAT(Told(fold_.Run()), ElementsAre(fmt::format("{} attempt 1 +", phase)));
    EXPECT_EQ(Status(command), phase);
    EXPECT_FALSE(StateOf(command).has_body());
    ExpectNothingFollows();
  }
}

TEST_F(DeliveriesTest, ASuspendedTenantsRetriesAreCancelled) {
  const auto waiting = Send();
  Result(waiting, "RETRY");
  const auto out = Send();
  fold_.Change(R"({"tenant":{"status":"TENANT_STATUS_SUSPENDED","plan":"basic"}})");
  EXPECT_THAT(Told(Result(out, "RETRY")), ElementsAre("CANCELLED attempt 1 RETRY +"));
  fold_.Advance(1s);
  const Outputs outputs = fold_.Run();
  EXPECT_THAT(Told(outputs), ElementsAre("CANCELLED attempt 1 +"));
  EXPECT_THAT(outputs.commands, IsEmpty());
}

class ForbiddenTest : public DeliveriesTest,
                      public ::testing::WithParamInterface<std::string_view> {
 protected:
  // As the parameter says.
  void Forbid() {
    if (GetParam() == "stop") {
      Inbound("STOP");
    } else if (GetParam() == "revocation") {
      Consent("TRANSACTIONAL", "REVOKED");
    } else {
      OptOut(GetParam());
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Ways, ForbiddenTest,
                         ::testing::Values("SMS", "ALL", "stop", "revocation"));

TEST_P(ForbiddenTest, TakesBackWhatIsOutAndWhatWaits) {
  AddTrigger("other", "TRANSACTIONAL");
  fold_.Event(fmt::format(R"({{"phone":"{}","n":1}})", kPhone));
  fold_.Event(fmt::format(R"({{"phone":"{}","n":2}})", kPhone));
  fold_.Event(R"({"phone":"+254700000002","n":3})");
  const auto commands = fold_.Run().commands;  // Two triggers, three events.
  ASSERT_EQ(commands.size(), 6U);
  Result(commands[0], "RETRY");
  Result(commands[1], "ACCEPTED");
  Result(commands[2], "AMBIGUOUS");
  Forbid();
  const Outputs outputs = fold_.Run();
  std::vector<std::string> cancelled;
  for (const auto& command : outputs.commands) {
    if (command.kind() == v1::COMMAND_KIND_CANCEL) {
      EXPECT_EQ(command.attempt(), 1U);
      EXPECT_FALSE(command.has_to());
      EXPECT_FALSE(command.has_body());
      cancelled.push_back(command.notification_id());
    }
  }
  EXPECT_THAT(cancelled, ElementsAre(commands[3].notification_id()));
  std::vector<std::string> told;
  for (const auto& fact : outputs.facts) {
    if (fact.has_notification()) {
      EXPECT_TRUE(fact.has_cause());
      told.push_back(fact.notification().notification_id());
    }
  }
  EXPECT_THAT(told, ::testing::UnorderedElementsAre(commands[0].notification_id(),
                                                    commands[2].notification_id()));
  EXPECT_EQ(Status(commands[0]), "CANCELLED");
  EXPECT_EQ(Status(commands[2]), "UNKNOWN_OUTCOME");  // It may have arrived; it is not sent again.
  EXPECT_EQ(Status(commands[3]), "COMMANDED");        // The dispatcher has the last word.
  // Too late: the provider was asked already, and wants to be asked again.
  EXPECT_THAT(Told(Result(commands[3], "RETRY")), ElementsAre("CANCELLED attempt 1 RETRY +"));
  for (const auto& command : {commands[0], commands[2], commands[3]}) {
    EXPECT_FALSE(StateOf(command).has_body());
  }
  ExpectNothingFollows();
  EXPECT_EQ(Status(commands[4]), "COMMANDED");  // Somebody else's.
}

TEST_F(DeliveriesTest, AnOptOutOfAnotherChannelTakesNothingBack) {
  const auto command = Send();
  OptOut("WHATSAPP");
  EXPECT_THAT(fold_.Run().commands, IsEmpty());
  Result(command, "RETRY");
  EXPECT_EQ(CommandAfter(BackoffOf(command.notification_id(), 1)).attempt(), 2U);
}

// "SMS", "SMS MARKETING": the CANCELs that name no notification.
std::vector<std::string> WholeChannels(const Outputs& outputs) {
  std::vector<std::string> channels;
  for (const auto& command : outputs.commands) {
    if (command.kind() == v1::COMMAND_KIND_CANCEL && command.notification_id().empty()) {
      EXPECT_EQ(command.recipient_token().size(), 16U);
      EXPECT_EQ(command.tenant(), "acme");
      channels.push_back(
          Word(v1::Channel_Name(command.channel()), "CHANNEL") +
          (command.message_class() == 0
               ? ""
               : " " + Word(v1::MessageClass_Name(command.message_class()), "MESSAGE_CLASS")));
    }
  }
  return channels;
}

class ManyTest : public DeliveriesTest {
 protected:
  // So many events to the phone; their commands.
  std::vector<v1::NotificationCommand> SendMany(std::uint32_t count) {
    fold_.Change(R"({"plan":{"id":"basic","sends_per_month_max":100000}})");
    for (std::uint32_t i = 0; i < count; ++i) {
      fold_.Event(fmt::format(R"({{"phone":"{}","n":7}})", kPhone));
    }
    auto commands = fold_.Run().commands;
    EXPECT_EQ(commands.size(), count);
    return commands;
  }
};

TEST_F(ManyTest, BeyondAThousandStepsTheWholeChannelIsTakenBackAtOnce) {
  const auto commands = SendMany(kCancelStepsMax + 5);
  Result(commands.front(), "RETRY", 1h);
  OptOut();
  const Outputs outputs = fold_.RunBatch();
  // The first step looks for the trigger's newest.
  EXPECT_EQ(outputs.commands.size(), std::size_t{kCancelStepsMax});
  EXPECT_THAT(WholeChannels(outputs), ElementsAre("SMS"));
  EXPECT_FALSE(outputs.more);
  EXPECT_FALSE(fold_.fold().TimerDue(fold_.now()));
  // What waits and was not reached is judged when its time comes.
  EXPECT_EQ(Status(commands.front()), "STARTED");
  fold_.Advance(1h);
  EXPECT_THAT(Told(fold_.Run()), ElementsAre("CANCELLED attempt 1 +"));
  EXPECT_FALSE(StateOf(commands.front()).has_body());
}

TEST_F(ManyTest, TheStepsOfOneRecordAreSharedByItsChannels) {
  SendMany(kCancelStepsMax);
  OptOut("ALL");
  EXPECT_THAT(WholeChannels(fold_.RunBatch()),
              ElementsAre("SMS", "WHATSAPP", "EMAIL", "PUSH", "VOICE"));
}

TEST_F(ManyTest, LookingForTriggersTakesSteps) {
  for (std::uint32_t i = 1; i < 501; ++i) {
    AddTrigger(fmt::format("t{}", i), "TRANSACTIONAL");
  }
  fold_.Run();
  Inbound("STOP");  // Ends calls as well: 501 triggers on two channels.
  const Outputs outputs = fold_.RunBatch();
  EXPECT_THAT(WholeChannels(outputs), ElementsAre("VOICE"));
}

TEST_F(ManyTest, ARevocationTakesBackItsClassOnly) {
  AddTrigger("t", "MARKETING");
  for (const auto* message_class : {"MARKETING", "INFORMATIONAL"}) {
    Consent(message_class);
  }
  SendMany(kCancelStepsMax + 5);
  Consent("MARKETING", "REVOKED");
  EXPECT_THAT(WholeChannels(fold_.RunBatch()), ElementsAre("SMS MARKETING"));
}

TEST_F(ManyTest, ABatchThatIsFullTakesBackNoLess) {
  AddTrigger("other", "TRANSACTIONAL");
  const auto commands = [&] {
    fold_.Change(R"({"plan":{"id":"basic","sends_per_month_max":100000}})");
    for (int person = 0; person < 11; ++person) {
      for (int i = 0; i < 480; ++i) {
        fold_.Event(fmt::format(R"({{"phone":"+2547000000{:02}","n":7}})", person));
      }
    }
    return fold_.Run().commands;
  }();
  ASSERT_EQ(commands.size(), 11U * 960);
  // Facts and CANCELs of the persons fill the batch; the last ones' CANCELs would not fit.
  for (int person = 0; person < 11; ++person) {
    fold_.Add(Topic::kOptOuts,
              fmt::format(R"({{"opt_out_change":{{"address":{{"plain":"+2547000000{:02}"}},)"
                          R"("address_kind":"ADDRESS_KIND_PHONE","channel":"CHANNEL_SMS",)"
                          R"("status":"OPT_OUT_STATUS_ACTIVE","by":"OPT_OUT_BY_API"}}}})",
                          person));
  }
  const Outputs outputs = fold_.RunBatch();
  EXPECT_EQ(WholeChannels(outputs).size(), 1U);
}

TEST_F(ManyTest, AllOptOutsOfABatchShareItsSteps) {
  for (std::uint32_t i = 1; i < 1000; ++i) {
    AddTrigger(fmt::format("t{}", i), "TRANSACTIONAL");
  }
  fold_.Run();
  constexpr std::uint32_t kPeople = kCancelStepsPerBatchMax / 1000 + 2;
  for (std::uint32_t person = 0; person < kPeople; ++person) {
    fold_.Add(Topic::kOptOuts,
              fmt::format(R"({{"opt_out_change":{{"address":{{"plain":"+2547000000{:02}"}},)"
                          R"("address_kind":"ADDRESS_KIND_PHONE","channel":"CHANNEL_SMS",)"
                          R"("status":"OPT_OUT_STATUS_ACTIVE","by":"OPT_OUT_BY_API"}}}})",
                          person + 10));
  }
  EXPECT_THAT(WholeChannels(fold_.RunBatch()), ElementsAre("SMS", "SMS"));
  OptOut();
  EXPECT_THAT(WholeChannels(fold_.RunBatch()), IsEmpty());  // That batch has its own.
}

TEST_F(DeliveriesTest, OnlyAChangeTakesBack) {
  const auto revoke = [&](std::string_view channel, std::string_view status) {
    fold_.Add(Topic::kConsentChanges,
              fmt::format(R"({{"consent_change":{{"address":{{"plain":"{}"}},)"
                          R"("address_kind":"ADDRESS_KIND_PHONE","channel":"CHANNEL_{}",)"
                          R"("message_class":"MESSAGE_CLASS_TRANSACTIONAL",)"
                          R"("status":"CONSENT_STATUS_{}"}}}})",
                          kPhone, channel, status));
    const Outputs outputs = fold_.Run();
    fold_.Advance(1s);
    return outputs.commands.size();
  };
  Send();
  EXPECT_EQ(revoke("SMS", "REVOKED"), 1U);
  EXPECT_EQ(revoke("SMS", "REVOKED"), 0U);
  EXPECT_EQ(revoke("ALL", "REVOKED"), 0U);
  // Allowed for one channel, although it stays revoked for all of them.
  EXPECT_EQ(revoke("SMS", "GRANTED"), 0U);
  Send();
  EXPECT_EQ(revoke("ALL", "REVOKED"), 2U);
  OptOut();
  EXPECT_EQ(fold_.Run().commands.size(), 2U);
  OptOut();
  EXPECT_THAT(fold_.Run().commands, IsEmpty());
}

TEST_F(DeliveriesTest, TheDeadLettersOfTwoTimersOfOneMomentAreTwo) {
  const auto one = Send();
  const auto two = Send();
  Result(one, "RETRY");
  Result(two, "RETRY");
  fold_.Advance(1s);
  fold_.RestartWithFaultAt(StateKey("acme", Table::kNotification).Bytes(one.notification_id()));
  fold_.AddFaultAt(StateKey("acme", Table::kNotification).Bytes(two.notification_id()));
  const auto letters = fold_.Run().dead_letters;
  ASSERT_EQ(letters.size(), 2U);
  EXPECT_NE(letters[0].id(), letters[1].id());
  EXPECT_LT(letters[0].record().offset(), 0);
}

TEST_F(DeliveriesTest, ATimerThatThrowsLeavesAFailedNotificationWithoutItsText) {
  const auto command = Send();
  Result(command, "RETRY");
  fold_.RestartWithFaultAt(StateKey("acme", Table::kNotification).Bytes(command.notification_id()));
  fold_.Advance(1s);
  const Outputs outputs = fold_.Run();
  EXPECT_THAT(DeadLetters(outputs), ElementsAre("FOLD ENGINE_EXCEPTION"));
  EXPECT_THAT(Told(outputs), ElementsAre("FAILED attempt 1 +"));
  EXPECT_THAT(outputs.commands, IsEmpty());
  const auto state = StateOf(command);
  EXPECT_EQ(state.status(), v1::NOTIFICATION_STATUS_FAILED);
  EXPECT_FALSE(state.has_to());
  EXPECT_FALSE(state.has_body());
  EXPECT_EQ(state.timer_due_us(), 0);
  ExpectNothingFollows();
}

TEST_F(DeliveriesTest, WhatHasExpiredIsNotCancelled) {
  Send();
  fold_.Advance(kOutstandingMax);
  OptOut();
  EXPECT_THAT(fold_.Run().commands, IsEmpty());
}

TEST_F(DeliveriesTest, AnOptOutAtTheProviderIsOneHere) {
  const auto command = Send();
  const auto other = Send();
  const Outputs outputs = Result(command, "OPT_OUT");
  EXPECT_THAT(Told(outputs), ElementsAre("FAILED attempt 1 OPT_OUT +"));
  std::vector<std::string> opted_out;
  for (const auto& fact : outputs.facts) {
    if (fact.has_opt_out()) {
      EXPECT_EQ(fact.opt_out().by(), v1::OPT_OUT_BY_PROVIDER);
      opted_out.push_back(v1::Channel_Name(fact.opt_out().channel()));
    }
  }
  EXPECT_THAT(opted_out, ElementsAre("CHANNEL_SMS", "CHANNEL_VOICE"));
  // No answer to it, and what else is out is taken back.
  EXPECT_THAT(Kinds(outputs), ElementsAre("CANCEL 1"));
  EXPECT_EQ(outputs.commands[0].notification_id(), other.notification_id());
  fold_.Event(fmt::format(R"({{"phone":"{}","n":7}})", kPhone));
  EXPECT_THAT(Outcomes(fold_.Run()), ElementsAre("SUPPRESS OPTED_OUT"));
  // The person's START lifts it, and the same result once more does not bring it back.
  Inbound("START");
  fold_.Run();
  Result(command, "OPT_OUT");
  Send();
}

TEST_F(DeliveriesTest, AnOptOutThatIsThereKeepsItsOwner) {
  const auto command = Send();
  OptOut();
  fold_.Run();
  for (const auto& fact : Result(command, "OPT_OUT").facts) {
    EXPECT_FALSE(fact.has_opt_out() && fact.opt_out().channel() == v1::CHANNEL_SMS);
  }
}

TEST_F(DeliveriesTest, AConfirmationLeavesAsTheMessageCameAndIsRetried) {
  Inbound("STOP");
  auto outputs = fold_.Run();
  ASSERT_THAT(Kinds(outputs), ElementsAre("CONFIRMATION 1"));
  const auto first = outputs.commands[0];
  EXPECT_EQ(first.provider() + " " + first.account() + " " + first.from_number(),
            "fake second +15005550009");
  // Neither the opt-out nor the tenant's state holds it back.
  fold_.Change(R"({"tenant":{"status":"TENANT_STATUS_SUSPENDED","plan":"basic"}})");
  OptOut("ALL");
  EXPECT_THAT(fold_.Run().commands, IsEmpty());
  Result(first, "RETRY");
  auto again = CommandAfter(BackoffOf(first.notification_id(), 1));
  EXPECT_EQ(again.kind(), v1::COMMAND_KIND_CONFIRMATION);
  EXPECT_EQ(again.attempt(), 2U);
  again.set_attempt(1);
  again.set_decided_at_us(first.decided_at_us());
  EXPECT_EQ(again.SerializeAsString(), first.SerializeAsString());
}

TEST_F(DeliveriesTest, AConfirmationEndsAfterFiveMinutes) {
  Inbound("HELP");
  const auto command = fold_.Run().commands.at(0);
  EXPECT_THAT(Told(Result(command, "RETRY", 5min)), ElementsAre("EXPIRED attempt 1 RETRY +"));
  Inbound("HELP");
  const auto unknown = fold_.Run().commands.at(0);
  Result(unknown, "AMBIGUOUS");  // The wait for a receipt is longer than that.
  EXPECT_EQ(Status(unknown), "UNKNOWN_OUTCOME");
  ExpectNothingFollows();
}

TEST_F(DeliveriesTest, NobodysRecordsAreDeadLetters) {
  fold_.Add(Topic::kInboundMessages,
            R"({"inbound_message":{"from":{"plain":"+254700000001"},"channel":"CHANNEL_SMS",)"
            R"("from_kind":"ADDRESS_KIND_PHONE","body":{"plain":"STOP"}}})",
            "_unrouted");
  fold_.Add(Topic::kDeliveryReceipts,
            R"({"delivery_receipt":{"provider":"twilio","provider_message_id":"SM1",)"
            R"("status":"RECEIPT_STATUS_SENT"}})",
            "_unrouted");
  const Outputs outputs = fold_.Run();
  EXPECT_THAT(DeadLetters(outputs), ElementsAre("TENANT UNKNOWN_TENANT", "TENANT UNKNOWN_TENANT"));
  EXPECT_EQ(outputs.dead_letters[0].detail(), "routing_key: there is no such tenant");
  EXPECT_THAT(outputs.facts, IsEmpty());
}

// Every order of the records on one attempt, each of them twice, ends in the same state.
TEST(DeliveryOrderTest, EveryOrderEndsInTheSameState) {
  class Story : public DeliveriesTest {
   public:
    void TestBody() override {}
    // `records`: "RETRY": a result, "sent": a receipt, "*": started.
    std::string Tell(const std::vector<std::string>& records) {
      const auto command = Send();
      for (const std::string& record : records) {
        for (int twice = 0; twice < 2; ++twice) {
          if (record == "*") {
            AddAttempt(command, "STARTED");
          } else if (record == "CANCELLED" || record == "EXPIRED") {
            AddAttempt(command, record);
          } else if (record.front() == '>') {
            AddReceipt(command, record.substr(1));
          } else {
            AddResult(command, record);
          }
          EXPECT_THAT(fold_.Run().dead_letters, IsEmpty());
        }
      }
      return fold_.RootHex();
    }
  };
  for (const std::string result : {"ACCEPTED", "RETRY", "THROTTLE", "AMBIGUOUS", "PERM_ADDRESS",
                                   "PERM_REQUEST", "WINDOW", "SUSPEND", "CANCELLED", "EXPIRED"}) {
    for (const std::string receipt : {">FAILED", ">DELIVERED", ">SENT", ">READ"}) {
      std::vector<std::string> records = {"*", result, ">QUEUED", receipt};
      std::sort(records.begin(), records.end());
      std::optional<std::string> root;
      do {
        Story story;
        const std::string got = story.Tell(records);
        EXPECT_EQ(got, root.value_or(got)) << fmt::format("{}", fmt::join(records, " "));
        root = got;
      } while (std::next_permutation(records.begin(), records.end()));
    }
  }
}

TEST_F(DeliveriesTest, VersionOneIsFoldedAsItWas) {
  fold_.set_engine_version(1);
  const auto command = Send();
  const auto state = StateOf(command);
  EXPECT_FALSE(state.has_body());
  EXPECT_EQ(state.kind(), v1::COMMAND_KIND_UNSPECIFIED);
  const Outputs told = Result(command, "RETRY");
  EXPECT_THAT(Told(told), ElementsAre("STARTED attempt 1 +"));
  EXPECT_EQ(told.facts[0].notification().retry_at_us(), 0);
  EXPECT_THAT(Told(Result(command, "AMBIGUOUS")), ElementsAre("UNKNOWN_OUTCOME attempt 1 +"));
  AddAttempt(command, "CANCELLED");
  EXPECT_THAT(DeadLetters(fold_.Run()), ElementsAre("SCHEMA UNKNOWN_ENUM"));
  OptOut();
  Inbound("STOP");
  const Outputs stopped = fold_.Run();
  for (const auto& each : stopped.commands) {
    EXPECT_EQ(each.kind(), v1::COMMAND_KIND_CONFIRMATION);
    EXPECT_EQ(each.account(), "");
  }
  Result(command, "OPT_OUT");
  ExpectNothingFollows();
}

TEST_F(DeliveriesTest, WhatVersionOneCommandedCannotBeSentAgain) {
  fold_.set_engine_version(1);
  const auto command = Send();
  fold_.set_engine_version(2);
  EXPECT_THAT(Told(Result(command, "RETRY")), ElementsAre("FAILED attempt 1 RETRY +"));
  ExpectNothingFollows();
}

TEST_F(DeliveriesTest, ThousandsOfRetriesAreNotHeldUpBySweeps) {
  fold_.Change(R"({"plan":{"id":"basic","sends_per_month_max":100000}})");
  std::vector<v1::NotificationCommand> commands;
  for (int i = 0; i < 200; ++i) {
    fold_.Event(fmt::format(R"({{"phone":"+2547000{:05}","n":1}})", i),
                fmt::format(R"("id":"e{}")", i));
  }
  commands = fold_.Run().commands;
  ASSERT_EQ(commands.size(), 200U);
  for (const auto& command : commands) {
    AddResult(command, "SUSPEND");
  }
  fold_.Run();
  fold_.Advance(60s);
  const Outputs first = fold_.RunBatch();
  EXPECT_EQ(first.commands.size(), kTimersPerBatchMax);
  EXPECT_TRUE(first.more);
  EXPECT_EQ(fold_.Run().commands.size(), 200U - kTimersPerBatchMax);
}

}  // namespace
}  // namespace alertstream::engine

// The fold over permissions: consents, opt-outs and what people answer.
#include <chrono>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/fold_harness.h"

namespace alertstream::engine {
namespace {

using namespace std::chrono_literals;
using schemas::Topic;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::string_view kPerson =
    R"("address":{"plain":"+254700000001"},"address_kind":"ADDRESS_KIND_PHONE")";

class FoldPermissionsTest : public ::testing::Test {
 protected:
  FoldPermissionsTest() {
    fold_.AddTenant();
    AddTrigger("TRANSACTIONAL");
  }

  void AddTrigger(std::string_view message_class) {
    fold_.Change(fmt::format(
        R"({{"trigger":{{"id":"t","event_type":"order","channel":"CHANNEL_SMS","enabled":true,)"
        R"("recipients":{{"field":"data.phone"}},"template_body":"Hi",)"
        R"("message_class":"MESSAGE_CLASS_{}"}}}})",
        message_class));
  }

  std::int64_t OptOut(std::string_view status, std::string_view by,
                      std::string_view channel = "SMS", std::string_view more = "") {
    return fold_.Add(Topic::kOptOuts,
                     fmt::format(R"({{"opt_out_change":{{{},"channel":"CHANNEL_{}",)"
                                 R"("status":"OPT_OUT_STATUS_{}","by":"OPT_OUT_BY_{}"{}{}}}}})",
                                 kPerson, channel, status, by, more.empty() ? "" : ",", more));
  }

  std::int64_t Consent(std::string_view status, std::string_view message_class,
                       std::string_view more = "") {
    return fold_.Add(
        Topic::kConsentChanges,
        fmt::format(R"({{"consent_change":{{{},"channel":"CHANNEL_SMS",)"
                    R"("status":"CONSENT_STATUS_{}","message_class":"MESSAGE_CLASS_{}"{}{}}}}})",
                    kPerson, status, message_class, more.empty() ? "" : ",", more));
  }

  std::int64_t Says(std::string_view text, std::string_view more = "") {
    return fold_.Add(
        Topic::kInboundMessages,
        fmt::format(
            R"({{"inbound_message":{{"from":{{"plain":"+254 700 000 001"}},)"
            R"("from_kind":"ADDRESS_KIND_PHONE","channel":"CHANNEL_SMS",)"
            R"("to_number":"+15005550006","provider":"fake","body":{{"plain":"{}"}}{}{}}}}})",
            text, more.empty() ? "" : ",", more));
  }

  // The outcome of an event for the person now.
  std::string Now() {
    fold_.Event(R"({"phone":"+254700000001"})");
    last_ = fold_.Run();
    const auto outcomes = Outcomes(last_);
    return outcomes.size() == 1 ? outcomes[0] : "not one decision";
  }

  FoldHarness fold_;
  Outputs last_;
};

TEST_F(FoldPermissionsTest, AStopEndsMessagesAndIsConfirmedOnce) {
  const auto stop = Says("Stop!");
  const Outputs outputs = fold_.Run();
  ASSERT_EQ(outputs.commands.size(), 1U);
  const v1::NotificationCommand& reply = outputs.commands[0];
  EXPECT_EQ(reply.kind(), v1::COMMAND_KIND_CONFIRMATION);
  EXPECT_EQ(reply.to().plain(), "+254700000001");
  EXPECT_EQ(reply.from_number(), "+15005550006");
  EXPECT_EQ(reply.expires_at_us(), ToMicros(kNoon + 5min));
  EXPECT_FALSE(reply.body().plain().empty());

  EXPECT_EQ(Now(), "SUPPRESS OPTED_OUT");
  const auto gate = FindGate(OnlyDecision(last_), v1::GATE_OPT_OUT);
  ASSERT_TRUE(gate);
  EXPECT_EQ(gate->verdict(), v1::GATE_VERDICT_STOPPED);
  EXPECT_EQ(gate->observed(), v1::OPT_OUT_BY_RECIPIENT);
  EXPECT_EQ(gate->source().topic(), static_cast<std::uint32_t>(Topic::kInboundMessages));
  EXPECT_EQ(gate->source().offset(), stop);

  Says("STOP");
  EXPECT_THAT(fold_.Run().commands, IsEmpty());
  Says("START");
  fold_.Run();
  Says("STOP");
  EXPECT_EQ(fold_.Run().commands.size(), 1U);  // Another revocation.
}

TEST_F(FoldPermissionsTest, TheTenantsOwnTextsAreUsed) {
  fold_.Change(
      R"({"tenant":{"status":"TENANT_STATUS_ACTIVE","stop_reply":"Bye","help_reply":"Call"}})");
  Says("STOP");
  Says("help");
  const Outputs outputs = fold_.Run();
  ASSERT_EQ(outputs.commands.size(), 2U);
  EXPECT_EQ(outputs.commands[0].body().plain(), "Bye");
  EXPECT_EQ(outputs.commands[1].body().plain(), "Call");
  EXPECT_NE(outputs.commands[0].notification_id(), outputs.commands[1].notification_id());
}

TEST_F(FoldPermissionsTest, AConfirmationIsDroppedAfterFiveMinutes) {
  struct Case {
    LogDuration delay;
    std::size_t commands;
  };
  for (const auto& each : std::vector<Case>{{5min - 1ms, 1}, {5min, 0}, {2h, 0}}) {
    FoldHarness fold;
    fold.AddTenant();
    fold.set_delay(each.delay);
    fold.Add(Topic::kInboundMessages,
             R"({"inbound_message":{"from":{"plain":"+254700000001"},"channel":"CHANNEL_SMS",)"
             R"("from_kind":"ADDRESS_KIND_PHONE","body":{"plain":"stop"}}})");
    const Outputs outputs = fold.Run();
    EXPECT_EQ(outputs.commands.size(), each.commands) << each.delay.count();
    EXPECT_EQ(Facts(outputs).back(), "opt_out ACCEPTED");  // Obeyed however late.
  }
}

TEST_F(FoldPermissionsTest, AProvidersOwnConfirmationIsNotRepeated) {
  Says("STOP", R"("provider_replied":true)");
  EXPECT_THAT(fold_.Run().commands, IsEmpty());
  EXPECT_EQ(Now(), "SUPPRESS OPTED_OUT");
}

TEST_F(FoldPermissionsTest, WhatIsNoKeywordChangesNothing) {
  Says("please stop");
  Says("YES");
  const Outputs outputs = fold_.Run();
  EXPECT_THAT(Facts(outputs), ::testing::Contains("inbound ACCEPTED").Times(2));
  EXPECT_EQ(outputs.facts.back().inbound().keyword(), "none");
  EXPECT_EQ(Now(), "SEND");
}

TEST_F(FoldPermissionsTest, StartAndYesLiftTheRecipientsOwnStop) {
  for (const std::string_view word : {"START", "unstop", "Yes"}) {
    Says("STOP");
    EXPECT_EQ(Now(), "SUPPRESS OPTED_OUT");
    fold_.Advance(1s);
    Says(word);
    EXPECT_EQ(Now(), "SEND") << word;
    fold_.Advance(1s);
  }
}

TEST_F(FoldPermissionsTest, AnOperatorCannotLiftWhatTheRecipientDid) {
  Says("STOP");
  fold_.Run();
  OptOut("REMOVED", "OPERATOR");
  OptOut("REMOVED", "API");
  const Outputs outputs = fold_.Run();
  EXPECT_THAT(Facts(outputs),
              ElementsAre("opt_out OPT_OUT_BY_RECIPIENT", "opt_out OPT_OUT_BY_RECIPIENT"));
  EXPECT_NE(outputs.facts[0].detail().find("opt_out_by_recipient"), std::string::npos);
  EXPECT_EQ(Now(), "SUPPRESS OPTED_OUT");
}

TEST_F(FoldPermissionsTest, AnOperatorsEntryDoesNotTakeOverARecipientsStop) {
  Says("STOP");
  OptOut("ACTIVE", "OPERATOR");
  fold_.Run();
  OptOut("REMOVED", "OPERATOR");
  EXPECT_THAT(Facts(fold_.Run()), ElementsAre("opt_out OPT_OUT_BY_RECIPIENT"));
  EXPECT_EQ(Now(), "SUPPRESS OPTED_OUT");
}

TEST_F(FoldPermissionsTest, AStopTakesOverAnOperatorsEntry) {
  OptOut("ACTIVE", "OPERATOR");
  fold_.Advance(1s);
  Says("STOP");
  fold_.Run();
  OptOut("REMOVED", "OPERATOR");
  EXPECT_THAT(Facts(fold_.Run()), ElementsAre("opt_out OPT_OUT_BY_RECIPIENT"));
}

TEST_F(FoldPermissionsTest, AnOperatorsEntryIsLiftedByAnOperator) {
  OptOut("ACTIVE", "API");
  EXPECT_EQ(Now(), "SUPPRESS OPTED_OUT");
  OptOut("REMOVED", "OPERATOR");
  EXPECT_EQ(Now(), "SEND");
  OptOut("REMOVED", "OPERATOR");
  EXPECT_THAT(Facts(fold_.Run()), ElementsAre("opt_out NOT_OPTED_OUT"));
}

TEST_F(FoldPermissionsTest, OnlyEvidenceLaterThanTheStopLiftsIt) {
  struct Case {
    std::string evidence;
    std::string outcome;
  };
  const auto at = [](LogTime time) {
    return fmt::format(R"("evidence":{{"kind":"web_form","at_us":{}}})", ToMicros(time));
  };
  const LogTime stop = kNoon;
  const std::vector<Case> cases = {
      {"", "SUPPRESS OPTED_OUT"},
      {at(stop - 1us), "SUPPRESS OPTED_OUT"},
      {at(stop), "SUPPRESS OPTED_OUT"},
      {at(stop + 1us), "SEND"},
      {R"("evidence":{"kind":"paper"})", "SEND"},  // When the record was appended.
  };
  for (const auto& each : cases) {
    FoldHarness fold;
    fold.AddTenant();
    fold.Change(
        R"({"trigger":{"id":"t","event_type":"order","channel":"CHANNEL_SMS","enabled":true,)"
        R"("recipients":{"field":"data.phone"},"template_body":"Hi",)"
        R"("message_class":"MESSAGE_CLASS_TRANSACTIONAL"}})");
    fold.Add(Topic::kOptOuts,
             fmt::format(R"({{"opt_out_change":{{{},"channel":"CHANNEL_SMS",)"
                         R"("status":"OPT_OUT_STATUS_ACTIVE","by":"OPT_OUT_BY_RECIPIENT"}}}})",
                         kPerson));
    fold.Run();
    fold.Advance(1h);
    fold.Add(Topic::kConsentChanges,
             fmt::format(R"({{"consent_change":{{{},"channel":"CHANNEL_SMS",)"
                         R"("status":"CONSENT_STATUS_GRANTED",)"
                         R"("message_class":"MESSAGE_CLASS_TRANSACTIONAL"{}{}}}}})",
                         kPerson, each.evidence.empty() ? "" : ",", each.evidence));
    fold.Event(R"({"phone":"+254700000001"})");
    EXPECT_THAT(Outcomes(fold.Run()), ElementsAre(each.outcome)) << each.evidence;
  }
}

TEST_F(FoldPermissionsTest, AConsentNamesItsRecordInTheDecision) {
  AddTrigger("MARKETING");
  EXPECT_EQ(Now(), "SUPPRESS CONSENT_MISSING");
  const auto plain = Consent("GRANTED", "MARKETING");
  EXPECT_EQ(Now(), "SUPPRESS CONSENT_NOT_WRITTEN");
  EXPECT_EQ(FindGate(OnlyDecision(last_), v1::GATE_CONSENT)->source().offset(), plain);
  fold_.Advance(1s);
  const auto written = Consent("GRANTED", "MARKETING", R"("evidence":{"kind":"a","written":true})");
  EXPECT_EQ(Now(), "SEND");
  EXPECT_EQ(FindGate(OnlyDecision(last_), v1::GATE_CONSENT)->source().offset(), written);
  fold_.Advance(1s);
  const auto revoked = Consent("REVOKED", "MARKETING");
  EXPECT_EQ(Now(), "SUPPRESS CONSENT_REVOKED");
  const auto gate = FindGate(OnlyDecision(last_), v1::GATE_CONSENT);
  EXPECT_EQ(gate->source().topic(), static_cast<std::uint32_t>(Topic::kConsentChanges));
  EXPECT_EQ(gate->source().offset(), revoked);
}

TEST_F(FoldPermissionsTest, EvidenceOlderThanTheRevocationIsRejected) {
  Consent("REVOKED", "TRANSACTIONAL");
  fold_.Run();
  fold_.Advance(1h);
  Consent("GRANTED", "TRANSACTIONAL",
          fmt::format(R"("evidence":{{"kind":"paper","at_us":{}}})", ToMicros(kNoon - 1h)));
  EXPECT_THAT(Facts(fold_.Run()), ElementsAre("consent OLDER_THAN_PRESENT"));
  EXPECT_EQ(Now(), "SUPPRESS CONSENT_REVOKED");
}

TEST_F(FoldPermissionsTest, AnotherExpectedVersionIsRejected) {
  OptOut("ACTIVE", "API", "SMS", R"("expected_version":1)");
  OptOut("ACTIVE", "API");
  OptOut("REMOVED", "API", "SMS", R"("expected_version":2)");
  OptOut("REMOVED", "API", "SMS", R"("expected_version":1)");
  Consent("GRANTED", "MARKETING", R"("expected_version":9)");
  const Outputs outputs = fold_.Run();
  std::vector<std::string> facts = Facts(outputs);
  facts.erase(facts.begin(), facts.begin() + 5);
  // At the same time what restricts comes first.
  EXPECT_THAT(
      facts, ElementsAre("opt_out VERSION_MISMATCH", "opt_out ACCEPTED", "consent VERSION_MISMATCH",
                         "opt_out VERSION_MISMATCH", "opt_out ACCEPTED"));
}

TEST_F(FoldPermissionsTest, AnOptOutInTheSameBatchPrecedesTheEvent) {
  fold_.Event(R"({"phone":"+254700000001"})");
  Says("STOP");
  EXPECT_THAT(Outcomes(fold_.Run()), ElementsAre("SUPPRESS OPTED_OUT"));
}

TEST_F(FoldPermissionsTest, FactsOfABatchAreFoldedByTheirAppendTime) {
  fold_.set_delay(1s);
  Says("START");
  fold_.set_delay(2s);
  OptOut("ACTIVE", "RECIPIENT");
  EXPECT_EQ(Now(), "SEND");
  fold_.set_delay(0s);
  Says("START");
  OptOut("ACTIVE", "RECIPIENT");
  EXPECT_EQ(Now(), "SEND");  // Of one time the restricting one goes first.
}

TEST_F(FoldPermissionsTest, AnUnknownTenantOrAddressIsADeadLetter) {
  Says("STOP");
  fold_.Run();
  fold_.Add(Topic::kInboundMessages,
            R"({"inbound_message":{"from":{"plain":"+254700000001"},"channel":"CHANNEL_SMS",)"
            R"("from_kind":"ADDRESS_KIND_PHONE","body":{"plain":"stop"}}})",
            "nobody");
  fold_.Add(Topic::kInboundMessages,
            R"({"inbound_message":{"from":{"plain":"12"},"channel":"CHANNEL_SMS",)"
            R"("from_kind":"ADDRESS_KIND_PHONE","body":{"plain":"stop"}}})");
  EXPECT_THAT(DeadLetters(fold_.Run()),
              ElementsAre("TENANT UNKNOWN_TENANT", "SCHEMA FIELD_INVALID"));
}

}  // namespace
}  // namespace alertstream::engine

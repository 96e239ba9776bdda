// Edges of the rules, each a way in which a small slip would decide wrongly.
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

constexpr std::string_view kPhone = R"({"phone":"+254700000001"})";
constexpr std::string_view kPerson =
    R"("address":{"plain":"+254700000001"},"address_kind":"ADDRESS_KIND_PHONE")";

std::string TriggerWith(std::string_view when, std::string_view more = "") {
  return fmt::format(
      R"({{"trigger":{{"id":"t","event_type":"order","channel":"CHANNEL_SMS","enabled":true,)"
      R"("recipients":{{"field":"data.phone"}},"template_body":"Hi","when":"{}",)"
      R"("message_class":"MESSAGE_CLASS_TRANSACTIONAL"{}{}}}}})",
      when, more.empty() ? "" : ",", more);
}

class FoldEdgesTest : public ::testing::Test {
 protected:
  FoldEdgesTest() {
    fold_.AddTenant();
    fold_.Change(TriggerWith(""));
    fold_.Run();
  }

  void OptOut(std::string_view by, std::string_view channel) {
    fold_.Add(Topic::kOptOuts,
              fmt::format(R"({{"opt_out_change":{{{},"channel":"CHANNEL_{}",)"
                          R"("status":"OPT_OUT_STATUS_ACTIVE","by":"OPT_OUT_BY_{}"}}}})",
                          kPerson, channel, by));
    fold_.Run();
  }

  std::vector<std::string> Consent(std::string_view status, std::string_view channel,
                                   std::string_view evidence = "") {
    fold_.Add(Topic::kConsentChanges,
              fmt::format(R"({{"consent_change":{{{},"channel":"CHANNEL_{}",)"
                          R"("status":"CONSENT_STATUS_{}",)"
                          R"("message_class":"MESSAGE_CLASS_TRANSACTIONAL"{}}}}})",
                          kPerson, channel, status, evidence));
    return Facts(fold_.Run());
  }

  static std::string EvidenceAt(LogTime time) {
    return fmt::format(R"(,"evidence":{{"kind":"paper","at_us":{}}})", ToMicros(time));
  }

  Outputs Says(std::string_view body, std::string_view more = "") {
    fold_.Add(
        Topic::kInboundMessages,
        fmt::format(
            R"({{"inbound_message":{{"from":{{"plain":"+254700000001"}},"body":{{"plain":"{}"}},)"
            R"("from_kind":"ADDRESS_KIND_PHONE","channel":"CHANNEL_WHATSAPP"{}}}}})",
            body, more));
    return fold_.Run();
  }

  std::vector<std::string> Now() {
    fold_.Event(kPhone);
    return Outcomes(fold_.Run());
  }

  FoldHarness fold_;
};

TEST_F(FoldEdgesTest, AConsentDatedInTheFutureDoesNotKeepARevocationOut) {
  Consent("GRANTED", "SMS", EvidenceAt(fold_.now() + 24h));
  fold_.Advance(1h);
  EXPECT_THAT(Consent("REVOKED", "SMS"), ElementsAre("consent ACCEPTED"));
  EXPECT_THAT(Now(), ElementsAre("SUPPRESS CONSENT_REVOKED"));
}

TEST_F(FoldEdgesTest, AConsentDatedInTheFutureIsNoLaterThanItsRecord) {
  Consent("GRANTED", "SMS", EvidenceAt(fold_.now() + 24h));
  fold_.Advance(1h);
  OptOut("RECIPIENT", "SMS");
  fold_.Advance(1h);
  EXPECT_THAT(Now(), ElementsAre("SUPPRESS OPTED_OUT"));
}

TEST_F(FoldEdgesTest, AnOperatorsRepetitionDoesNotMoveTheTimeOfAStop) {
  OptOut("RECIPIENT", "SMS");
  fold_.Advance(1h);
  const LogTime signed_at = fold_.now();
  fold_.Advance(1h);
  OptOut("OPERATOR", "SMS");
  Consent("GRANTED", "SMS", EvidenceAt(signed_at));
  EXPECT_THAT(Now(), ElementsAre("SEND"));
}

TEST_F(FoldEdgesTest, ConsentForOneChannelDoesNotOpenTheOthers) {
  OptOut("RECIPIENT", "ALL");
  fold_.Advance(1h);
  Consent("GRANTED", "WHATSAPP", EvidenceAt(fold_.now()));
  EXPECT_THAT(Now(), ElementsAre("SUPPRESS OPTED_OUT"));
}

TEST_F(FoldEdgesTest, ConsentForAllChannelsOpensAll) {
  OptOut("RECIPIENT", "ALL");
  OptOut("RECIPIENT", "SMS");
  fold_.Advance(1h);
  Consent("GRANTED", "ALL", EvidenceAt(fold_.now()));
  EXPECT_THAT(Now(), ElementsAre("SEND"));
}

TEST_F(FoldEdgesTest, StartOnOneChannelDoesNotOpenTheOthers) {
  OptOut("RECIPIENT", "ALL");
  fold_.Advance(1h);
  Says("start");
  EXPECT_THAT(Now(), ElementsAre("SUPPRESS OPTED_OUT"));
}

TEST_F(FoldEdgesTest, WhatTheProviderAnsweredIsNotAnsweredAgain) {
  EXPECT_EQ(Says("help").commands.size(), 1U);
  EXPECT_TRUE(Says("help", R"(,"provider_replied":true)").commands.empty());
  EXPECT_TRUE(Says("stop", R"(,"provider_replied":true)").commands.empty());
}

TEST_F(FoldEdgesTest, ARejectedTriggerNamesTheVersionInForce) {
  fold_.Change(TriggerWith("unknown"));
  const Outputs outputs = fold_.Run();
  ASSERT_THAT(Facts(outputs), ElementsAre("trigger INVALID_CONDITION"));
  EXPECT_EQ(outputs.facts[0].version(), 1U);
}

TEST_F(FoldEdgesTest, ADeletedTriggerStaysDeleted) {
  fold_.Change(R"({"trigger":{"id":"t","deleted":true}})");
  EXPECT_THAT(Facts(fold_.Run()), ElementsAre("trigger ACCEPTED"));
  fold_.Change(TriggerWith(""));
  EXPECT_THAT(Facts(fold_.Run()), ElementsAre("trigger INVALID_FIELD"));
  fold_.Event(kPhone);
  EXPECT_THAT(Verdicts(fold_.Run()), ElementsAre("NO_MATCH"));
}

TEST_F(FoldEdgesTest, TheDefaultSenderIsTheSameAfterARestart) {
  fold_.Change(R"({"sender":{"id":"new","provider":"fake","is_default":true}})");
  fold_.Event(kPhone);
  fold_.Run();
  // As it already is: its record stays the same, but it is the default again.
  fold_.Change(
      R"({"sender":{"id":"main","provider":"fake","number":"+15005550006","is_default":true}})");
  fold_.Event(kPhone);
  const Outputs live = fold_.Run();
  fold_.Restart();
  fold_.Event(kPhone);
  const Outputs restarted = fold_.Run();
  ASSERT_EQ(live.commands.size(), 1U);
  ASSERT_EQ(restarted.commands.size(), 1U);
  EXPECT_EQ(live.commands[0].sender_id(), restarted.commands[0].sender_id());
}

TEST_F(FoldEdgesTest, NothingIsSentWithoutASender) {
  fold_.Change(R"({"sender":{"id":"main","provider":"fake"}})");
  EXPECT_THAT(Now(), ElementsAre("FAIL SENDER_MISSING"));
  fold_.Change(TriggerWith("", R"("sender":"gone")"));
  EXPECT_THAT(Now(), ElementsAre("FAIL SENDER_MISSING"));
  fold_.Change(TriggerWith("", R"("sender":"main")"));
  EXPECT_THAT(Now(), ElementsAre("SEND"));
}

TEST_F(FoldEdgesTest, InVersion1OnlyANamedSenderCanBeMissing) {
  fold_.set_engine_version(1);
  fold_.Change(R"({"sender":{"id":"main","provider":"fake"}})");
  fold_.Event(kPhone);
  const Outputs without_any = fold_.Run();
  ASSERT_THAT(Outcomes(without_any), ElementsAre("SEND"));
  EXPECT_EQ(without_any.commands[0].sender_id(), "");
  fold_.Change(TriggerWith("", R"("sender":"gone")"));
  EXPECT_THAT(Now(), ElementsAre("FAIL SENDER_MISSING"));
}

TEST_F(FoldEdgesTest, RecipientsComeFromTheDataOfTheEventOnly) {
  struct Case {
    std::string_view field;
    std::string_view fact;
  };
  for (const Case& each :
       {Case{"source", "trigger INVALID_FIELD"}, Case{"database.phone", "trigger INVALID_FIELD"},
        Case{"event.data.phone", "trigger INVALID_FIELD"}, Case{"data", "trigger ACCEPTED"},
        Case{"data.x", "trigger ACCEPTED"}}) {
    std::string trigger = TriggerWith("");
    constexpr std::string_view kField = "data.phone";
    trigger.replace(trigger.find(kField), kField.size(), each.field);
    fold_.Change(trigger);
    EXPECT_THAT(Facts(fold_.Run()), ElementsAre(each.fact)) << each.field;
  }
}

TEST_F(FoldEdgesTest, TheSameIdWithAnotherTypeIsAConflict) {
  fold_.Event(kPhone, R"("id":"a")");
  fold_.Add(Topic::kSiteEvents, R"({"type":"refund","id":"a","site_event":{"data":)"
                                R"({"plain":"{\"phone\":\"+254700000001\"}"}}})");
  fold_.Event(kPhone, R"("id":"a")");
  const Outputs outputs = fold_.Run();
  EXPECT_THAT(DeadLetters(outputs), ElementsAre("DEDUPE IDEMPOTENCY_CONFLICT"));
  EXPECT_THAT(Verdicts(outputs), ElementsAre("ACCEPTED", "DUPLICATE"));
}

TEST_F(FoldEdgesTest, ADeadLetterOfAnUnknownTenantCarriesItsKey) {
  fold_.Add(Topic::kOptOuts,
            fmt::format(R"({{"opt_out_change":{{{},"channel":"CHANNEL_SMS",)"
                        R"("status":"OPT_OUT_STATUS_ACTIVE","by":"OPT_OUT_BY_API"}}}})",
                        kPerson),
            "nobody");
  fold_.Add(Topic::kSiteEvents, R"({"type":"order","site_event":{"data":{"plain":"{}"}}})",
            "nobody");
  const Outputs outputs = fold_.Run();
  ASSERT_THAT(DeadLetters(outputs), ElementsAre("TENANT UNKNOWN_TENANT", "TENANT UNKNOWN_TENANT"));
  EXPECT_EQ(outputs.dead_letters[0].tenant(), "nobody");
  EXPECT_EQ(outputs.dead_letters[1].tenant(), "nobody");
}

TEST_F(FoldEdgesTest, AnEngineVersionAskedForIsNotLoweredByTheNextRecord) {
  for (const std::uint32_t version : {kEngineVersion + 2, kEngineVersion + 1}) {
    fold_.Add(Topic::kAccountChanges,
              fmt::format(R"({{"account_change":{{"engine_activate":{{"engine_version":{}}}}}}})",
                          version),
              "_log");
  }
  EXPECT_THAT(Facts(fold_.Run()), ElementsAre("engine ACCEPTED", "engine ENGINE_VERSION"));
}

TEST_F(FoldEdgesTest, AConditionMeansTheSameHoweverItIsIndexed) {
  // Both conditions are the same to CEL but for an equality that the index cannot use.
  struct Case {
    std::string data;
    std::string condition;
    std::string without_index;
  };
  const std::vector<Case> cases = {
      {R"({"phone":"+254700000001","n":"x"})", "event.data.n > 5 && event.data.k == 'v'",
       "event.data.n > 5 && !(event.data.k != 'v')"},
      {R"({"phone":"+254700000001","c":null})", "event.data.c.k == 'v'",
       "!(event.data.c.k != 'v')"},
      {R"({"phone":"+254700000001","c":"text"})", "event.data.c.k == 'v'",
       "!(event.data.c.k != 'v')"},
      {R"({"phone":"+254700000001","k":null})", "event.data.n > 5 && event.data.k == 'v'",
       "event.data.n > 5 && !(event.data.k != 'v')"},
      {R"({"phone":"+254700000001","k":"w","n":"x"})", "event.data.n > 5 && event.data.k == 'v'",
       "event.data.n > 5 && !(event.data.k != 'v')"},
  };
  for (const auto& each : cases) {
    fold_.Change(TriggerWith(each.condition));
    fold_.Event(each.data);
    const auto indexed = Outcomes(fold_.Run());
    fold_.Change(TriggerWith(each.without_index));
    fold_.Event(each.data);
    EXPECT_EQ(indexed, Outcomes(fold_.Run())) << each.condition << " for " << each.data;
  }
}

TEST_F(FoldEdgesTest, AMissingPlanIsExplainedByTheTenantThatNamesIt) {
  const auto tenant = fold_.Change(R"({"tenant":{"status":"TENANT_STATUS_ACTIVE","plan":"gone"}})");
  fold_.Event(kPhone);
  const auto gate = FindGate(OnlyDecision(fold_.Run()), v1::GATE_PLAN_QUOTA);
  ASSERT_TRUE(gate);
  EXPECT_EQ(gate->source().offset(), tenant);
}

TEST_F(FoldEdgesTest, AnEventFromTheFutureHasJustHappened) {
  fold_.Event(kPhone, fmt::format(R"("event_time_us":{})", ToMicros(fold_.now() + 10000h)));
  const Outputs outputs = fold_.Run();
  ASSERT_EQ(outputs.commands.size(), 1U);
  EXPECT_EQ(outputs.commands[0].expires_at_us(), ToMicros(fold_.now() + 24h));
}

TEST_F(FoldEdgesTest, AFanOutIsDecidedToItsEndThoughTheEventGrowsOld) {
  fold_.Change(R"({"tenant":{"status":"TENANT_STATUS_ACTIVE"}})");
  std::string phones;
  for (int i = 0; i < 1000; ++i) {
    phones += fmt::format(R"({}"+2547{:08}")", i == 0 ? "" : ",", i);
  }
  for (int i = 0; i < 12; ++i) {
    fold_.Change(fmt::format(R"({{"trigger":{{"id":"u{}","event_type":"order","enabled":true,)"
                             R"("channel":"CHANNEL_SMS","recipients":{{"field":"data.phone"}},)"
                             R"("template_body":"Hi","max_age_us":60000000,)"
                             R"("message_class":"MESSAGE_CLASS_TRANSACTIONAL"}}}})",
                             i));
  }
  fold_.Event(fmt::format(R"({{"phone":[{}]}})", phones));
  std::size_t decisions = Outcomes(fold_.RunBatch()).size();
  fold_.Advance(61s);
  decisions += Outcomes(fold_.Run()).size();
  EXPECT_EQ(decisions, 13'000U);  // The trigger `t` is one more.
}

}  // namespace
}  // namespace alertstream::engine

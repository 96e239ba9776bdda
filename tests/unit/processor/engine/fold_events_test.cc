// The fold over events: what an event becomes, and why.
#include <chrono>
#include <cstdint>
#include <stdexcept>
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
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::string_view kPhone = R"({"phone":"+254 700 000 001"})";
constexpr std::string_view kAnn = "+254700000001";

// A trigger `t` on events of type `order`, by SMS to the event's phone unless `more` says whom.
std::string TriggerWith(std::string_view more = "") {
  const bool listed = more.find("recipients") != std::string_view::npos;
  return fmt::format(
      R"({{"trigger":{{"id":"t","event_type":"order","channel":"CHANNEL_SMS","enabled":true,)"
      R"("template_body":"Hi","message_class":"MESSAGE_CLASS_TRANSACTIONAL"{}{}{}}}}})",
      listed ? "" : R"(,"recipients":{"field":"data.phone"})", more.empty() ? "" : ",", more);
}

class FoldEventsTest : public ::testing::Test {
 protected:
  FoldEventsTest() { fold_.AddTenant(); }

  FoldHarness fold_;
};

TEST_F(FoldEventsTest, AnEventBecomesADecisionACommandAndAUsage) {
  const auto trigger =
      fold_.Change(R"({"trigger":{"id":"t","event_type":"order","when":"event.data.amount > 5",)"
                   R"("channel":"CHANNEL_SMS","enabled":true,"recipients":{"field":"data.phone"},)"
                   R"("template_body":"Paid {{data.amount}}","cooldown_us":60000000,)"
                   R"("message_class":"MESSAGE_CLASS_TRANSACTIONAL","max_age_us":3600000000}})");
  const auto offset = fold_.Event(R"({"phone":"+254 700 000 001","amount":7})",
                                  R"("id":"o-1","source":"/shop","site":"shop")");
  const Outputs outputs = fold_.Run();

  EXPECT_THAT(Facts(outputs), ElementsAre("tenant_change ACCEPTED", "plan ACCEPTED",
                                          "site ACCEPTED", "sender ACCEPTED", "trigger ACCEPTED"));
  ASSERT_THAT(Verdicts(outputs), ElementsAre("ACCEPTED"));
  const v1::DecisionRecord& record = outputs.decisions[0];
  EXPECT_EQ(record.tenant(), "acme");
  EXPECT_EQ(record.event().offset(), offset);
  EXPECT_EQ(record.event_type(), "order");
  EXPECT_EQ(record.site(), "shop");
  EXPECT_EQ(record.candidates(), 1U);
  EXPECT_EQ(record.decided_at_us(), ToMicros(kNoon));
  std::vector<v1::Gate> event_gates;
  for (const auto& gate : record.gates()) {
    event_gates.push_back(gate.gate());
    EXPECT_EQ(gate.verdict(), v1::GATE_VERDICT_PASSED);
  }
  EXPECT_THAT(event_gates,
              ElementsAre(v1::GATE_SCHEMA, v1::GATE_TENANT, v1::GATE_SITE, v1::GATE_DEDUPE));

  const v1::Decision decision = OnlyDecision(outputs);
  EXPECT_EQ(decision.outcome(), v1::OUTCOME_SEND);
  EXPECT_EQ(decision.trigger_id(), "t");
  EXPECT_EQ(decision.trigger_version(), 1U);
  EXPECT_EQ(decision.segments(), 1U);
  EXPECT_EQ(decision.plan_version(), 1U);
  const RecipientToken ann = fold_.TokenOf(kAnn);
  EXPECT_EQ(decision.recipient_token(), std::string(ann.begin(), ann.end()));
  std::vector<v1::Gate> gates;
  for (const auto& gate : decision.gates()) {
    gates.push_back(gate.gate());
  }
  EXPECT_THAT(gates,
              ElementsAre(v1::GATE_EXPIRY, v1::GATE_CONDITION, v1::GATE_RECIPIENT, v1::GATE_CHANNEL,
                          v1::GATE_COOLDOWN, v1::GATE_CONSENT, v1::GATE_OPT_OUT, v1::GATE_DAILY_CAP,
                          v1::GATE_PLAN_QUOTA, v1::GATE_TEMPLATE));

  ASSERT_EQ(outputs.commands.size(), 1U);
  const v1::NotificationCommand& command = outputs.commands[0];
  EXPECT_EQ(command.kind(), v1::COMMAND_KIND_SEND);
  EXPECT_EQ(command.notification_id(), decision.notification_id());
  EXPECT_EQ(command.decision_id(), decision.id());
  EXPECT_EQ(command.event_id(), record.event_id());
  EXPECT_EQ(command.to().plain(), kAnn);
  EXPECT_EQ(command.body().plain(), "Paid 7");
  EXPECT_EQ(command.sender_id(), "main");
  EXPECT_EQ(command.provider(), "fake");
  EXPECT_EQ(command.from_number(), "+15005550006");
  EXPECT_EQ(command.attempt(), 1U);
  EXPECT_EQ(command.expires_at_us(), ToMicros(kNoon + 1h));
  EXPECT_EQ(command.trigger_version(), 1U);
  EXPECT_EQ(trigger, 4);

  const v1::Fact& usage = outputs.facts.back();
  ASSERT_TRUE(usage.has_usage());
  EXPECT_EQ(usage.usage().month(), 202611U);
  EXPECT_EQ(usage.usage().sends(), 1);
  EXPECT_EQ(usage.usage().sends_max(), 100);
}

TEST_F(FoldEventsTest, TheSameIdIsADuplicateOrAConflictForSevenDays) {
  fold_.Change(TriggerWith());
  const std::string id = R"("id":"o-1","source":"/shop")";
  const auto first = fold_.Event(kPhone, id);
  fold_.Event(kPhone, id);
  fold_.Event(R"({"phone":"+254700000002"})", id);
  fold_.Event(kPhone, R"("id":"o-1","source":"/other")");
  fold_.Event(kPhone, R"("id":"o-1","source":"/shop","trust":"TRUST_KAFKA")");
  fold_.Event(kPhone, R"("id":"o-1","source":"/shop","site":"shop")");
  const Outputs outputs = fold_.Run();
  EXPECT_THAT(Verdicts(outputs),
              ElementsAre("ACCEPTED", "DUPLICATE", "ACCEPTED", "ACCEPTED", "ACCEPTED"));
  EXPECT_EQ(outputs.decisions[1].duplicate_of(), outputs.decisions[0].event_id());
  const auto& gate = *outputs.decisions[1].gates().rbegin();
  EXPECT_EQ(gate.gate(), v1::GATE_DEDUPE);
  EXPECT_EQ(gate.verdict(), v1::GATE_VERDICT_STOPPED);
  EXPECT_EQ(gate.source().offset(), first);
  EXPECT_THAT(DeadLetters(outputs), ElementsAre("DEDUPE IDEMPOTENCY_CONFLICT"));

  fold_.Advance(168h - 1us);
  fold_.Event(kPhone, id);
  EXPECT_THAT(Verdicts(fold_.Run()), ElementsAre("DUPLICATE"));
  fold_.Advance(1us);
  fold_.Event(R"({"phone":"+254700000002"})", id);
  EXPECT_THAT(Verdicts(fold_.Run()), ElementsAre("ACCEPTED"));
}

TEST_F(FoldEventsTest, AnIdempotencyKeyComesBeforeTheId) {
  fold_.Change(TriggerWith());
  fold_.Event(kPhone, R"("id":"a","idempotency":{"key":"k"})");
  fold_.Event(kPhone, R"("id":"b","idempotency":{"key":"k"})");
  fold_.Event(kPhone, R"("id":"a")");
  fold_.Event(kPhone);
  fold_.Event(kPhone);
  EXPECT_THAT(Verdicts(fold_.Run()),
              ElementsAre("ACCEPTED", "DUPLICATE", "ACCEPTED", "ACCEPTED", "ACCEPTED"));
}

TEST_F(FoldEventsTest, ADeadLetterLeavesNoTraceSoItsRedrivePasses) {
  fold_.Change(TriggerWith());
  const std::string id = R"("id":"o-1","site":"later")";
  fold_.Event(kPhone, id);
  const Outputs refused = fold_.Run();
  EXPECT_THAT(DeadLetters(refused), ElementsAre("TENANT UNKNOWN_SITE"));
  EXPECT_THAT(Verdicts(refused), IsEmpty());
  v1::RawRecord original;
  ASSERT_TRUE(original.ParseFromString(refused.dead_letters[0].original().plain()));
  EXPECT_EQ(original.key(), "acme");
  fold_.Change(R"({"site":{"id":"later","status":"SITE_STATUS_ACTIVE"}})");
  fold_.AddRaw(Topic::kSiteEvents, original.key(), original.value());
  EXPECT_THAT(Verdicts(fold_.Run()), ElementsAre("ACCEPTED"));
}

TEST_F(FoldEventsTest, FaultsOfTheEventAreDeadLetters) {
  fold_.Change(TriggerWith());
  fold_.Change(R"({"site":{"id":"closed","status":"SITE_STATUS_DISABLED"}})");
  fold_.Change(R"({"tenant":{"status":"TENANT_STATUS_SUSPENDED"}})", "asleep");
  fold_.Event(R"({"a":1,"a":2})");
  fold_.Event(kPhone, R"("site":"nowhere")");
  fold_.Event(kPhone, R"("site":"closed")");
  fold_.Event(kPhone, R"("schema_version":2)");
  fold_.Event(kPhone, R"("tenant":"another")");
  fold_.Add(Topic::kSiteEvents, R"({"type":"order","site_event":{}})", "nobody");
  fold_.Add(Topic::kSiteEvents, R"({"type":"order","site_event":{}})", "asleep");
  fold_.Add(Topic::kSiteEvents, R"({"opt_out_change":{}})");
  fold_.AddRaw(Topic::kSiteEvents, "Not A Tenant", "x");
  fold_.AddRaw(Topic::kSiteEvents, "acme", "no envelope");
  fold_.AddRaw(Topic::kSiteEvents, "acme", "{no json");
  const Outputs outputs = fold_.Run();
  EXPECT_THAT(
      DeadLetters(outputs),
      ElementsAre("SCHEMA MALFORMED_JSON", "TENANT UNKNOWN_SITE", "TENANT SITE_NOT_ACTIVE",
                  "SCHEMA FUTURE_SCHEMA_VERSION", "SCHEMA TENANT_MISMATCH", "TENANT UNKNOWN_TENANT",
                  "TENANT TENANT_NOT_ACTIVE", "SCHEMA WRONG_PAYLOAD", "ROUTING INVALID_KEY",
                  "DECODE MALFORMED_PROTOBUF", "DECODE MALFORMED_JSON"));
  EXPECT_THAT(outputs.decisions, IsEmpty());
  EXPECT_EQ(outputs.dead_letters[1].tenant(), "acme");
  EXPECT_EQ(outputs.dead_letters[1].record().offset(), 1);
}

TEST_F(FoldEventsTest, AnEventOlderThanEveryCandidateIsExpired) {
  fold_.Change(TriggerWith(R"("max_age_us":60000000)"));
  const auto at = [](LogTime time) { return fmt::format(R"("event_time_us":{})", ToMicros(time)); };
  fold_.Event(kPhone, at(kNoon - 60s));
  fold_.Event(kPhone, at(kNoon - 60s - 1us));
  fold_.Event(kPhone, at(kNoon + 1h));
  const Outputs outputs = fold_.Run();
  EXPECT_THAT(Verdicts(outputs), ElementsAre("ACCEPTED", "EXPIRED", "ACCEPTED"));
  EXPECT_EQ(outputs.decisions[1].candidates(), 1U);
  EXPECT_EQ(outputs.decisions[1].gates().rbegin()->gate(), v1::GATE_EXPIRY);
  EXPECT_EQ(outputs.decisions[1].gates().rbegin()->observed(), 60'000'001);
}

TEST_F(FoldEventsTest, WithoutAMaximumAgeADayIsTheLimit) {
  fold_.Change(TriggerWith());
  fold_.set_delay(24h);
  fold_.Event(kPhone);
  fold_.set_delay(24h + 1ms);
  fold_.Event(kPhone);
  EXPECT_THAT(Verdicts(fold_.Run()), ElementsAre("ACCEPTED", "EXPIRED"));
}

TEST_F(FoldEventsTest, NoMatchCountsItsCandidates) {
  fold_.Change(TriggerWith(R"("when":"event.data.amount > 5")"));
  fold_.Event(R"({"amount":5})");
  fold_.Event("{}");
  fold_.Add(Topic::kSiteEvents, R"({"type":"unknown","site_event":{}})");
  const Outputs outputs = fold_.Run();
  EXPECT_THAT(Verdicts(outputs), ElementsAre("NO_MATCH", "NO_MATCH", "NO_MATCH"));
  EXPECT_EQ(outputs.decisions[0].candidates(), 1U);
  EXPECT_EQ(outputs.decisions[2].candidates(), 0U);
  EXPECT_THAT(Outcomes(outputs), IsEmpty());
}

TEST_F(FoldEventsTest, AFaultOfOneTriggerLeavesTheOthersAlone) {
  const auto add = [&](std::string_view id, std::string_view when, std::string_view body) {
    fold_.Change(fmt::format(
        R"({{"trigger":{{"id":"{}","event_type":"order","channel":"CHANNEL_SMS","enabled":true,)"
        R"("recipients":{{"field":"data.phone"}},"template_body":"{}","when":"{}",)"
        R"("message_class":"MESSAGE_CLASS_TRANSACTIONAL"}}}})",
        id, body, when));
  };
  add("a", "event.data.amount > 5", "Hi");
  add("b", "", "{{data.absent}}");
  add("c", "", "Hi");
  add("d", "event.data.amount", "Hi");
  fold_.Event(R"({"phone":"+254700000001","amount":"many"})");
  const Outputs outputs = fold_.Run();
  EXPECT_THAT(Outcomes(outputs), ElementsAre("FAIL CONDITION_ERROR", "FAIL TEMPLATE_FAILED", "SEND",
                                             "FAIL CONDITION_ERROR"));
  EXPECT_EQ(outputs.decisions[0].decisions(0).recipient_token(), "");
  EXPECT_EQ(outputs.commands.size(), 1U);
}

TEST_F(FoldEventsTest, EveryPersonOfAnArrayIsDecidedOnce) {
  fold_.Change(TriggerWith());
  fold_.Event(R"({"phone":["+254700000001","00254 700 000 001","12","+254700000002",7]})");
  fold_.Event(R"({"phone":[]})");
  fold_.Event(R"({"phone":null})");
  fold_.Event("{}");
  std::string many;
  for (int i = 0; i <= 1000; ++i) {
    many += fmt::format(R"({}"+2547000{:05}")", i == 0 ? "" : ",", i);
  }
  fold_.Event(fmt::format(R"({{"phone":[{}]}})", many));
  const Outputs outputs = fold_.Run();
  EXPECT_THAT(Outcomes(outputs),
              ElementsAre("SEND", "FAIL RECIPIENT_INVALID", "SEND", "FAIL RECIPIENT_ABSENT",
                          "FAIL RECIPIENT_ABSENT", "FAIL RECIPIENT_ABSENT", "FAIL RECIPIENT_ABSENT",
                          "FAIL TOO_MANY_RECIPIENTS"));
}

TEST_F(FoldEventsTest, APublishableKeyReachesNoStrangerWithoutPermissionAndBrake) {
  struct Case {
    std::string more;
    std::string outcome;
  };
  const std::vector<Case> cases = {
      {"", "SUPPRESS PUBLIC_NOT_ALLOWED"},
      {R"("allow_public":true)", "SUPPRESS PUBLIC_NOT_ALLOWED"},
      {R"("daily_cap":1)", "SUPPRESS PUBLIC_NOT_ALLOWED"},
      {R"("allow_public":true,"daily_cap":1)", "SEND"},
  };
  for (const auto& each : cases) {
    FoldHarness fold;
    fold.AddTenant();
    fold.Change(TriggerWith(each.more));
    fold.Event(kPhone, R"("trust":"TRUST_PUBLISHABLE")");
    EXPECT_THAT(Outcomes(fold.Run()), ElementsAre(each.outcome)) << each.more;
  }
  FoldHarness listed;
  listed.AddTenant();
  listed.Change(TriggerWith(R"("recipients":{"list":{"addresses":[{"plain":"+254700000001"}]}})"));
  listed.Event(kPhone, R"("trust":"TRUST_PUBLISHABLE")");
  EXPECT_THAT(Outcomes(listed.Run()), ElementsAre("SEND"));
}

TEST_F(FoldEventsTest, ACooldownNamesTheEventThatSent) {
  fold_.Change(TriggerWith(R"("cooldown_us":600000000)"));
  const auto first = fold_.Event(kPhone);
  fold_.Event(kPhone);
  EXPECT_THAT(Outcomes(fold_.Run()), ElementsAre("SEND", "SUPPRESS COOLDOWN"));
  fold_.Advance(10min - 1us);
  fold_.Event(kPhone);
  const Outputs held = fold_.Run();
  EXPECT_THAT(Outcomes(held), ElementsAre("SUPPRESS COOLDOWN"));
  EXPECT_THAT(held.commands, IsEmpty());
  const auto gate = FindGate(OnlyDecision(held), v1::GATE_COOLDOWN);
  ASSERT_TRUE(gate);
  EXPECT_EQ(gate->source().topic(), static_cast<std::uint32_t>(Topic::kSiteEvents));
  EXPECT_EQ(gate->source().offset(), first);
  fold_.Advance(1us);
  fold_.Event(kPhone);
  fold_.Event(R"({"phone":"+254700000002"})");
  EXPECT_THAT(Outcomes(fold_.Run()), ElementsAre("SEND", "SEND"));
}

TEST_F(FoldEventsTest, ADailyCapRollsOver24Hours) {
  fold_.Change(TriggerWith(R"("daily_cap":2)"));
  std::vector<std::string> outcomes;
  for (const auto step : {0h, 1h, 1h, 21h, 1h, 1h, 1h}) {  // At 0, 1, 2, 23, 24, 25 and 26 h.
    fold_.Advance(step);
    fold_.Event(kPhone);
    outcomes.push_back(Outcomes(fold_.Run()).at(0));
  }
  EXPECT_THAT(outcomes, ElementsAre("SEND", "SEND", "SUPPRESS DAILY_CAP", "SUPPRESS DAILY_CAP",
                                    "SEND", "SEND", "SUPPRESS DAILY_CAP"));
}

TEST_F(FoldEventsTest, APlansQuotaEndsWithTheMonth) {
  const auto plan = fold_.Change(R"({"plan":{"id":"basic","sends_per_month_max":1}})");
  fold_.Change(TriggerWith());
  fold_.Event(kPhone);
  fold_.Event(kPhone);
  const Outputs outputs = fold_.Run();
  EXPECT_THAT(Outcomes(outputs), ElementsAre("SEND", "SUPPRESS QUOTA_EXCEEDED"));
  const auto gate = FindGate(outputs.decisions[1].decisions(0), v1::GATE_PLAN_QUOTA);
  ASSERT_TRUE(gate);
  EXPECT_EQ(gate->source().topic(), static_cast<std::uint32_t>(Topic::kAccountChanges));
  EXPECT_EQ(gate->source().offset(), plan);
  fold_.Advance(252h - 1us);  // The end of November.
  fold_.Event(kPhone);
  EXPECT_THAT(Outcomes(fold_.Run()), ElementsAre("SUPPRESS QUOTA_EXCEEDED"));
  fold_.Advance(1us);
  fold_.Event(kPhone);
  EXPECT_THAT(Outcomes(fold_.Run()), ElementsAre("SEND"));
}

TEST_F(FoldEventsTest, APlanOrSenderThatIsNamedMustExist) {
  fold_.Change(TriggerWith());
  fold_.Change(R"({"tenant":{"status":"TENANT_STATUS_ACTIVE","plan":"gone"}})");
  fold_.Event(kPhone);
  EXPECT_THAT(Outcomes(fold_.Run()), ElementsAre("SUPPRESS PLAN_MISSING"));
  fold_.Change(R"({"tenant":{"status":"TENANT_STATUS_ACTIVE"}})");
  fold_.Event(kPhone);
  EXPECT_THAT(Outcomes(fold_.Run()), ElementsAre("SEND"));
  fold_.Change(TriggerWith(R"("sender":"gone")"));
  fold_.Event(kPhone);
  EXPECT_THAT(Outcomes(fold_.Run()), ElementsAre("FAIL SENDER_MISSING"));
}

TEST_F(FoldEventsTest, RecordsOfAnotherPartitionAreRerouted) {
  constexpr std::int32_t kPartitions = 8;
  const std::int32_t home = schemas::PartitionOf("acme", kPartitions);
  FoldHarness fold({.partition = (home + 1) % kPartitions, .partitions = kPartitions});
  fold.AddTenant();
  fold.Event(kPhone);
  fold.Add(Topic::kInboundMessages, R"({"inbound_message":{}})", "acme");
  fold.AddRaw(Topic::kInboundMessages, "_unrouted", "x");
  const Outputs outputs = fold.Run();
  EXPECT_THAT(Facts(outputs), IsEmpty());
  EXPECT_EQ(outputs.reroutes.size(), 6U);
  for (const auto& reroute : outputs.reroutes) {
    EXPECT_EQ(reroute.to_partition, home);
  }
  EXPECT_THAT(DeadLetters(outputs), ElementsAre("DECODE MALFORMED_PROTOBUF"));
}

TEST_F(FoldEventsTest, AnExceptionLeavesNothingButADeadLetter) {
  fold_.Change(TriggerWith());
  fold_.Run();
  const std::string root = fold_.RootHex();
  const auto poison = fold_.Event(kPhone, R"("id":"poison")");
  fold_.fold().set_probe([&](Topic topic, std::int64_t offset) {
    if (topic == Topic::kSiteEvents && offset == poison) {
      throw std::runtime_error("+254700000001");
    }
  });
  const Outputs outputs = fold_.Run();
  EXPECT_THAT(DeadLetters(outputs), ElementsAre("FOLD ENGINE_EXCEPTION"));
  EXPECT_THAT(outputs.dead_letters[0].detail(), ::testing::Not(HasSubstr("254")));
  EXPECT_THAT(outputs.decisions, IsEmpty());
  EXPECT_THAT(outputs.facts, IsEmpty());
  EXPECT_EQ(fold_.RootHex(), root);
  fold_.Event(kPhone, R"("id":"fine")");
  EXPECT_THAT(Outcomes(fold_.Run()), ElementsAre("SEND"));
}

TEST_F(FoldEventsTest, DedupeEntriesAreSweptAfterSevenDays) {
  fold_.Run();
  const std::string before = fold_.RootHex();
  for (int i = 0; i < 100; ++i) {
    fold_.Event("{}", fmt::format(R"("id":"e{}")", i));
  }
  fold_.Run();
  EXPECT_NE(fold_.RootHex(), before);
  fold_.Advance(168h - 1us);
  EXPECT_FALSE(fold_.fold().TimerDue(fold_.now()));
  fold_.Run();
  EXPECT_NE(fold_.RootHex(), before);
  fold_.Advance(1us);
  EXPECT_TRUE(fold_.fold().TimerDue(fold_.now()));
  fold_.Run();
  EXPECT_EQ(fold_.RootHex(), before);
  EXPECT_FALSE(fold_.fold().TimerDue(fold_.now() + 10000h));
}

}  // namespace
}  // namespace alertstream::engine

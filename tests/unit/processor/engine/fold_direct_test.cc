// Direct notifications: somebody is told outright, through every gate but the condition.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/fold_harness.h"

namespace alertstream::engine {
namespace {

using schemas::Topic;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using namespace std::chrono_literals;

constexpr std::string_view kPhone = "+254700000001";

class DirectTest : public ::testing::Test {
 protected:
  DirectTest() {
    fold_.AddTenant();
    AddTrigger("alert", R"("when":"event.data.n > 100","daily_cap":2,)");
    fold_.Run();
  }

  void AddTrigger(std::string_view id, std::string_view more) {
    fold_.Change(fmt::format(
        R"({{"trigger":{{"id":"{}","event_type":"order","channel":"CHANNEL_SMS","enabled":true,{})"
        R"("recipients":{{"list":{{"addresses":[{{"plain":"+254700000099"}}]}}}},)"
        R"("template_body":"Hi {{{{data.n}}}}","message_class":"MESSAGE_CLASS_TRANSACTIONAL"}}}})",
        id, more));
  }

  // `more` adds members to the Envelope: "\"id\":\"a\",".
  Outputs Tell(std::string_view direct, std::string_view more = "") {
    fold_.Add(Topic::kSiteEvents,
              fmt::format(R"({{"type":"notification.request",{}"site_event":)"
                          R"({{"data":{{"plain":"{{\"n\":7}}"}},"direct":{}}}}})",
                          more, direct));
    return fold_.Run();
  }

  static std::string ByTrigger(std::string_view id, std::string_view phone = kPhone) {
    return fmt::format(R"({{"to":{{"plain":"{}"}},"trigger_id":"{}"}})", phone, id);
  }
  static std::string ByText(std::string_view text, std::string_view message_class = "TRANSACTIONAL",
                            std::string_view phone = kPhone) {
    return fmt::format(R"({{"to":{{"plain":"{}"}},"channel":"CHANNEL_SMS",)"
                       R"("message_class":"MESSAGE_CLASS_{}","template_body":"{}"}})",
                       phone, message_class, text);
  }

  FoldHarness fold_;
};

TEST_F(DirectTest, ATriggersMessageGoesToThePersonNamedWhateverItsConditionSays) {
  const Outputs outputs = Tell(ByTrigger("alert"));
  EXPECT_THAT(Outcomes(outputs), ElementsAre("SEND"));
  ASSERT_EQ(outputs.commands.size(), 1U);
  EXPECT_EQ(outputs.commands[0].to().plain(), kPhone);
  EXPECT_EQ(outputs.commands[0].body().plain(), "Hi 7");
  EXPECT_EQ(outputs.commands[0].sender_id(), "main");
  const v1::Decision decision = OnlyDecision(outputs);
  EXPECT_EQ(decision.trigger_id(), "alert");
  EXPECT_EQ(decision.trigger_version(), 1U);
  EXPECT_EQ(outputs.decisions[0].candidates(), 1U);
}

TEST_F(DirectTest, TheTriggersOfTheEventsTypeAreNotAsked) {
  fold_.Add(Topic::kSiteEvents, fmt::format(R"({{"type":"order","site_event":{{"data":)"
                                            R"({{"plain":"{{\"n\":500}}"}},"direct":{}}}}})",
                                            ByText("Hello")));
  const Outputs outputs = fold_.Run();
  EXPECT_THAT(Outcomes(outputs), ElementsAre("SEND"));
  EXPECT_EQ(outputs.commands.at(0).body().plain(), "Hello");
}

TEST_F(DirectTest, ATextOfItsOwnHasNoTrigger) {
  const Outputs outputs = Tell(ByText("Number {{data.n}}"));
  const v1::Decision decision = OnlyDecision(outputs);
  EXPECT_EQ(decision.outcome(), v1::OUTCOME_SEND);
  EXPECT_EQ(decision.trigger_id(), "");
  EXPECT_EQ(outputs.commands.at(0).body().plain(), "Number 7");
}

TEST_F(DirectTest, EveryGateStopsIt) {
  EXPECT_THAT(Outcomes(Tell(ByText("x", "INFORMATIONAL"))),
              ElementsAre("SUPPRESS CONSENT_MISSING"));
  EXPECT_THAT(Outcomes(Tell(ByText("x", "MARKETING"))), ElementsAre("SUPPRESS CONSENT_MISSING"));
  EXPECT_THAT(Outcomes(Tell(ByText("{{data.absent}}"))), ElementsAre("FAIL TEMPLATE_FAILED"));
  EXPECT_THAT(Outcomes(Tell(ByText("x", "TRANSACTIONAL", "nonsense"))),
              ElementsAre("FAIL RECIPIENT_INVALID"));
  EXPECT_THAT(Outcomes(Tell(ByTrigger("alert"))), ElementsAre("SEND"));
  EXPECT_THAT(Outcomes(Tell(ByTrigger("alert"))), ElementsAre("SEND"));
  EXPECT_THAT(Outcomes(Tell(ByTrigger("alert"))), ElementsAre("SUPPRESS DAILY_CAP"));
  fold_.Change(R"({"plan":{"id":"basic","sends_per_month_max":2}})");
  EXPECT_THAT(Outcomes(Tell(ByText("x"))), ElementsAre("SUPPRESS QUOTA_EXCEEDED"));
  fold_.Add(Topic::kOptOuts, fmt::format(R"({{"opt_out_change":{{"address":{{"plain":"{}"}},)"
                                         R"("address_kind":"ADDRESS_KIND_PHONE","channel":)"
                                         R"("CHANNEL_SMS","status":"OPT_OUT_STATUS_ACTIVE",)"
                                         R"("by":"OPT_OUT_BY_API"}}}})",
                                         kPhone));
  EXPECT_THAT(Outcomes(Tell(ByText("x"))), ElementsAre("SUPPRESS OPTED_OUT"));
}

TEST_F(DirectTest, AnOptOutTakesBackWhatIsOut) {
  const Outputs by_text = Tell(ByText("x"));
  const Outputs by_trigger = Tell(ByTrigger("alert"));
  fold_.Add(Topic::kOptOuts, fmt::format(R"({{"opt_out_change":{{"address":{{"plain":"{}"}},)"
                                         R"("address_kind":"ADDRESS_KIND_PHONE","channel":)"
                                         R"("CHANNEL_SMS","status":"OPT_OUT_STATUS_ACTIVE",)"
                                         R"("by":"OPT_OUT_BY_API"}}}})",
                                         kPhone));
  std::vector<std::string> taken_back;
  for (const auto& command : fold_.Run().commands) {
    EXPECT_EQ(command.kind(), v1::COMMAND_KIND_CANCEL);
    taken_back.push_back(command.notification_id());
  }
  EXPECT_THAT(taken_back, UnorderedElementsAre(by_text.commands.at(0).notification_id(),
                                               by_trigger.commands.at(0).notification_id()));
}

TEST_F(DirectTest, OneThatIsTooOldExpires) {
  fold_.set_delay(25h);
  EXPECT_THAT(Verdicts(Tell(ByText("x"))), ElementsAre("EXPIRED"));
}

TEST_F(DirectTest, TheSameRequestTwiceIsADuplicateAndAnotherOneAConflict) {
  EXPECT_THAT(Verdicts(Tell(ByText("x"), R"("id":"a",)")), ElementsAre("ACCEPTED"));
  EXPECT_THAT(Verdicts(Tell(ByText("x"), R"("id":"a",)")), ElementsAre("DUPLICATE"));
  EXPECT_THAT(DeadLetters(Tell(ByText("y"), R"("id":"a",)")),
              ElementsAre("DEDUPE IDEMPOTENCY_CONFLICT"));
}

TEST_F(DirectTest, AFaultOfTheRequestIsADeadLetterAndLeavesNoState) {
  fold_.Change(R"({"trigger":{"id":"off","event_type":"order","channel":"CHANNEL_SMS",)"
               R"("recipients":{"field":"data.phone"},"template_body":"x","enabled":false,)"
               R"("message_class":"MESSAGE_CLASS_TRANSACTIONAL"}})");
  fold_.Run();
  const std::pair<std::string, std::string> cases[] = {
      {ByTrigger("gone"), "SCHEMA UNKNOWN_TRIGGER"},
      {ByTrigger("off"), "SCHEMA UNKNOWN_TRIGGER"},
      {ByText("{{data.n"), "SCHEMA FIELD_INVALID"},
      {R"({"trigger_id":"alert"})", "SCHEMA FIELD_MISSING"},
      {R"({"to":{"plain":"+1"},"trigger_id":"alert","template_body":"x"})", "SCHEMA FIELD_INVALID"},
      {R"({"to":{"plain":"+1"},"trigger_id":"alert","sender_id":"x"})", "SCHEMA FIELD_INVALID"},
      {R"({"to":{"plain":"+1"},"message_class":"MESSAGE_CLASS_MARKETING","template_body":"x"})",
       "SCHEMA FIELD_MISSING"},
      {R"({"to":{"plain":"+1"},"channel":"CHANNEL_SMS","template_body":"x"})",
       "SCHEMA FIELD_MISSING"},
      {R"({"to":{"plain":"+1"},"channel":"CHANNEL_SMS","message_class":"MESSAGE_CLASS_MARKETING"})",
       "SCHEMA FIELD_MISSING"},
  };
  const std::string root = fold_.RootHex();
  for (const auto& [direct, dead_letter] : cases) {
    const Outputs outputs = Tell(direct, R"("id":"a",)");
    EXPECT_THAT(DeadLetters(outputs), ElementsAre(dead_letter)) << direct;
    EXPECT_THAT(outputs.decisions, IsEmpty());
    EXPECT_EQ(fold_.RootHex(), root) << direct;
  }
}

TEST_F(DirectTest, OnlyASecretKeyAndTheSystemNamePeople) {
  for (const auto& [trust, allowed] :
       {std::pair("SECRET", true), std::pair("SYSTEM", true), std::pair("PUBLISHABLE", false),
        std::pair("KAFKA", false), std::pair("WEBHOOK", false)}) {
    const Outputs outputs = Tell(ByText("x"), fmt::format(R"("trust":"TRUST_{}",)", trust));
    EXPECT_EQ(outputs.dead_letters.empty(), allowed) << trust;
  }
}

TEST_F(DirectTest, TwoPeopleAndTwoTextsAreTwoNotifications) {
  const Outputs first = Tell(ByText("x"));
  const Outputs second = Tell(ByText("x", "TRANSACTIONAL", "+254700000002"));
  EXPECT_NE(first.commands.at(0).notification_id(), second.commands.at(0).notification_id());
}

TEST_F(DirectTest, VersionTwoDoesNotKnowIt) {
  fold_.set_engine_version(2);
  EXPECT_THAT(Verdicts(Tell(ByText("x"))), ElementsAre("NO_MATCH"));
}

}  // namespace
}  // namespace alertstream::engine

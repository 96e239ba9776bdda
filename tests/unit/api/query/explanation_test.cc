#include "api/query/explanation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream::api {
namespace {

using ::testing::HasSubstr;

TEST(ExplanationTest, GatesHaveWordsAndSources) {
  EXPECT_EQ(
      ExplainGates(R"([{"gate": "daily_cap", "limit": 3, "verdict": "stopped", "observed": 3},)"
                   R"({"gate": "opt_out", "verdict": "passed",)"
                   R"( "source": {"topic": "opt-outs", "offset": 7, "partition": 2}}])"),
      R"([{"gate":"daily_cap","verdict":"stopped","observed":3,"limit":3,)"
      R"("text":"3 of 3 in 24 h","source":null},)"
      R"({"gate":"opt_out","verdict":"passed","observed":0,"limit":0,"text":"none",)"
      R"("source":{"topic":"opt-outs","partition":2,"offset":7}}])");
  EXPECT_EQ(ExplainGates("[]"), "[]");
  EXPECT_EQ(ExplainGates("no json"), "[]");
}

read_model::Decision Suppressed() {
  read_model::Decision decision;
  decision.id = "dec_1";
  decision.event_id = "evt_1";
  decision.trigger_id = "late";
  decision.trigger_version = 3;
  decision.channel = "sms";
  decision.message_class = "transactional";
  decision.outcome = "suppress";
  decision.reason = "cooldown";
  decision.gates =
      R"([{"gate":"expiry","verdict":"passed","observed":1000,"limit":86400000000},)"
      R"({"gate":"condition","verdict":"passed","observed":4,"limit":10000},)"
      R"({"gate":"recipient","verdict":"passed"},{"gate":"channel","verdict":"passed"},)"
      R"({"gate":"cooldown","verdict":"stopped","observed":60000000,"limit":3600000000}])";
  decision.recipient = "rcp_1";
  decision.partition = 2;
  decision.seq = 40;
  return decision;
}

std::optional<read_model::TriggerVersion> Version() {
  return read_model::TriggerVersion{
      .id = "late",
      .version = 3,
      .is_current = true,
      .definition = R"({"kind":"trigger","id":"late","name":"Late payment",)"
                    R"x("when":"event.data.amount >= 1000 && has(event.data.name)"})x"};
}

TEST(ExplanationTest, SaysWhichPartOfTheConditionHeldAndWhatWasNotLookedAt) {
  schemas::JsonDocument data;
  ASSERT_TRUE(data.Parse(R"({"amount":1500})").ok());
  const engine::ConditionEvent event{
      .id = "1", .type = "t", .source = "s", .time = {}, .data = data.root()};
  const std::string json =
      ExplainDecision({.decision = Suppressed(), .trigger = Version(), .event = &event});
  EXPECT_THAT(json, HasSubstr(R"("outcome":"suppress","reason":"cooldown")"));
  EXPECT_THAT(json, HasSubstr(R"("trigger":{"id":"late","version":3,"name":"Late payment",)"));
  EXPECT_THAT(json, HasSubstr(R"({"gate":"recipient","verdict":"passed","observed":0,"limit":0,)"
                              R"("text":"rcp_1","source":null})"));
  EXPECT_THAT(json, HasSubstr(R"("text":"last sent 1m ago, 1h apart")"));
  EXPECT_THAT(
      json,
      HasSubstr(R"("not_evaluated":["consent","opt_out","daily_cap","plan_quota","template"])"));
  EXPECT_THAT(json,
              HasSubstr(R"("conditions":[{"text":"event.data.amount >= 1000","outcome":"holds"},)"
                        R"x({"text":"has(event.data.name)","outcome":"does not hold"}])x"));
  EXPECT_THAT(json, HasSubstr(R"("journal":{"partition":2,"seq":40})"));
}

TEST(ExplanationTest, WithoutTheEventOrTheVersionTheConditionsAreNotKnown) {
  EXPECT_THAT(ExplainDecision({.decision = Suppressed(), .trigger = Version()}),
              HasSubstr(R"("conditions":null)"));
  const std::string json = ExplainDecision({.decision = Suppressed(), .trigger = std::nullopt});
  EXPECT_THAT(json, HasSubstr(R"("conditions":null)"));
  EXPECT_THAT(json, HasSubstr(R"("name":null,"when":null,"current":null)"));
}

TEST(ExplanationTest, WhoIsToldOutrightMeetsNoCondition) {
  EXPECT_THAT(ExplainDecision({.decision = Suppressed(), .trigger = Version(), .is_direct = true}),
              HasSubstr(R"("conditions":[])"));
}

}  // namespace
}  // namespace alertstream::api

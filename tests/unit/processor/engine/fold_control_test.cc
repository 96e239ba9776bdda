// The fold over account changes: what is accepted, what is rejected, and what is in force after.
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/fold_harness.h"

namespace alertstream::engine {
namespace {

using schemas::Topic;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// A trigger `t` on events of type `order`; `more` may say whom and whether it is enabled.
std::string TriggerWith(std::string_view when, std::string_view body = "Hi",
                        std::string_view more = "") {
  const auto given = [&](std::string_view name) {
    return more.find(name) != std::string_view::npos;
  };
  return fmt::format(
      R"({{"trigger":{{"id":"t","event_type":"order","channel":"CHANNEL_SMS","template_body":"{}",)"
      R"("when":"{}","message_class":"MESSAGE_CLASS_TRANSACTIONAL"{}{}{}{}}}}})",
      body, when, given("enabled") ? "" : R"(,"enabled":true)",
      given("recipients") ? "" : R"(,"recipients":{"field":"data.phone"})", more.empty() ? "" : ",",
      more);
}

class FoldControlTest : public ::testing::Test {
 protected:
  FoldControlTest() {
    fold_.AddTenant();
    fold_.Run();
  }

  FoldHarness fold_;
};

TEST_F(FoldControlTest, EveryChangeRaisesTheVersionAndTheSameChangesNothing) {
  fold_.Change(TriggerWith(""));
  fold_.Change(TriggerWith("event.data.amount > 1"));
  fold_.Change(TriggerWith("event.data.amount > 1"));
  const Outputs outputs = fold_.Run();
  EXPECT_THAT(Facts(outputs),
              ElementsAre("trigger ACCEPTED", "trigger ACCEPTED", "trigger ACCEPTED"));
  EXPECT_EQ(outputs.facts[0].version(), 1U);
  EXPECT_EQ(outputs.facts[1].version(), 2U);
  EXPECT_EQ(outputs.facts[2].version(), 2U);
  fold_.Event(R"({"phone":"+254700000001","amount":2})");
  EXPECT_EQ(OnlyDecision(fold_.Run()).trigger_version(), 2U);
}

TEST_F(FoldControlTest, AnotherExpectedVersionIsRejected) {
  struct Case {
    std::string change;
    std::string fact;
    std::uint64_t version;
  };
  const std::vector<Case> cases = {
      {R"({"expected_version":2,"plan":{"id":"basic","sends_per_month_max":5}})",
       "plan VERSION_MISMATCH", 1},
      {R"({"expected_version":1,"plan":{"id":"basic","sends_per_month_max":5}})", "plan ACCEPTED",
       2},
      {R"({"expected_version":1,"plan":{"id":"basic","sends_per_month_max":6}})",
       "plan VERSION_MISMATCH", 2},
      {R"({"expected_version":7,"site":{"id":"new","status":"SITE_STATUS_ACTIVE"}})",
       "site VERSION_MISMATCH", 0},
      {R"({"expected_version":3,"tenant":{"status":"TENANT_STATUS_CLOSED"}})",
       "tenant_change VERSION_MISMATCH", 1},
      {R"({"expected_version":3,"sender":{"id":"main","provider":"x"}})", "sender VERSION_MISMATCH",
       1},
  };
  for (const auto& each : cases) {
    fold_.Change(each.change);
    const Outputs outputs = fold_.Run();
    EXPECT_THAT(Facts(outputs), ElementsAre(each.fact)) << each.change;
    EXPECT_EQ(outputs.facts[0].version(), each.version) << each.change;
  }
  fold_.Event("{}");
  EXPECT_THAT(Verdicts(fold_.Run()), ElementsAre("NO_MATCH"));  // Not closed.
}

TEST_F(FoldControlTest, AnInvalidTriggerIsRejectedAndTheOldOneStays) {
  fold_.Change(TriggerWith(""));
  fold_.Run();
  struct Case {
    std::string change;
    std::string fact;
    std::string detail;
  };
  const std::vector<Case> cases = {
      {TriggerWith("event.data. > 1"), "trigger INVALID_CONDITION", "line 1"},
      {TriggerWith("unknown > 1"), "trigger INVALID_CONDITION", "line 1"},
      {TriggerWith("", "{{#open}}"), "trigger INVALID_TEMPLATE", "line 1"},
      {TriggerWith("", "Hi", R"("recipients":{"list":{"addresses":[{"plain":"0700123456"}]}})"),
       "trigger INVALID_FIELD", "recipients.list[0]"},
  };
  for (const auto& each : cases) {
    fold_.Change(each.change);
    const Outputs outputs = fold_.Run();
    ASSERT_THAT(Facts(outputs), ElementsAre(each.fact)) << each.change;
    EXPECT_THAT(outputs.facts[0].detail(), HasSubstr(each.detail));
    EXPECT_THAT(outputs.facts[0].detail(), Not(HasSubstr("0700123456")));
  }
  fold_.Event(R"({"phone":"+254700000001"})");
  EXPECT_EQ(OnlyDecision(fold_.Run()).trigger_version(), 1U);
}

TEST_F(FoldControlTest, ADisabledTriggerIsNoCandidate) {
  fold_.Change(TriggerWith(""));
  fold_.Event(R"({"phone":"+254700000001"})");
  EXPECT_EQ(fold_.Run().decisions[0].candidates(), 1U);
  fold_.Change(TriggerWith("", "Hi", R"("enabled":false)"));
  fold_.Event(R"({"phone":"+254700000001"})");
  const Outputs outputs = fold_.Run();
  EXPECT_THAT(Verdicts(outputs), ElementsAre("NO_MATCH"));
  EXPECT_EQ(outputs.decisions[0].candidates(), 0U);
}

TEST_F(FoldControlTest, ATenantHasALimitOfTriggers) {
  for (std::size_t i = 0; i < kTriggersPerTenantMax; ++i) {
    fold_.Change(fmt::format(R"({{"trigger":{{"id":"t{}","event_type":"order",)"
                             R"("channel":"CHANNEL_SMS","template_body":"Hi",)"
                             R"("recipients":{{"field":"data.phone"}},)"
                             R"("message_class":"MESSAGE_CLASS_TRANSACTIONAL"}}}})",
                             i));
  }
  fold_.Run();
  fold_.Change(TriggerWith(""));
  EXPECT_THAT(Facts(fold_.Run()), ElementsAre("trigger LIMIT"));
}

TEST_F(FoldControlTest, ChangesOfAnUnknownTenantAreRejected) {
  fold_.Change(R"({"site":{"id":"s","status":"SITE_STATUS_ACTIVE"}})", "nobody");
  fold_.Change(R"({"plan":{"id":"p"}})", "nobody");
  fold_.Change(R"({"sender":{"id":"s","provider":"x"}})", "nobody");
  fold_.Change(TriggerWith(""), "nobody");
  EXPECT_THAT(Facts(fold_.Run()), ElementsAre("site UNKNOWN_TENANT", "plan UNKNOWN_TENANT",
                                              "sender UNKNOWN_TENANT", "trigger UNKNOWN_TENANT"));
}

TEST_F(FoldControlTest, TheEngineVersionIsNeverLowered) {
  fold_.set_engine_version(2);
  const auto activate = [&](int version) {
    fold_.Add(Topic::kAccountChanges,
              fmt::format(R"({{"account_change":{{"engine_activate":{{"engine_version":{}}}}}}})",
                          version),
              "_log");
    return Facts(fold_.Run());
  };
  EXPECT_THAT(activate(1), ElementsAre("engine ENGINE_VERSION"));
  EXPECT_THAT(activate(2), ElementsAre("engine ENGINE_VERSION"));
  EXPECT_THAT(activate(3), ElementsAre("engine ACCEPTED"));
}

TEST_F(FoldControlTest, TheDefaultSenderIsTheOneAskedForLast) {
  fold_.Change(TriggerWith(""));
  const auto sender_of_event = [&] {
    fold_.Event(R"({"phone":"+254700000001"})");
    const Outputs outputs = fold_.Run();
    return outputs.commands.size() == 1 ? outputs.commands[0].sender_id() : "no command";
  };
  EXPECT_EQ(sender_of_event(), "main");
  fold_.Change(R"({"sender":{"id":"new","provider":"fake","is_default":true}})");
  EXPECT_EQ(sender_of_event(), "new");
  fold_.Change(R"({"sender":{"id":"third","provider":"fake"}})");
  EXPECT_EQ(sender_of_event(), "new");
}

}  // namespace
}  // namespace alertstream::engine

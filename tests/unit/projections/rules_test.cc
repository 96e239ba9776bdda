#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "projections/accounts.h"
#include "projections/audit_log.h"
#include "projections/triggers.h"
#include "projections/usage.h"
#include "tests/unit/projections/batch_builder.h"

namespace alertstream::projections {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

v1::Trigger& AddTrigger(BatchBuilder* builder, std::uint64_t version) {
  v1::Fact& fact = builder->Fact();
  fact.set_actor("usr_ann");
  fact.set_version(version);
  v1::Trigger* trigger = fact.mutable_trigger()->mutable_trigger();
  trigger->set_id("paid");
  trigger->set_event_type("order");
  trigger->mutable_recipients()->set_field("data.phone");
  trigger->set_channel(v1::CHANNEL_SMS);
  trigger->set_template_body("Hi");
  trigger->set_message_class(v1::MESSAGE_CLASS_TRANSACTIONAL);
  trigger->set_cooldown_us(std::int64_t{3600} * 1'000'000);
  trigger->set_enabled(true);
  return *trigger;
}

TEST(TriggersProjectionTest, ADefinitionIsTheDocumentOfARulesFile) {
  BatchBuilder builder;
  AddTrigger(&builder, 1);
  TriggersProjection triggers;
  triggers.Fold(builder.batch());
  ASSERT_EQ(triggers.made().size(), 1U);
  EXPECT_EQ(triggers.made()[0].definition,
            R"({"id":"paid","event_type":"order","recipients":{"field":"data.phone"},)"
            R"("channel":"sms","template":{"body":"Hi"},"message_class":"transactional",)"
            R"("cooldown":"1h","allow_public":false,"enabled":true})");
  EXPECT_EQ(triggers.made()[0].recipients_sealed, std::nullopt);
}

TEST(TriggersProjectionTest, AddressesOfAListAreMaskedAndKeptSealed) {
  BatchBuilder builder;
  v1::Trigger& trigger = AddTrigger(&builder, 1);
  trigger.mutable_recipients()->mutable_list()->add_addresses()->set_plain("+254700000001");
  TriggersProjection triggers;
  triggers.Fold(builder.batch());
  const TriggerRow& row = triggers.made()[0];
  EXPECT_THAT(row.definition, HasSubstr(R"("recipients":{"list":["+254700***001"]})"));
  EXPECT_THAT(row.definition, Not(HasSubstr("+254700000001")));
  EXPECT_EQ(row.recipients_sealed, trigger.recipients().SerializeAsString());
}

TEST(TriggersProjectionTest, AVersionThatIsToldAgainIsTheSameRow) {
  BatchBuilder first(7);
  AddTrigger(&first, 1);
  AddTrigger(&first, 2);
  BatchBuilder again(8);
  AddTrigger(&again, 2);
  TriggersProjection triggers;
  triggers.Fold(first.batch());
  triggers.Fold(again.batch());
  ASSERT_EQ(triggers.made().size(), 2U);
  EXPECT_EQ(triggers.made()[1].seq, 7);
}

void AddSender(BatchBuilder* builder, const std::string& id, bool is_default,
               std::uint64_t version) {
  v1::Fact& fact = builder->Fact();
  fact.set_version(version);
  auto* sender = fact.mutable_sender()->mutable_sender();
  sender->set_id(id);
  sender->set_is_default(is_default);
  sender->set_channel(v1::CHANNEL_SMS);
}

TEST(AccountsProjectionTest, TheHighestVersionStays) {
  BatchBuilder builder;
  for (const std::uint64_t version : {1U, 2U, 2U}) {
    v1::Fact& fact = builder.Fact();
    fact.set_version(version);
    auto* plan = fact.mutable_plan()->mutable_plan();
    plan->set_id("basic");
    plan->set_sends_per_month_max(static_cast<std::int64_t>(version) * 100);
  }
  AccountsProjection accounts;
  accounts.Fold(builder.batch());
  ASSERT_EQ(accounts.plans().size(), 1U);
  EXPECT_EQ(accounts.plans()[0].sends_per_month_max, 200);
  EXPECT_EQ(accounts.plans()[0].version, 2);
}

TEST(AccountsProjectionTest, WhoBecomesTheDefaultTakesItFromTheOneBefore) {
  struct Step {
    const char* id;
    bool is_default;
  };
  struct Case {
    std::vector<Step> steps;
    std::map<std::string, std::string> defaults;
  };
  const std::vector<Case> cases = {{{{"a", true}}, {{"acme", "a"}}},
                                   {{{"a", true}, {"b", true}}, {{"acme", "b"}}},
                                   {{{"a", true}, {"b", true}, {"a", true}}, {{"acme", "a"}}},
                                   {{{"a", true}, {"a", false}}, {{"acme", ""}}},
                                   {{{"a", true}, {"b", false}}, {{"acme", "a"}}},
                                   {{{"a", false}}, {}}};
  for (const Case& c : cases) {
    BatchBuilder builder;
    for (const Step& step : c.steps) {
      AddSender(&builder, step.id, step.is_default, 1);
    }
    AccountsProjection accounts;
    accounts.Fold(builder.batch());
    EXPECT_EQ(accounts.defaults(), c.defaults);
  }
}

TEST(AccountsProjectionTest, RejectedChangesChangeNothing) {
  BatchBuilder builder;
  AddSender(&builder, "a", true, 1);
  const_cast<v1::Fact*>(builder.batch().facts[0])->set_result(v1::FACT_RESULT_REJECTED);
  AccountsProjection accounts;
  accounts.Fold(builder.batch());
  EXPECT_EQ(accounts.rows(), 0U);
  EXPECT_TRUE(accounts.defaults().empty());
}

TEST(UsageProjectionTest, TheLastCountOfAMonthStays) {
  UsageProjection usage;
  for (const auto& [month, sends] : {std::pair(202611U, 5), {202611U, 9}, {202612U, 1}}) {
    BatchBuilder builder;
    auto* about = builder.Fact().mutable_usage();
    about->set_month(month);
    about->set_sends(sends);
    about->set_sends_max(100);
    usage.Fold(builder.batch());
  }
  ASSERT_EQ(usage.made().size(), 2U);
  EXPECT_EQ(usage.made()[0].sends, 9);
  EXPECT_EQ(usage.made()[1].month, 202612);
}

TEST(AuditLogProjectionTest, FactsWithAnActorAreListedWithTheirOutcome) {
  BatchBuilder builder;
  AddTrigger(&builder, 3);
  v1::Fact& rejected = builder.Fact();
  rejected.set_actor("key_1");
  rejected.set_result(v1::FACT_RESULT_REJECTED);
  rejected.set_reject_reason(v1::REJECT_REASON_OPT_OUT_BY_RECIPIENT);
  rejected.mutable_opt_out()->set_recipient_token(IdBytesOf('r'));
  rejected.mutable_opt_out()->set_status(v1::OPT_OUT_STATUS_REMOVED);
  builder.Fact().mutable_usage()->set_month(202611);  // Nobody's act.
  AuditLogProjection audit;
  audit.Fold(builder.batch());
  ASSERT_EQ(audit.made().size(), 2U);
  EXPECT_EQ(audit.made()[0].action, "trigger.change");
  EXPECT_EQ(audit.made()[0].subject, "paid");
  EXPECT_EQ(audit.made()[0].actor, "usr_ann");
  EXPECT_THAT(audit.made()[0].detail, HasSubstr(R"("version":3)"));
  EXPECT_EQ(audit.made()[1].action, "opt_out.change.rejected");
  EXPECT_EQ(audit.made()[1].subject, FormatId(IdKind::kRecipient, IdBytesOf('r')));
  EXPECT_THAT(audit.made()[1].detail, HasSubstr(R"("reject_reason":"opt_out_by_recipient")"));
  EXPECT_EQ(audit.made()[1].id, (7 << 14) + 1);
}

}  // namespace
}  // namespace alertstream::projections

#include "api/resources/resource_answer.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream::api {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(ResourceAnswerTest, IfMatchTakesOneTagOfOursOrAny) {
  struct Case {
    std::string value;
    bool ok;
    std::uint64_t version;
  };
  for (const Case& each :
       {Case{"\"1\"", true, 1}, Case{"\"18446744073709551615\"", true, ~0ULL}, Case{"*", true, 0},
        Case{"", false, 0}, Case{"1", false, 0}, Case{"\"\"", false, 0}, Case{"\"0\"", false, 0},
        Case{"\"a\"", false, 0}, Case{"\"1", false, 0}, Case{"W/\"1\"", false, 0},
        Case{"\"1\", \"2\"", false, 0}, Case{"\"-1\"", false, 0},
        Case{"\"18446744073709551616\"", false, 0}}) {
    http::Headers headers;
    headers.Add("if-match", each.value);
    const auto read = IfMatchOf(headers);
    EXPECT_EQ(read.ok(), each.ok) << each.value;
    if (read.ok()) {
      EXPECT_EQ(read.value().version, each.version) << each.value;
    }
  }
  EXPECT_FALSE(IfMatchOf({}).value().version.has_value());
  http::Headers twice;
  twice.Add("If-Match", "\"1\"");
  twice.Add("If-Match", "\"1\"");
  EXPECT_FALSE(IfMatchOf(twice).ok());
}

TEST(ResourceAnswerTest, EachRejectionHasItsStatusAndCode) {
  struct Case {
    v1::RejectReason reason;
    int status;
    std::string_view code;
  };
  for (const Case& each :
       {Case{v1::REJECT_REASON_VERSION_MISMATCH, 412, "precondition_failed"},
        Case{v1::REJECT_REASON_OPT_OUT_BY_RECIPIENT, 409, "opt_out_by_recipient"},
        Case{v1::REJECT_REASON_UNKNOWN_TENANT, 409, "unknown_tenant"},
        Case{v1::REJECT_REASON_LIMIT, 409, "limit_reached"},
        Case{v1::REJECT_REASON_NOT_OPTED_OUT, 409, "not_opted_out"},
        Case{v1::REJECT_REASON_OLDER_THAN_PRESENT, 409, "older_than_present"},
        Case{v1::REJECT_REASON_UNKNOWN_DEAD_LETTER, 409, "unknown_dead_letter"},
        Case{v1::REJECT_REASON_RETRIED_BEFORE, 409, "retried_before"},
        Case{v1::REJECT_REASON_ACTED_ON_BEFORE, 409, "acted_on_before"},
        Case{v1::REJECT_REASON_TOO_OLD, 409, "too_old"},
        Case{v1::REJECT_REASON_INVALID_CONDITION, 422, "validation_failed"},
        Case{v1::REJECT_REASON_INVALID_TEMPLATE, 422, "validation_failed"},
        Case{v1::REJECT_REASON_INVALID_FIELD, 422, "validation_failed"},
        Case{v1::REJECT_REASON_ENGINE_VERSION, 409, "conflict"}}) {
    v1::Fact fact;
    fact.set_result(v1::FACT_RESULT_REJECTED);
    fact.set_reject_reason(each.reason);
    fact.set_detail("why");
    const auto problem = RejectionOf(fact);
    EXPECT_EQ(problem.status, each.status) << each.code;
    EXPECT_EQ(problem.code, each.code);
    EXPECT_THAT(http::Problem(problem).body, HasSubstr("why"));
  }
}

TEST(ResourceAnswerTest, AddressesOfAListAreMaskedUnlessTheyAreRevealed) {
  v1::TriggerRecipients recipients;
  recipients.mutable_list()->add_addresses()->set_plain("+254700000001");
  read_model::Trigger trigger{.id = "ops", .version = 2};
  trigger.definition = R"({"id":"ops","recipients":{"list":["+25470***001"]},"enabled":true})";
  trigger.recipients_sealed = recipients.SerializeAsString();
  EXPECT_THAT(TriggerFields(trigger, false).ToJson(), HasSubstr("+25470***001"));
  EXPECT_THAT(TriggerFields(trigger, false).ToJson(), Not(HasSubstr("+254700000001")));
  EXPECT_THAT(TriggerFields(trigger, true).ToJson(),
              HasSubstr(R"("recipients":{"list":["+254700000001"]})"));
  EXPECT_THAT(TriggerVersionFields(trigger, false).ToJson(), HasSubstr(R"("current":false)"));
}

}  // namespace
}  // namespace alertstream::api

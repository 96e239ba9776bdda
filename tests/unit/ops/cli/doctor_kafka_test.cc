#include "ops/cli/doctor_kafka.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream::cli {
namespace {

using log::KafkaResource;
using ::testing::HasSubstr;

log::KafkaLogOptions Options() {
  log::KafkaLogOptions options;
  options.bootstrap = "b:9093";
  options.settings["sasl.username"] = "processor";
  return options;
}

TEST(DescribeRightsTest, SaysWhenNothingIsMissing) {
  const auto check = DescribeRights(Options(), {.missing = {}, .tried = 54});
  EXPECT_EQ(check.result, CheckResult::kOk);
  EXPECT_EQ(check.text, "none of 54 is missing");
}

TEST(DescribeRightsTest, GrantsTheSameRightsToSeveralTopicsAtOnce) {
  const auto check = DescribeRights(Options(), {.missing = {{"Read", KafkaResource::kTopic, "a"},
                                                            {"Write", KafkaResource::kTopic, "a"},
                                                            {"Write", KafkaResource::kTopic, "b"},
                                                            {"Read", KafkaResource::kTopic, "c"},
                                                            {"Write", KafkaResource::kTopic, "c"}},
                                                .tried = 9});
  EXPECT_EQ(check.result, CheckResult::kFailed);
  EXPECT_EQ(check.text,
            "missing: Read, Write on topic a, c; Write on topic b. Fix, as an administrator of the "
            "cluster: kafka-acls.sh --bootstrap-server b:9093 --add --allow-principal "
            "User:processor --operation Read --operation Write --topic a --topic c && "
            "kafka-acls.sh --bootstrap-server b:9093 --add --allow-principal User:processor "
            "--operation Write --topic b");
}

TEST(DescribeRightsTest, WhoMayNotSeeATopicNeedsEveryRightToIt) {
  const auto check = DescribeRights(
      Options(), {.missing = {{"Describe", KafkaResource::kTopic, "a"}}, .tried = 1});
  EXPECT_EQ(check.result, CheckResult::kFailed);
  EXPECT_THAT(check.text, HasSubstr("--operation DescribeConfigs --operation Read --operation "
                                    "Write --topic a"));
}

TEST(DescribeRightsTest, WithoutTheTransactionalIdWritesAreNotKnown) {
  const auto check = DescribeRights(
      Options(), {.missing = {{"Write", KafkaResource::kTransactionalId, "p-alertstream-"}},
                  .tried = 9,
                  .writes_known = false});
  EXPECT_THAT(check.text, HasSubstr("which topics may be written is not known"));
  EXPECT_THAT(check.text, HasSubstr("--transactional-id p-alertstream- --resource-pattern-type "
                                    "prefixed"));
}

TEST(DescribeRightsTest, OnlyTheSettingsOfTopicsAreAWarning) {
  const auto check = DescribeRights(
      Options(), {.missing = {{"DescribeConfigs", KafkaResource::kTopic, "a"}}, .tried = 9});
  EXPECT_EQ(check.result, CheckResult::kWarning);
}

}  // namespace
}  // namespace alertstream::cli

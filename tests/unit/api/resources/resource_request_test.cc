#include "api/resources/resource_request.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schemas/envelope.pb.h"

namespace alertstream::api {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const ResourceContext kContext{
    .tenant = "acme", .actor = "usr_1", .now = FromMicros(1'795'176'000'000'000), .partitions = 3};

v1::Envelope EnvelopeOf(const ResourceParse& parsed) {
  v1::Envelope envelope;
  if (const auto* problem = std::get_if<http::ProblemDetails>(&parsed)) {
    ADD_FAILURE() << http::Problem(*problem).body;
  } else {
    EXPECT_TRUE(envelope.ParseFromString(std::get<ResourceChange>(parsed).record.value));
  }
  return envelope;
}

std::string ProblemOf(const ResourceParse& parsed) {
  const auto* problem = std::get_if<http::ProblemDetails>(&parsed);
  return problem == nullptr ? "" : http::Problem(*problem).body;
}

const std::string kTrigger =
    R"("event_type":"order","channel":"sms","recipients":{"field":"data.phone"},)"
    R"("template":{"body":"Hi"},"message_class":"transactional"})";

TEST(ResourceRequestTest, ATriggerBecomesAChangeOfItsTenant) {
  const auto parsed = ParseTrigger("{\"name\":\"N\"," + kTrigger, kContext,
                                   {.path_id = "one", .expected_version = 4});
  const auto envelope = EnvelopeOf(parsed);
  EXPECT_EQ(envelope.tenant(), "acme");
  EXPECT_EQ(envelope.routing_key(), "acme");
  EXPECT_EQ(envelope.type(), "account.trigger");
  EXPECT_EQ(envelope.trust(), v1::TRUST_SYSTEM);
  EXPECT_EQ(envelope.actor(), "usr_1");
  EXPECT_EQ(envelope.account_change().expected_version(), 4U);
  EXPECT_EQ(envelope.account_change().trigger().id(), "one");
  EXPECT_EQ(envelope.account_change().trigger().name(), "N");
  EXPECT_TRUE(envelope.account_change().trigger().enabled());
  const auto& change = std::get<ResourceChange>(parsed);
  EXPECT_EQ(change.id, "one");
  EXPECT_EQ(change.record.topic, schemas::Topic::kAccountChanges);
  EXPECT_EQ(change.record.partition, schemas::PartitionOf("acme", 3));
}

TEST(ResourceRequestTest, TheIdIsThePathsTheBodysOrANewOne) {
  EXPECT_EQ(EnvelopeOf(ParseTrigger("{\"id\":\"own\"," + kTrigger, kContext, {.default_id = "new"}))
                .account_change()
                .trigger()
                .id(),
            "own");
  EXPECT_EQ(EnvelopeOf(ParseTrigger("{" + kTrigger, kContext, {.default_id = "new"}))
                .account_change()
                .trigger()
                .id(),
            "new");
  EXPECT_THAT(ProblemOf(ParseTrigger("{\"id\":\"own\"," + kTrigger, kContext, {.path_id = "one"})),
              HasSubstr(R"("pointer":"#/id")"));
}

TEST(ResourceRequestTest, MembersOfOtherFormsAreUnknown) {
  for (const std::string_view member :
       {"kind", "tenant", "expected_version", "reason", "version", "object"}) {
    const std::string body = "{\"" + std::string(member) + "\":\"x\"," + kTrigger;
    EXPECT_THAT(ProblemOf(ParseTrigger(body, kContext, {.path_id = "one"})),
                HasSubstr("\"pointer\":\"#/" + std::string(member) + "\""));
  }
}

TEST(ResourceRequestTest, WhatIsNoJsonOrNoObjectIsRefused) {
  for (const std::string_view body : {"", "{", "nope", "{\"a\":1,\"a\":2}"}) {
    EXPECT_THAT(ProblemOf(ParseTrigger(body, kContext, {})), HasSubstr("malformed_request"));
    EXPECT_THAT(ProblemOf(ParseConsent(body, kContext)), HasSubstr("malformed_request"));
    EXPECT_THAT(ProblemOf(ParseOptOut(body, kContext)), HasSubstr("malformed_request"));
  }
  for (const std::string_view body : {"[]", "null", "1", "\"x\""}) {
    EXPECT_THAT(ProblemOf(ParseTrigger(body, kContext, {})), HasSubstr("validation_failed"));
    EXPECT_THAT(ProblemOf(ParseConsent(body, kContext)), HasSubstr("validation_failed"));
  }
}

TEST(ResourceRequestTest, AConditionsFaultSaysWhere) {
  const auto faults = std::get<std::vector<BodyFault>>(
      FaultsOfTrigger("{\"when\":\"event.data.a ==\\n  == 1\"," + kTrigger));
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_EQ(faults[0].pointer, "#/when");
  EXPECT_EQ(faults[0].line, 2);
  EXPECT_EQ(faults[0].column, 3);
  EXPECT_THAT(std::get<std::vector<BodyFault>>(FaultsOfTrigger("{" + kTrigger)), IsEmpty());
  EXPECT_EQ(std::get<http::ProblemDetails>(FaultsOfTrigger("{")).status, 400);
}

TEST(ResourceRequestTest, FaultsRepeatNoAddress) {
  const std::string body = R"({"recipients":{"list":["+99 700 000 001","+254700000001",)"
                           R"("+254 700000001"]},"event_type":"a","channel":"sms",)"
                           R"("template":{"body":"x"},"message_class":"marketing"})";
  const std::string problem = ProblemOf(ParseTrigger(body, kContext, {.path_id = "one"}));
  EXPECT_THAT(problem, HasSubstr(R"("pointer":"#/recipients/list/0")"));
  EXPECT_THAT(problem, HasSubstr(R"("pointer":"#/recipients/list/2")"));
  EXPECT_THAT(problem, Not(HasSubstr("700")));
  EXPECT_THAT(ProblemOf(ParseOptOut(R"({"phone":"0700000001","status":"active"})", kContext)),
              Not(HasSubstr("0700")));
}

TEST(ResourceRequestTest, AConsentsTimeIsItsEvidences) {
  const std::string head = R"({"phone":"+254700000001","class":"marketing","status":"granted",)";
  const auto envelope =
      EnvelopeOf(ParseConsent(head + R"("at":"2026-01-31T08:00:00Z"})", kContext));
  EXPECT_EQ(envelope.consent_change().evidence().at_us(), 1'769'846'400'000'000);
  EXPECT_EQ(envelope.consent_change().channel(), v1::CHANNEL_ALL);
  EXPECT_EQ(envelope.consent_change().source(), "api");
  EXPECT_FALSE(EnvelopeOf(ParseConsent(head + R"("source":"paper"})", kContext))
                   .consent_change()
                   .has_evidence());
  EXPECT_THAT(ProblemOf(ParseConsent(head + R"("at":"2026-01-31T08:00:00Z","evidence":{"kind":"x",)"
                                            R"("at":"2026-01-31T08:00:00Z"}})",
                                     kContext)),
              HasSubstr(R"("pointer":"#/at")"));
}

TEST(ResourceRequestTest, AnOptOutOfATenantsSystemIsNotThePersonsOwn) {
  const auto change =
      EnvelopeOf(ParseOptOut(R"({"phone":"+254700000001","status":"active"})", kContext))
          .opt_out_change();
  EXPECT_EQ(change.by(), v1::OPT_OUT_BY_API);
  EXPECT_EQ(change.reason(), "api");
  EXPECT_EQ(EnvelopeOf(ParseOptOut(R"({"phone":"+254700000001","status":"active",)"
                                   R"("source":"support","reason":"because"})",
                                   kContext))
                .opt_out_change()
                .reason(),
            "because");
}

TEST(ResourceRequestTest, ALookUpNormalisesAsTheFoldDoes) {
  EXPECT_EQ(
      std::get<Redacted<std::string>>(ParseLookup(R"({"phone":"00254 (700) 000-001"})")).Reveal(),
      "+254700000001");
  EXPECT_EQ(std::get<http::ProblemDetails>(ParseLookup(R"({"phone":""})")).status, 422);
}

TEST(ResourceRequestTest, ADeletionNamesNoMoreThanTheTrigger) {
  v1::Envelope envelope;
  const auto change = TriggerDeletion("one", kContext, 7);
  ASSERT_TRUE(envelope.ParseFromString(change.record.value));
  EXPECT_TRUE(envelope.account_change().trigger().deleted());
  EXPECT_EQ(envelope.account_change().expected_version(), 7U);
}

}  // namespace
}  // namespace alertstream::api

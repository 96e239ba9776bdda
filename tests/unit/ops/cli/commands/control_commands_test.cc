// The writing commands when a server owns the log: they send documents and tell what it answered.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "ops/cli/commands/dead_letters.h"
#include "ops/cli/commands/decide.h"
#include "ops/cli/commands/people.h"
#include "ops/cli/commands/rules.h"
#include "ops/cli/no_log.h"
#include "schemas/topics.h"

namespace alertstream::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// Answers what it was told to, and remembers what it was sent.
class FakeControl final : public ControlPort {
 public:
  Result<std::vector<ControlResult>> Send(std::string_view tenant,
                                          const std::vector<std::string>& documents,
                                          Wait wait) override {
    tenants.emplace_back(tenant);
    sent.insert(sent.end(), documents.begin(), documents.end());
    waits.push_back(wait);
    if (error) {
      return *error;
    }
    std::vector<ControlResult> results(answers.begin(),
                                       answers.begin() + static_cast<int>(documents.size()));
    answers.erase(answers.begin(), answers.begin() + static_cast<int>(documents.size()));
    return results;
  }

  std::vector<ControlResult> answers;
  std::optional<Error> error;
  std::vector<std::string> tenants;
  std::vector<std::string> sent;
  std::vector<Wait> waits;
};

class ControlCommandsTest : public ::testing::Test {
 protected:
  Session Make() {
    Session session{.log = log_,
                    .identity = identity_,
                    .token_key = key_,
                    .clock = SystemClock(),
                    .io = {.out = out_, .err = err_, .render = {}},
                    .tenant = "acme",
                    .actor = "tester",
                    .processor = nullptr};
    session.control = &control_;
    session.has_log = false;
    return session;
  }

  NoLog log_;
  HmacKey key_{"k"};
  runtime::LogIdentity identity_ = [] {
    runtime::LogIdentity identity;
    identity.partitions = 1;
    return identity;
  }();
  FakeControl control_;
  std::ostringstream out_;
  std::ostringstream err_;
};

TEST_F(ControlCommandsTest, RulesAreCountedByWhatTheServerSays) {
  std::vector<RuleProblem> problems;
  const auto rules = ReadRules({{"rules.yaml",
                                 "kind: tenant\nid: acme\n---\nkind: site\nid: a\n---\n"
                                 "kind: site\nid: b\n---\nkind: site\nid: c\n"}},
                               "", &problems);
  ASSERT_TRUE(rules.ok());
  control_.answers = {{.status = "accepted", .version = 1},
                      {.status = "accepted", .version = 4},
                      {.status = "unchanged", .version = 2},
                      {.status = "rejected", .reason = "limit", .detail = "too many sites"}};
  const auto report = ApplyRules(Make(), rules.value());
  ASSERT_TRUE(report.ok()) << report.error().message();
  EXPECT_EQ(report.value().added, 1U);
  EXPECT_EQ(report.value().changed, 1U);
  EXPECT_EQ(report.value().unchanged, 1U);
  EXPECT_THAT(report.value().rejected, ElementsAre("rules.yaml:10: site c: limit: too many sites"));
  ASSERT_THAT(control_.sent, SizeIs(4));
  EXPECT_EQ(control_.sent[1], R"({"kind":"site","tenant":"acme","id":"a","status":"active"})");
}

TEST_F(ControlCommandsTest, RulesThatTheServerTookInPartArePartlyDone) {
  std::vector<RuleProblem> problems;
  const auto rules = ReadRules(
      {{"rules.yaml", "kind: tenant\nid: acme\n---\nkind: site\nid: a\n---\nkind: site\nid: b\n"}},
      "", &problems);
  ASSERT_TRUE(rules.ok());
  control_.answers = {{.status = "accepted", .version = 1},
                      {.status = std::string(kUnsent), .detail = "1 of 3 changes were answered"},
                      {.status = std::string(kUnsent), .detail = "1 of 3 changes were answered"}};
  const auto exit = TriggersApply(Make(), rules.value());
  ASSERT_TRUE(exit.ok()) << exit.error().message();
  EXPECT_EQ(exit.value(), ExitCode::kPartly);
  EXPECT_THAT(out_.str(), HasSubstr("rules: 1 new, 0 changed, 0 unchanged, 2 not applied"));
  EXPECT_THAT(err_.str(), HasSubstr("1 of 3 changes were answered"));
}

TEST_F(ControlCommandsTest, AConsentNamesTheRecipientOfTheServer) {
  control_.answers = {{.status = "accepted", .id = "rcp_X", .version = 1}};
  const auto exit = ChangeConsent(Make(), {.address = "+254 700 000001",
                                           .status = v1::CONSENT_STATUS_GRANTED,
                                           .channel = v1::CHANNEL_SMS,
                                           .message_class = v1::MESSAGE_CLASS_MARKETING,
                                           .source = "paper"});
  ASSERT_TRUE(exit.ok());
  EXPECT_EQ(exit.value(), ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("(rcp_X)"));
  EXPECT_THAT(control_.sent.at(0), HasSubstr(R"("phone":"+254700000001")"));
  EXPECT_EQ(control_.waits.at(0), ControlPort::Wait::kForVerdicts);
}

TEST_F(ControlCommandsTest, ARejectedOptOutSaysWhy) {
  control_.answers = {{.status = "rejected",
                       .reason = "opt_out_by_recipient",
                       .detail = "only the recipient can lift it"}};
  const auto exit = ChangeOptOut(Make(), {.address = "+254700000001",
                                          .status = v1::OPT_OUT_STATUS_REMOVED,
                                          .channel = v1::CHANNEL_ALL,
                                          .reason = "r"});
  ASSERT_TRUE(exit.ok());
  EXPECT_EQ(exit.value(), ExitCode::kConflict);
  EXPECT_THAT(out_.str(), HasSubstr("opt_out_by_recipient: only the recipient"));
}

TEST_F(ControlCommandsTest, WhatIsPendingIsAnError) {
  control_.answers = {{.status = "pending"}};
  const auto exit = ChangeOptOut(Make(), {.address = "+254700000001",
                                          .status = v1::OPT_OUT_STATUS_ACTIVE,
                                          .channel = v1::CHANNEL_ALL,
                                          .reason = "r"});
  ASSERT_FALSE(exit.ok());
  EXPECT_EQ(exit.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(exit.error().message(), HasSubstr("waits to be decided"));
}

TEST_F(ControlCommandsTest, AServersErrorIsTheCommands) {
  control_.error = Error(ErrorCode::kDenied, "forbidden");
  const auto exit = ChangeOptOut(Make(), {.address = "+254700000001",
                                          .status = v1::OPT_OUT_STATUS_ACTIVE,
                                          .channel = v1::CHANNEL_ALL,
                                          .reason = "r"});
  ASSERT_FALSE(exit.ok());
  EXPECT_EQ(exit.error().code(), ErrorCode::kDenied);
}

TEST_F(ControlCommandsTest, ASkipDoesNotWaitForAnAnswer) {
  ControlResult pending{.status = "pending"};
  pending.position.set_topic(static_cast<std::uint32_t>(schemas::Topic::kAccountChanges));
  pending.position.set_offset(31);
  control_.answers = {pending};
  v1::Position record;
  record.set_topic(static_cast<std::uint32_t>(schemas::Topic::kSiteEvents));
  record.set_partition(2);
  record.set_offset(7);
  const auto exit = SkipRecord(Make(), record, "crashes");
  ASSERT_TRUE(exit.ok()) << exit.error().message();
  EXPECT_THAT(out_.str(), HasSubstr("account-changes@2:31"));
  EXPECT_EQ(control_.sent.at(0),
            R"({"kind":"skip","topic":"site-events","partition":2,"offset":7,"reason":"crashes"})");
  EXPECT_EQ(control_.waits.at(0), ControlPort::Wait::kForPositions);
}

TEST_F(ControlCommandsTest, ImportedLinesAreSentAsTheyAre) {
  std::istringstream events(
      R"({"event_type":"order","data":1})"
      "\n  "
      R"({"specversion":"1.0","id":"7","source":"/s","type":"t","idempotencykey":"k"})"
      "\nnot json\n"
      R"({"event_type":"order","data":2,"tenant":"zoo"})"
      "\n");
  control_.answers = {{.status = "accepted", .detail = "accepted"},
                      {.status = "unchanged", .reason = "duplicate", .detail = "duplicate"},
                      {.status = "rejected", .reason = "unknown_tenant", .detail = "routing_key"}};
  const auto exit = Decide(
      Make(),
      {.events = events, .file = "events.jsonl", .tenant = "acme", .print_decisions = false});
  ASSERT_TRUE(exit.ok()) << exit.error().message();
  EXPECT_EQ(exit.value(), ExitCode::kPartly);
  EXPECT_THAT(control_.sent,
              ElementsAre(R"({"kind":"event","event_type":"order","data":1})",
                          R"({"kind":"event","specversion":"1.0","id":"7","source":"/s",)"
                          R"("type":"t","idempotencykey":"k"})",
                          R"({"kind":"event","event_type":"order","data":2,"tenant":"zoo"})"));
  EXPECT_THAT(control_.tenants, ElementsAre("acme"));
  EXPECT_THAT(out_.str(), HasSubstr("1 accepted, 1 duplicate"));
  EXPECT_THAT(out_.str(), HasSubstr("1 lines, 1 dead letters"));
  EXPECT_THAT(err_.str(), HasSubstr("events.jsonl:3"));
}

}  // namespace
}  // namespace alertstream::cli

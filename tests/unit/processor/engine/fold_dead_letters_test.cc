// What operators do about dead letters and dead notifications: retries, drops, purges.
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/engine/limits.h"
#include "processor/engine/state_keys.h"
#include "schemas/dead_letter_header.h"
#include "tests/support/fold_harness.h"

namespace alertstream::engine {
namespace {

using schemas::Topic;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

constexpr std::string_view kPhone = "+254700000001";

class DeadLettersTest : public ::testing::Test {
 protected:
  DeadLettersTest() {
    fold_.AddTenant();
    fold_.Change(R"({"trigger":{"id":"alert","event_type":"order","channel":"CHANNEL_SMS",)"
                 R"("enabled":true,"recipients":{"field":"data.phone"},"template_body":)"
                 R"("Hi {{data.n}}","message_class":"MESSAGE_CLASS_TRANSACTIONAL"}})");
    fold_.Run();
  }

  // An event of a website that does not exist.
  v1::DeadLetter DieOfSite() {
    fold_.Event(R"({"phone":"+254700000001","n":7})", R"("site":"gone","id":"a")");
    return Only(fold_.Run());
  }
  static v1::DeadLetter Only(const Outputs& outputs) {
    EXPECT_EQ(outputs.dead_letters.size(), 1U);
    return outputs.dead_letters.empty() ? v1::DeadLetter() : outputs.dead_letters[0];
  }
  void OpenSite() {
    fold_.Change(R"({"site":{"id":"gone","status":"SITE_STATUS_ACTIVE"}})");
    fold_.Run();
  }

  static v1::DeadLetterAction ActionOn(
      const v1::DeadLetter& letter,
      v1::DeadLetterActionKind kind = v1::DEAD_LETTER_ACTION_KIND_RETRY) {
    v1::DeadLetterAction action;
    action.set_id(letter.id());
    *action.mutable_record() = letter.record();
    action.set_kind(kind);
    action.set_actor("jane");
    action.set_reason("the site is back");
    return action;
  }
  // Appends the letter's bytes again, with `action`.
  void Append(const v1::DeadLetter& letter, const v1::DeadLetterAction& action) {
    v1::RawRecord raw;
    ASSERT_TRUE(raw.ParseFromString(letter.original().plain()));
    fold_.AddRaw(static_cast<Topic>(letter.record().topic()), raw.key(), raw.value(),
                 {{std::string(schemas::kDeadLetterHeader), action.SerializeAsString()}});
  }
  Outputs Retry(const v1::DeadLetter& letter, bool forced = false) {
    v1::DeadLetterAction action = ActionOn(letter);
    action.set_forced(forced);
    Append(letter, action);
    return fold_.Run();
  }
  Outputs Act(const v1::DeadLetter& letter, v1::DeadLetterActionKind kind, bool forced = false,
              std::string_view key = "acme") {
    v1::Envelope envelope;
    envelope.set_tenant(std::string(key));
    envelope.set_routing_key(std::string(key));
    envelope.set_schema_version(1);
    envelope.set_trust(v1::TRUST_SYSTEM);
    envelope.set_actor("jane");
    auto* change = envelope.mutable_account_change();
    change->set_reason("not worth it");
    *change->mutable_dead_letter_action() = ActionOn(letter, kind);
    change->mutable_dead_letter_action()->clear_actor();
    change->mutable_dead_letter_action()->clear_reason();
    change->mutable_dead_letter_action()->set_forced(forced);
    fold_.AddRaw(Topic::kAccountChanges, key, envelope.SerializeAsString());
    return fold_.Run();
  }
  // The one fact about a dead letter: its status, or why the action was rejected.
  static std::string Word(const Outputs& outputs) {
    std::string word;
    for (const v1::Fact& fact : outputs.facts) {
      if (fact.has_dead_letter()) {
        word += (word.empty() ? "" : " | ") +
                (fact.result() == v1::FACT_RESULT_REJECTED
                     ? v1::RejectReason_Name(fact.reject_reason()).substr(14)
                     : v1::DeadLetterStatus_Name(fact.dead_letter().status()).substr(19));
      }
    }
    return word;
  }

  FoldHarness fold_;
};

TEST_F(DeadLettersTest, ARetryThatIsDecidedResolvesItsLetter) {
  const v1::DeadLetter letter = DieOfSite();
  OpenSite();
  const Outputs outputs = Retry(letter);
  EXPECT_THAT(Outcomes(outputs), ElementsAre("SEND"));
  EXPECT_EQ(outputs.decisions.at(0).retry_of_dead_letter(), letter.id());
  EXPECT_EQ(outputs.commands.at(0).body().plain(), "Hi 7");
  ASSERT_EQ(Word(outputs), "RESOLVED");
  const v1::Fact* fact = nullptr;
  for (const v1::Fact& each : outputs.facts) {
    fact = each.has_dead_letter() ? &each : fact;
  }
  EXPECT_EQ(fact->dead_letter().id(), letter.id());
  EXPECT_EQ(fact->dead_letter().retries(), 1U);
  EXPECT_EQ(fact->actor(), "jane");
  EXPECT_EQ(fact->reason(), "the site is back");
  EXPECT_EQ(fact->tenant(), "acme");
  EXPECT_EQ(fact->cause().topic(), static_cast<std::uint32_t>(Topic::kSiteEvents));
}

TEST_F(DeadLettersTest, ARetryThatDiesAgainIsLinkedBothWays) {
  const v1::DeadLetter letter = DieOfSite();
  const Outputs outputs = Retry(letter);
  const v1::DeadLetter again = Only(outputs);
  EXPECT_EQ(again.retry_of(), letter.id());
  EXPECT_NE(again.id(), letter.id());
  EXPECT_EQ(Word(outputs), "FAILED_AGAIN");
  EXPECT_EQ(outputs.facts.back().dead_letter().died_as(), again.id());
  OpenSite();
  EXPECT_EQ(Word(Retry(again)), "RESOLVED");
}

TEST_F(DeadLettersTest, ASecondRetryIsRefusedUnlessItIsForced) {
  const v1::DeadLetter letter = DieOfSite();
  OpenSite();
  Retry(letter);
  const Outputs refused = Retry(letter);
  EXPECT_EQ(Word(refused), "RETRIED_BEFORE");
  EXPECT_THAT(refused.decisions, IsEmpty());
  EXPECT_THAT(refused.dead_letters, IsEmpty());
  const Outputs forced = Retry(letter, true);
  EXPECT_EQ(Word(forced), "RESOLVED");
  EXPECT_EQ(forced.facts.back().dead_letter().retries(), 2U);
  EXPECT_THAT(Verdicts(forced), ElementsAre("DUPLICATE"));
}

TEST_F(DeadLettersTest, OfTwoRetriesInOneBatchOneIsLetIn) {
  const v1::DeadLetter letter = DieOfSite();
  OpenSite();
  Append(letter, ActionOn(letter));
  Append(letter, ActionOn(letter));
  const Outputs outputs = fold_.Run();
  EXPECT_EQ(Word(outputs), "RESOLVED | RETRIED_BEFORE");
  EXPECT_THAT(Outcomes(outputs), ElementsAre("SEND"));
  // Permissions are decoded before any of them is folded.
  fold_.AddRaw(Topic::kOptOuts, "acme", "junk");
  const v1::DeadLetter junk = Only(fold_.Run());
  Append(junk, ActionOn(junk));
  Append(junk, ActionOn(junk));
  EXPECT_EQ(Word(fold_.Run()), "FAILED_AGAIN | RETRIED_BEFORE");
}

TEST_F(DeadLettersTest, AnOptOutIsRetriedAndWorks) {
  const std::string opt_out = fmt::format(
      R"({{"opt_out_change":{{"address":{{"plain":"{}"}},"address_kind":"ADDRESS_KIND_PHONE",)"
      R"("channel":"CHANNEL_SMS","status":"OPT_OUT_STATUS_ACTIVE","by":"OPT_OUT_BY_API"}}}})",
      kPhone);
  fold_.Add(Topic::kOptOuts, opt_out, "later");
  const Outputs died = fold_.Run();
  ASSERT_EQ(died.dead_letters.size() + died.facts.size(), 1U);
  if (!died.dead_letters.empty()) {
    fold_.Change(R"({"tenant":{"status":"TENANT_STATUS_ACTIVE"}})", "later");
    fold_.Run();
    EXPECT_EQ(Word(Retry(died.dead_letters[0])), "RESOLVED");
  }
}

TEST_F(DeadLettersTest, TheIdProvesTheRecord) {
  const v1::DeadLetter letter = DieOfSite();
  OpenSite();
  const auto word_of = [&](const std::function<void(v1::DeadLetterAction&)>& change) {
    v1::DeadLetterAction action = ActionOn(letter);
    change(action);
    Append(letter, action);
    return Word(fold_.Run());
  };
  const std::string unknown = "UNKNOWN_DEAD_LETTER";
  EXPECT_EQ(word_of([](auto& action) { action.mutable_record()->set_offset(99); }), unknown);
  EXPECT_EQ(word_of([](auto& action) { action.mutable_record()->set_partition(1); }), unknown);
  EXPECT_EQ(word_of([](auto& action) { action.mutable_record()->set_topic(2); }), unknown);
  EXPECT_EQ(word_of([](auto& action) { action.mutable_id()->back() ^= 1; }), unknown);
  EXPECT_EQ(word_of([](auto&) {}), "RESOLVED");
}

TEST_F(DeadLettersTest, AHeaderThatIsNoActionIsNone) {
  const v1::DeadLetter letter = DieOfSite();
  OpenSite();
  v1::RawRecord raw;
  ASSERT_TRUE(raw.ParseFromString(letter.original().plain()));
  v1::DeadLetterAction nobody = ActionOn(letter);
  nobody.clear_actor();
  v1::DeadLetterAction drop = ActionOn(letter, v1::DEAD_LETTER_ACTION_KIND_DROP);
  const std::string name(schemas::kDeadLetterHeader);
  const std::string good = ActionOn(letter).SerializeAsString();
  using Headers = std::vector<std::pair<std::string, std::string>>;
  for (const Headers& headers :
       {Headers{{name, "junk"}}, Headers{{name, nobody.SerializeAsString()}},
        Headers{{name, drop.SerializeAsString()}}, Headers{{name, good}, {name, good}},
        Headers{{name, std::string(2000, 'x')}}}) {
    fold_.AddRaw(Topic::kSiteEvents, raw.key(), raw.value(), headers);
  }
  const Outputs outputs = fold_.Run();
  EXPECT_EQ(Word(outputs), "");
  EXPECT_THAT(Verdicts(outputs),
              ElementsAre("ACCEPTED", "DUPLICATE", "DUPLICATE", "DUPLICATE", "DUPLICATE"));
}

TEST_F(DeadLettersTest, AnEventThatSaysNoTimeHappenedWhenItWasAppendedFirst) {
  const v1::DeadLetter letter = DieOfSite();
  OpenSite();
  fold_.Advance(25h);
  EXPECT_THAT(Verdicts(Retry(letter)), ElementsAre("EXPIRED"));
}

TEST_F(DeadLettersTest, DropAndPurgeEndALetter) {
  constexpr auto kDrop = v1::DEAD_LETTER_ACTION_KIND_DROP;
  constexpr auto kPurge = v1::DEAD_LETTER_ACTION_KIND_PURGE;
  const v1::DeadLetter letter = DieOfSite();
  const Outputs dropped = Act(letter, kDrop);
  EXPECT_EQ(Word(dropped), "DROPPED");
  EXPECT_EQ(dropped.facts.at(0).actor(), "jane");
  EXPECT_EQ(dropped.facts.at(0).reason(), "not worth it");
  EXPECT_EQ(Word(Act(letter, kDrop)), "ACTED_ON_BEFORE");
  EXPECT_EQ(Word(Retry(letter)), "ACTED_ON_BEFORE");
  EXPECT_EQ(Word(Retry(letter, true)), "FAILED_AGAIN");
  EXPECT_EQ(Word(Act(letter, kPurge)), "PURGED");
  EXPECT_EQ(Word(Retry(letter, true)), "ACTED_ON_BEFORE");
  EXPECT_EQ(Word(Act(letter, kDrop, true)), "ACTED_ON_BEFORE");
}

TEST_F(DeadLettersTest, ATenantActsOnItsOwnLettersOnly) {
  fold_.Change(R"({"tenant":{"status":"TENANT_STATUS_ACTIVE"}})", "other");
  fold_.Run();
  const v1::DeadLetter letter = DieOfSite();
  EXPECT_EQ(Word(Act(letter, v1::DEAD_LETTER_ACTION_KIND_DROP, false, "other")),
            "UNKNOWN_DEAD_LETTER");
  fold_.AddRaw(Topic::kSiteEvents, "No Tenant", "junk");
  const v1::DeadLetter nobodys = Only(fold_.Run());
  EXPECT_EQ(nobodys.tenant(), "");
  EXPECT_EQ(Word(Act(nobodys, v1::DEAD_LETTER_ACTION_KIND_DROP)), "UNKNOWN_DEAD_LETTER");
  const Outputs dropped = Act(nobodys, v1::DEAD_LETTER_ACTION_KIND_DROP, false, "_log");
  EXPECT_EQ(Word(dropped), "DROPPED");
  EXPECT_EQ(dropped.facts.at(0).tenant(), "_unrouted");
}

TEST_F(DeadLettersTest, ALetterWithoutATenantDiesAgainAndSaysSo) {
  fold_.AddRaw(Topic::kSiteEvents, "No Tenant", "junk");
  const v1::DeadLetter letter = Only(fold_.Run());
  const Outputs outputs = Retry(letter);
  EXPECT_EQ(Word(outputs), "FAILED_AGAIN");
  EXPECT_EQ(Only(outputs).retry_of(), letter.id());
}

TEST_F(DeadLettersTest, WhatWasDoneIsForgottenWhenNothingCanBeDoneAnyMore) {
  const std::string before = fold_.RootHex();
  const v1::DeadLetter letter = DieOfSite();
  EXPECT_EQ(fold_.RootHex(), before) << "an open letter costs no state";
  Retry(letter);
  EXPECT_NE(fold_.RootHex(), before);
  fold_.Advance(kDeadLetterWindow - 1s);
  EXPECT_EQ(Word(Retry(letter)), "RETRIED_BEFORE");
  fold_.Advance(2s);
  EXPECT_EQ(Word(Retry(letter)), "TOO_OLD");
  EXPECT_EQ(Word(Act(letter, v1::DEAD_LETTER_ACTION_KIND_DROP)), "TOO_OLD");
  fold_.Advance(1h);
  fold_.Run();
  EXPECT_EQ(fold_.RootHex(), before);
}

TEST_F(DeadLettersTest, ARecordThatTheEngineFailsOnIsRetried) {
  fold_.RestartWithFaultAt(StateKey("acme", Table::kTenant));
  const v1::DeadLetter letter = DieOfSite();
  EXPECT_EQ(letter.reason(), v1::DEAD_LETTER_REASON_ENGINE_EXCEPTION);
  EXPECT_EQ(letter.tenant(), "acme");
  OpenSite();
  fold_.RestartWithFaultAt(StateKey("acme", Table::kTenant));
  const Outputs again = Retry(letter);
  EXPECT_EQ(Word(again), "FAILED_AGAIN");
  EXPECT_EQ(Only(again).retry_of(), letter.id());
  EXPECT_EQ(Word(Retry(Only(again))), "RESOLVED");
}

// Permission facts that the engine failed on, tried again after the person has said something else.
class RetriedPermissionsTest : public DeadLettersTest {
 protected:
  v1::DeadLetter Die(Topic topic, const std::string& envelope) {
    fold_.RestartWithFaultAt(StateKey("acme", Table::kTenant));
    fold_.Add(topic, envelope);
    return Only(fold_.Run());
  }
  static std::string Says(std::string_view word) {
    return fmt::format(
        R"({{"type":"inbound.message","inbound_message":{{"provider":"twilio","account":"AC1",)"
        R"("provider_message_id":"SM{}","from":{{"plain":"{}"}},"from_kind":"ADDRESS_KIND_PHONE",)"
        R"("to_number":"+12025550100","channel":"CHANNEL_SMS","body":{{"plain":"{}"}}}}}})",
        word, kPhone, word);
  }
  static std::string Consents(std::string_view status, std::string_view evidence = "") {
    return fmt::format(
        R"({{"type":"consent.change","consent_change":{{"address":{{"plain":"{}"}},"address_kind":)"
        R"("ADDRESS_KIND_PHONE","channel":"CHANNEL_SMS","message_class":)"
        R"("MESSAGE_CLASS_TRANSACTIONAL","status":"CONSENT_STATUS_{}","source":"form"{}}}}})",
        kPhone, status, evidence);
  }
  Outputs Tell(Topic topic, const std::string& envelope) {
    fold_.Add(topic, envelope);
    return fold_.Run();
  }
  // What an event now gives.
  std::vector<std::string> Outcome() {
    fold_.Event(R"({"phone":"+254700000001","n":7})");
    return Outcomes(fold_.Run());
  }
};

TEST_F(RetriedPermissionsTest, AnOldStartDoesNotLiftALaterStop) {
  for (const std::uint32_t version : {5U, 4U}) {
    SCOPED_TRACE(version);
    fold_.set_engine_version(version);
    const v1::DeadLetter start = Die(Topic::kInboundMessages, Says("START"));
    fold_.Advance(24h);
    Tell(Topic::kInboundMessages, Says("STOP"));
    fold_.Advance(24h);
    const Outputs outputs = Retry(start);
    EXPECT_EQ(Word(outputs), "RESOLVED");
    // Version 4 took it for said now. Nobody activates it any more; what it decided stays decided.
    EXPECT_THAT(Outcome(), ElementsAre(version >= 5 ? "SUPPRESS OPTED_OUT" : "SEND"));
  }
}

TEST_F(RetriedPermissionsTest, AnOldStartLiftsWhatWasSaidBeforeIt) {
  Tell(Topic::kInboundMessages, Says("STOP"));
  fold_.Advance(1h);
  const v1::DeadLetter start = Die(Topic::kInboundMessages, Says("START"));
  fold_.Advance(24h);
  Retry(start);
  EXPECT_THAT(Outcome(), ElementsAre("SEND"));
}

TEST_F(RetriedPermissionsTest, AnOldStopStopsButDoesNotMakeALaterOneOlder) {
  const v1::DeadLetter stop = Die(Topic::kInboundMessages, Says("STOP"));
  fold_.Advance(24h);
  const std::string between =
      fmt::format(R"(,"evidence":{{"kind":"form","at_us":"{}"}})", ToMicros(fold_.now()));
  fold_.Advance(24h);
  Tell(Topic::kInboundMessages, Says("STOP"));
  fold_.Advance(24h);
  const Outputs retried = Retry(stop);
  EXPECT_EQ(Word(retried), "RESOLVED");
  EXPECT_THAT(retried.commands, IsEmpty()) << "no confirmation days later";
  Tell(Topic::kConsentChanges, Consents("GRANTED", between));
  EXPECT_THAT(Outcome(), ElementsAre("SUPPRESS OPTED_OUT"));
}

TEST_F(RetriedPermissionsTest, AnOldStopThatNobodyHeardStopsNow) {
  const v1::DeadLetter stop = Die(Topic::kInboundMessages, Says("STOP"));
  fold_.Advance(24h);
  EXPECT_THAT(Retry(stop).commands, IsEmpty()) << "no confirmation a day later";
  EXPECT_THAT(Outcome(), ElementsAre("SUPPRESS OPTED_OUT"));
}

TEST_F(RetriedPermissionsTest, AnOldGrantDoesNotOutrankALaterRevocation) {
  const v1::DeadLetter grant = Die(Topic::kConsentChanges, Consents("GRANTED"));
  fold_.Advance(24h);
  Tell(Topic::kConsentChanges, Consents("REVOKED"));
  fold_.Advance(24h);
  EXPECT_THAT(Facts(Retry(grant)), ::testing::Contains("consent OLDER_THAN_PRESENT"));
  EXPECT_THAT(Outcome(), ElementsAre("SUPPRESS CONSENT_REVOKED"));
}

TEST_F(DeadLettersTest, HoweverOftenItDiesItsAgeIsThatOfTheFirst) {
  const v1::DeadLetter first = DieOfSite();
  fold_.Advance(13h);
  const v1::DeadLetter second = Only(Retry(first));
  EXPECT_EQ(second.append_time_us() / 1000, first.append_time_us() / 1000);
  OpenSite();
  fold_.Advance(13h);
  EXPECT_THAT(Verdicts(Retry(second)), ElementsAre("EXPIRED"));
  fold_.Advance(kDeadLetterWindow - 26h);
  EXPECT_EQ(Word(Act(second, v1::DEAD_LETTER_ACTION_KIND_DROP)), "TOO_OLD");
}

TEST_F(DeadLettersTest, TheRestOfAFanOutThatTheEngineFailedOnGoesOn) {
  constexpr std::size_t kPeople = 1000;
  constexpr std::size_t kTriggers = 11;
  for (std::size_t n = 0; n < kTriggers; ++n) {
    fold_.Change(fmt::format(
        R"({{"trigger":{{"id":"t{}","event_type":"order","channel":"CHANNEL_SMS","enabled":true,)"
        R"("recipients":{{"field":"data.phones"}},"template_body":"To all","message_class":)"
        R"("MESSAGE_CLASS_TRANSACTIONAL"}}}})",
        n));
  }
  fold_.Change(R"({"plan":{"id":"basic","sends_per_month_max":100000}})");
  fold_.Run();
  std::string phones;
  for (std::size_t n = 0; n < kPeople; ++n) {
    phones += fmt::format("{}\"+2547{:08}\"", n == 0 ? "" : ",", 12'000'000 + n);
  }
  fold_.Event(fmt::format(R"({{"phones":[{}]}})", phones), R"("id":"big")");
  const Outputs begun = fold_.RunBatch();
  ASSERT_TRUE(begun.more);
  fold_.RestartWithFaultAt(StateKey("acme", Table::kTenant));
  const v1::DeadLetter letter = Only(fold_.Run());
  fold_.Advance(1h);
  const Outputs rest = Retry(letter);
  EXPECT_EQ(Word(rest), "RESOLVED");
  EXPECT_EQ(rest.decisions.at(0).retry_of_dead_letter(), letter.id());
  EXPECT_EQ(begun.commands.size() + rest.commands.size(), kPeople * kTriggers);
  EXPECT_EQ(Word(Retry(letter)), "RETRIED_BEFORE");
  EXPECT_THAT(Verdicts(Retry(letter, true)), ElementsAre("DUPLICATE"));
}

TEST_F(DeadLettersTest, AFanOutThatFailsTwiceIsOpenAgain) {
  fold_.Change(R"({"plan":{"id":"basic","sends_per_month_max":100000}})");
  std::string phones;
  for (int n = 0; n < 1000; ++n) {
    phones += fmt::format("{}\"+2547{:08}\"", n == 0 ? "" : ",", 12'000'000 + n);
  }
  for (int n = 0; n < 11; ++n) {
    fold_.Change(fmt::format(
        R"({{"trigger":{{"id":"t{}","event_type":"order","channel":"CHANNEL_SMS","enabled":true,)"
        R"("recipients":{{"field":"data.phones"}},"template_body":"To all","message_class":)"
        R"("MESSAGE_CLASS_TRANSACTIONAL"}}}})",
        n));
  }
  fold_.Run();
  fold_.Event(fmt::format(R"({{"phones":[{}]}})", phones));
  const std::size_t begun = fold_.RunBatch().commands.size();
  fold_.RestartWithFaultAt(StateKey("acme", Table::kTenant));
  const v1::DeadLetter letter = Only(fold_.Run());
  const v1::DeadLetterAction action = ActionOn(letter);
  Append(letter, action);
  EXPECT_EQ(Word(fold_.RunBatch()), "RESOLVED");
  fold_.RestartWithFaultAt(StateKey("acme", Table::kTenant));
  EXPECT_EQ(Only(fold_.Run()).id(), letter.id());
  EXPECT_EQ(begun + Retry(letter).commands.size(), 11'000U);
}

TEST_F(DeadLettersTest, Version3KnowsNothingOfIt) {
  fold_.set_engine_version(3);
  const v1::DeadLetter letter = DieOfSite();
  OpenSite();
  const std::string before = fold_.RootHex();
  const Outputs dropped = Act(letter, v1::DEAD_LETTER_ACTION_KIND_DROP);
  EXPECT_THAT(DeadLetters(dropped), ElementsAre("SCHEMA FIELD_MISSING"));
  EXPECT_EQ(dropped.dead_letters[0].detail(), "account_change.change: missing");
  EXPECT_THAT(DeadLetters(Act(letter, v1::DEAD_LETTER_ACTION_KIND_DROP, false, "_log")),
              ElementsAre("SCHEMA WRONG_PAYLOAD"));
  EXPECT_EQ(fold_.RootHex(), before);
  const Outputs retried = Retry(letter);
  EXPECT_THAT(Outcomes(retried), ElementsAre("SEND"));
  EXPECT_EQ(Word(retried), "");
  EXPECT_EQ(retried.decisions[0].retry_of_dead_letter(), "");
}

// Retries of notifications.
class RetriesTest : public DeadLettersTest {
 protected:
  // A message to the person that was commanded.
  v1::NotificationCommand Send() {
    fold_.Event(R"({"phone":"+254700000001","n":7})");
    const Outputs outputs = fold_.Run();
    EXPECT_EQ(outputs.commands.size(), 1U);
    return outputs.commands.empty() ? v1::NotificationCommand() : outputs.commands[0];
  }
  void Answer(const v1::NotificationCommand& command, std::string_view result, int attempt = 1) {
    fold_.Add(Topic::kDeliveryAttempts,
              fmt::format(R"({{"delivery_attempt":{{"notification_id":"{}","attempt":{},"phase":)"
                          R"("ATTEMPT_PHASE_RESULT","result":"ATTEMPT_CLASS_{}","content":)"
                          R"({{"to":{{"plain":"{}"}},"body":{{"plain":"Hi 7"}}}}}}}})",
                          FormatId(IdKind::kNotification, command.notification_id()), attempt,
                          result, kPhone));
    fold_.Run();
  }
  v1::NotificationCommand Fail() {
    v1::NotificationCommand command = Send();
    Answer(command, "PERM_REQUEST");
    return command;
  }
  Outputs AskAgain(const v1::NotificationCommand& command, bool forced = false,
                   std::string_view phone = kPhone, std::string_view body = "Hi {{7}}") {
    fold_.Add(Topic::kSiteEvents,
              fmt::format(R"({{"type":"notification.retry","actor":"jane","site_event":{{"direct":)"
                          R"({{"to":{{"plain":"{}"}},"retry":{{"notification_id":"{}","forced":{},)"
                          R"("body":{{"plain":"{}"}},"reason":"again"}}}}}}}})",
                          phone, FormatId(IdKind::kNotification, command.notification_id()), forced,
                          body));
    return fold_.Run();
  }
};

TEST_F(RetriesTest, ADeadNotificationIsSentAgainAsItWas) {
  const v1::NotificationCommand dead = Fail();
  const Outputs outputs = AskAgain(dead);
  EXPECT_THAT(Outcomes(outputs), ElementsAre("SEND"));
  const v1::NotificationCommand& command = outputs.commands.at(0);
  EXPECT_EQ(command.body().plain(), "Hi {{7}}") << "a text that was rendered is not rendered again";
  EXPECT_EQ(command.to().plain(), kPhone);
  EXPECT_EQ(command.trigger_id(), "alert");
  EXPECT_EQ(command.sender_id(), "main");
  EXPECT_EQ(command.segments(), 1U);
  EXPECT_NE(command.notification_id(), dead.notification_id());
  EXPECT_EQ(outputs.decisions[0].retry_of_notification(), dead.notification_id());
  const v1::Fact& fact = outputs.facts.at(0);
  EXPECT_EQ(fact.notification().notification_id(), dead.notification_id());
  EXPECT_EQ(fact.notification().retried_by(), command.notification_id());
  EXPECT_EQ(fact.actor(), "jane");
  EXPECT_EQ(fact.reason(), "again");
}

TEST_F(RetriesTest, ASecondRetryIsRefusedUnlessItIsForced) {
  const v1::NotificationCommand dead = Fail();
  AskAgain(dead);
  EXPECT_THAT(Outcomes(AskAgain(dead)), ElementsAre("FAIL RETRIED_BEFORE"));
  EXPECT_THAT(Outcomes(AskAgain(dead, true)), ElementsAre("SEND"));
}

TEST_F(RetriesTest, WhatIsOnItsWayIsNotSentAgainAndWhatMayHaveArrivedOnlyIfForced) {
  const v1::NotificationCommand command = Send();
  EXPECT_THAT(Outcomes(AskAgain(command)), ElementsAre("FAIL NOT_RETRYABLE"));
  EXPECT_THAT(Outcomes(AskAgain(command, true)), ElementsAre("FAIL NOT_RETRYABLE"));
  Answer(command, "ACCEPTED");
  EXPECT_THAT(Outcomes(AskAgain(command)), ElementsAre("FAIL NOT_RETRYABLE"));
  EXPECT_THAT(Outcomes(AskAgain(command, true)), ElementsAre("SEND"));
}

TEST_F(RetriesTest, EveryGateStopsIt) {
  const v1::NotificationCommand dead = Fail();
  EXPECT_THAT(Outcomes(AskAgain(dead, false, "+254700000002")),
              ElementsAre("FAIL RECIPIENT_INVALID"));
  EXPECT_THAT(Outcomes(AskAgain(dead, false, kPhone, std::string(3000, 'x'))),
              ElementsAre("FAIL TEMPLATE_TOO_LONG"));
  fold_.Change(R"({"plan":{"id":"basic","sends_per_month_max":1}})");
  EXPECT_THAT(Outcomes(AskAgain(dead)), ElementsAre("SUPPRESS QUOTA_EXCEEDED"));
  fold_.Add(Topic::kOptOuts, fmt::format(R"({{"opt_out_change":{{"address":{{"plain":"{}"}},)"
                                         R"("address_kind":"ADDRESS_KIND_PHONE","channel":)"
                                         R"("CHANNEL_SMS","status":"OPT_OUT_STATUS_ACTIVE",)"
                                         R"("by":"OPT_OUT_BY_API"}}}})",
                                         kPhone));
  EXPECT_THAT(Outcomes(AskAgain(dead)), ElementsAre("SUPPRESS OPTED_OUT"));
}

TEST_F(RetriesTest, AMessageOfATriggerThatWasSwitchedOffIsSentOnlyIfForced) {
  const v1::NotificationCommand dead = Fail();
  fold_.Change(R"({"trigger":{"id":"alert","event_type":"order","channel":"CHANNEL_SMS",)"
               R"("enabled":false,"recipients":{"field":"data.phone"},"template_body":"x",)"
               R"("message_class":"MESSAGE_CLASS_TRANSACTIONAL"}})");
  fold_.Run();
  EXPECT_THAT(Outcomes(AskAgain(dead)), ElementsAre("FAIL NOT_RETRYABLE"));
  EXPECT_THAT(Outcomes(AskAgain(dead, true)), ElementsAre("SEND"));
}

TEST_F(RetriesTest, ALateReceiptOfAnEarlierAttemptSaysNothingOfTheOneThatIsOut) {
  const v1::NotificationCommand command = Send();
  Answer(command, "RETRY");
  fold_.Advance(1min);
  ASSERT_EQ(fold_.Run().commands.size(), 1U);
  fold_.Add(Topic::kDeliveryReceipts,
            fmt::format(R"({{"type":"delivery.receipt","delivery_receipt":{{"notification_id":)"
                        R"("{}","status":"RECEIPT_STATUS_FAILED"}}}})",
                        FormatId(IdKind::kNotification, command.notification_id())));
  fold_.Run();
  EXPECT_THAT(Outcomes(AskAgain(command, true)), ElementsAre("FAIL NOT_RETRYABLE"));
  Answer(command, "ACCEPTED", 2);
  EXPECT_THAT(Outcomes(AskAgain(command)), ElementsAre("FAIL NOT_RETRYABLE"));
  EXPECT_THAT(Outcomes(AskAgain(command, true)), ElementsAre("SEND"));
}

TEST_F(RetriesTest, AFaultOfTheRequestIsADeadLetter) {
  v1::NotificationCommand nobodys = Fail();
  nobodys.mutable_notification_id()->back() ^= 1;
  const Outputs unknown = AskAgain(nobodys);
  EXPECT_THAT(DeadLetters(unknown), ElementsAre("SCHEMA UNKNOWN_NOTIFICATION"));
  EXPECT_THAT(unknown.dead_letters[0].detail(), HasSubstr("retry.notification_id"));
  EXPECT_THAT(DeadLetters(AskAgain(nobodys, false, kPhone, "")),
              ElementsAre("SCHEMA FIELD_MISSING"));
}

TEST_F(RetriesTest, Version3RefusesIt) {
  fold_.set_engine_version(3);
  EXPECT_THAT(DeadLetters(AskAgain(Fail())), ElementsAre("SCHEMA FIELD_MISSING"));
}

}  // namespace
}  // namespace alertstream::engine

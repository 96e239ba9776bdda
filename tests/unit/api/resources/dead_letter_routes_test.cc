#include "api/resources/dead_letter_routes.h"

#include <algorithm>

#include "processor/base/id.h"
#include "projections/read_model/dead_letters.h"
#include "projections/read_model/notifications.h"
#include "tests/support/forged_batch.h"
#include "tests/unit/api/resources/resource_fixture.h"

namespace alertstream::api {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

const std::string kLetters = "/api/v1/dead-letters/";
const std::string kReason = R"({"reason":"the site is back"})";

class DeadLetterRoutesTest : public ResourceTest {
 protected:
  // An event of a website that does not exist; the id of its dead letter, when it is projected.
  std::string Die(const std::string& event) {
    Tell(event);
    return Newest();
  }
  void Tell(const std::string& event) {
    v1::Envelope envelope;
    envelope.set_trust(v1::TRUST_SECRET);
    envelope.set_type("order");
    envelope.set_id(event);
    envelope.set_site("gone");
    envelope.mutable_site_event()->mutable_data()->set_plain(
        R"({"phone":"+254700000001","amount":12})");
    story_.writer.Put(schemas::Topic::kSiteEvents, envelope, "acme");
    EXPECT_TRUE(owner_->RunUntilQuiet().ok());
  }
  std::string Newest() {
    EXPECT_TRUE(owner_->RunUntilQuiet().ok());
    const auto outputs = story_.Read();
    const std::string id = FormatId(IdKind::kDeadLetter,
                                    outputs.dead_letters.at(outputs.dead_letters.size() - 1).id());
    // The reading routes are not part of this fixture: an action on what is not shown yet is a 404.
    for (int i = 0; i < 500; ++i) {
      auto session = pool_.Take("acme", std::chrono::seconds(2));
      const auto found = read_model::FindDeadLetter(*session.value(), "acme", id);
      session.value()->Rollback();
      if (found.ok() && found.value()) {
        break;
      }
      clock_.SleepFor(std::chrono::milliseconds(10));
    }
    return id;
  }
  // Of the letters in the read model, which then say so.
  void SetInAll(const std::string& assignment) {
    const std::string text = "UPDATE read_model.dead_letters SET " + assignment;
    const sql::Statement statement{"", text.c_str()};
    const auto session = database_->Open({.role = "alertstream_projector"});
    ASSERT_TRUE(session.ok());
    ASSERT_TRUE(session.value()->Run(statement).ok());
  }
  // As the fold's before this program's: what it says from now on is said by it.
  void Activate(std::uint32_t engine_version) {
    runtime::ForgeBatch(story_, *owner_, {}, engine_version);
    for (int i = 0; i < 5'000 && watch_->EngineVersion(0) != engine_version; ++i) {
      clock_.SleepFor(std::chrono::milliseconds(1));
    }
  }
  std::size_t Inputs() {
    std::size_t inputs = 0;
    EXPECT_TRUE(owner_->RunUntilQuiet().ok());
    for (const auto& record : story_.Read().journal) {
      for (const auto& input : record.inputs()) {
        inputs += static_cast<std::size_t>(input.next() - input.first());
      }
    }
    return inputs;
  }
  // A message that failed for good, when it is projected; the path of its retry.
  std::string Fail(const v1::NotificationCommand& command) {
    v1::Envelope failed;
    failed.set_trust(v1::TRUST_SYSTEM);
    failed.set_type("delivery.attempt");
    auto* attempt = failed.mutable_delivery_attempt();
    attempt->set_notification_id(FormatId(IdKind::kNotification, command.notification_id()));
    attempt->set_attempt(1);
    attempt->set_phase(v1::ATTEMPT_PHASE_RESULT);
    attempt->set_result(v1::ATTEMPT_CLASS_PERM_REQUEST);
    story_.writer.Put(schemas::Topic::kDeliveryAttempts, failed, "acme");
    EXPECT_TRUE(owner_->RunUntilQuiet().ok());
    const std::string id = FormatId(IdKind::kNotification, command.notification_id());
    for (int i = 0; i < 500; ++i) {  // A 404 would be kept for its Idempotency-Key.
      auto session = pool_.Take("acme", std::chrono::seconds(2));
      const auto found = read_model::FindNotification(*session.value(), "acme", id);
      session.value()->Rollback();
      if (found.ok() && found.value()) {
        break;
      }
      clock_.SleepFor(std::chrono::milliseconds(10));
    }
    return "/api/v1/notifications/" + id + "/retry";
  }
  // Until the read side shows what is asked for.
  http::Response PostUntilKnown(const std::string& path, const std::string& body,
                                const std::vector<std::pair<std::string, std::string>>& fields) {
    auto answer = Post(path, body, fields);
    for (int i = 0; i < 500 && answer.status == 503; ++i) {
      clock_.SleepFor(std::chrono::milliseconds(10));
      answer = Post(path, body, fields);
    }
    return answer;
  }
  void OpenSite() {
    v1::Envelope site;
    site.set_trust(v1::TRUST_SYSTEM);
    site.mutable_account_change()->mutable_site()->set_id("gone");
    site.mutable_account_change()->mutable_site()->set_status(v1::SITE_STATUS_ACTIVE);
    story_.writer.Put(schemas::Topic::kAccountChanges, site, "acme");
    EXPECT_TRUE(owner_->RunUntilQuiet().ok());
  }
};

TEST_F(DeadLetterRoutesTest, ARetryIsDecidedAndASecondOneRefusedUnlessForced) {
  const std::string id = Die("a");
  OpenSite();
  const auto done = Post(kLetters + id + "/retry", kReason);
  ASSERT_EQ(done.status, 200) << done.body;
  EXPECT_EQ(Member(done, "status"), R"("resolved")");
  EXPECT_EQ(Member(done, "action"), R"("retry")");
  EXPECT_EQ(Member(done, "died_as"), "null");
  EXPECT_FALSE(Field(done, "X-Position").empty());
  EXPECT_THAT(story_.Read().commands, SizeIs(1));
  const auto facts = story_.Read().facts;
  const auto fact = std::find_if(facts.begin(), facts.end(),
                                 [](const v1::Fact& each) { return each.has_dead_letter(); });
  ASSERT_NE(fact, facts.end());
  EXPECT_EQ(fact->actor(), "usr_editor");
  EXPECT_EQ(fact->reason(), "the site is back");
  const auto refused = Post(kLetters + id + "/retry", kReason);
  EXPECT_EQ(refused.status, 409);
  EXPECT_EQ(Member(refused, "code"), R"("retried_before")");
  const auto forced = Post(kLetters + id + "/retry", R"({"reason":"x","forced":true})");
  EXPECT_EQ(forced.status, 200) << forced.body;
  EXPECT_EQ(Member(forced, "retries"), "2");
}

TEST_F(DeadLetterRoutesTest, OneThatDiesAgainNamesItsNewLetter) {
  const std::string id = Die("a");
  const auto done = Post(kLetters + id + "/retry", kReason);
  ASSERT_EQ(done.status, 200) << done.body;
  EXPECT_EQ(Member(done, "status"), R"("failed_again")");
  EXPECT_EQ(Member(done, "died_as"), "\"" + Newest() + "\"");
}

TEST_F(DeadLetterRoutesTest, AnEditChangesMembersOfTheEvent) {
  const std::string id = Die("a");
  const auto done = Post(kLetters + id + "/edit",
                         R"({"reason":"x","data":{"phone":"+254700000002","amount":99}})");
  ASSERT_EQ(done.status, 200) << done.body;
  EXPECT_EQ(Member(done, "status"), R"("failed_again")") << "the website is still unknown";
  OpenSite();
  const auto again = Post(kLetters + Newest() + "/edit", R"({"reason":"x","type":"order"})");
  EXPECT_EQ(Member(again, "status"), R"("resolved")") << again.body;
  EXPECT_EQ(story_.Read().commands.at(0).to().plain(), "+254700000002");
  const auto nothing = Post(kLetters + id + "/edit", kReason);
  EXPECT_EQ(nothing.status, 422);
  EXPECT_THAT(nothing.body, HasSubstr("at least one of"));
  const auto wrong = Post(kLetters + id + "/edit", R"({"reason":"x","type":"white space"})");
  EXPECT_EQ(wrong.status, 422) << wrong.body;
}

TEST_F(DeadLetterRoutesTest, OnlyEventsInOurOwnFormAreEdited) {
  story_.writer.Raw(schemas::Topic::kOptOuts, "acme", "junk", 0);
  const auto refused = Post(kLetters + Newest() + "/edit", R"({"reason":"x","type":"order"})");
  EXPECT_EQ(refused.status, 409);
  EXPECT_EQ(Member(refused, "code"), R"("not_editable")");
}

TEST_F(DeadLetterRoutesTest, DroppedAndPurgedOnesStayWhatTheyAre) {
  const std::string id = Die("a");
  const auto dropped = Post(kLetters + id + "/drop", kReason);
  EXPECT_EQ(Member(dropped, "status"), R"("dropped")") << dropped.body;
  EXPECT_EQ(Member(Post(kLetters + id + "/drop", kReason), "code"), R"("acted_on_before")");
  EXPECT_EQ(Member(Post(kLetters + id + "/retry", kReason), "code"), R"("acted_on_before")");
  const auto purged = Post(kLetters + id + "/purge", kReason);
  EXPECT_EQ(Member(purged, "status"), R"("purged")") << purged.body;
}

TEST_F(DeadLetterRoutesTest, TheSameKeyIsOneAction) {
  const std::string id = Die("a");
  const std::vector<std::pair<std::string, std::string>> key = {{"Idempotency-Key", "k"}};
  const auto first = Post(kLetters + id + "/drop", kReason, key);
  const auto second = Post(kLetters + id + "/drop", kReason, key);
  EXPECT_EQ(second.status, 200) << second.body;
  EXPECT_EQ(second.body, first.body);
}

TEST_F(DeadLetterRoutesTest, WhatIsNotThereOrNotAllowedIsSaid) {
  const std::string id = Die("a");
  EXPECT_EQ(Post(kLetters + "dlq_00000000000000000000000000/drop", kReason).status, 404);
  EXPECT_EQ(Post(kLetters + "x/drop", kReason).status, 404);
  EXPECT_EQ(Post(kLetters + id + "/drop", "{}").status, 422);
  EXPECT_EQ(Post(kLetters + id + "/drop", R"({"reason":"x","data":1})").status, 422);
  const auto send = [&](const std::string& token) {
    return Send(
               {.method = "POST", .path = kLetters + id + "/drop", .body = kReason, .token = token})
        .status;
  };
  EXPECT_EQ(send("viewer.acme"), 403);
  EXPECT_EQ(send("auditor.acme"), 403);
  EXPECT_EQ(send(""), 401);
  EXPECT_EQ(send("owner.zoo"), 404) << "another tenant's";
  EXPECT_EQ(send("owner.acme"), 200);
}

// Version 3 would decide the record of a retry once more; in version 4 an old START outranks a
// newer STOP.
TEST_F(DeadLetterRoutesTest, NothingIsAppendedWhileTheEngineVersionIsTooOld) {
  const std::string id = Die("a");
  story_.writer.Order("acme", "o1");
  ASSERT_TRUE(owner_->RunUntilQuiet().ok());
  const std::string notification = Fail(story_.Read().commands.at(0));
  for (const std::uint32_t version : {4U, 3U}) {
    Activate(version);
    const std::size_t before = Inputs();
    for (const std::string& path : {kLetters + id + "/retry", kLetters + id + "/drop",
                                    kLetters + id + "/purge", notification}) {
      const auto refused = PostUntilKnown(path, kReason, {});
      EXPECT_EQ(refused.status, 409) << path << refused.body;
      EXPECT_EQ(Member(refused, "code"), R"("engine_version")");
      EXPECT_THAT(refused.body, HasSubstr("engine activate 5"));
    }
    EXPECT_EQ(Inputs(), before);
  }
  EXPECT_THAT(story_.Read().commands, SizeIs(1));
}

// Who is told to come again appends it again.
TEST_F(DeadLetterRoutesTest, WhatWasAppendedIsNeverAskedForAgain) {
  EXPECT_EQ(AnswerOfDeadLetterAction({}).status, 409);
  RecordAnswer decided;
  decided.decisions.emplace_back().set_engine_version(3);
  const auto old = AnswerOfDeadLetterAction(decided);
  EXPECT_EQ(old.status, 409);
  EXPECT_THAT(old.body, HasSubstr("before anything is asked for again"));
  EXPECT_EQ(Field(old, "Retry-After"), "");
  RecordAnswer skipped;
  skipped.dead_letters.emplace_back().set_id(std::string(16, 's'));
  skipped.dead_letters.back().set_reason(v1::DEAD_LETTER_REASON_SKIPPED_BY_OPERATOR);
  const auto passed = AnswerOfDeadLetterAction(skipped);
  EXPECT_EQ(passed.status, 409);
  EXPECT_THAT(passed.body, HasSubstr("skipped_by_operator"));
  EXPECT_THAT(passed.body, HasSubstr(FormatId(IdKind::kDeadLetter, std::string(16, 's'))));
}

TEST_F(DeadLetterRoutesTest, ATimersLetterHasNoRecordToBeRetried) {
  const std::string id = Die("a");
  SetInAll(R"("offset" = -7)");
  for (const std::string action : {"/retry", "/drop", "/purge"}) {
    const auto refused = Post(kLetters + id + action, R"({"reason":"x","forced":true})");
    EXPECT_EQ(refused.status, 409) << refused.body;
    EXPECT_EQ(Member(refused, "code"), R"("not_retryable")");
  }
}

TEST_F(DeadLetterRoutesTest, WhatEndedTheProcessIsRetriedOnlyIfForced) {
  const std::string id = Die("a");
  OpenSite();
  SetInAll("stage = 'skip', reason = 'crashed_process'");
  for (const std::string body : {R"({"reason":"x"})", R"({"reason":"x","type":"order"})"}) {
    const bool edits = body.find("type") != std::string::npos;
    const auto refused = Post(kLetters + id + (edits ? "/edit" : "/retry"), body);
    EXPECT_EQ(refused.status, 409) << refused.body;
    EXPECT_EQ(Member(refused, "code"), R"("crashed_process")");
  }
  EXPECT_THAT(story_.Read().commands, SizeIs(0));
  const auto forced = Post(kLetters + id + "/retry", R"({"reason":"x","forced":true})");
  EXPECT_EQ(Member(forced, "status"), R"("resolved")") << forced.body;
}

// The first answer may be lost with the database that keeps it, or be a 503 though it was appended.
TEST_F(DeadLetterRoutesTest, AForcedRetryOfANotificationIsMadeOnceUnderItsKey) {
  constexpr sql::Statement kForget = {"test.forget_keys", "DELETE FROM identity.request_keys"};
  const std::vector<std::pair<std::string, std::string>> key = {{"Idempotency-Key", "k"}};
  const std::string forced = R"({"reason":"x","forced":true})";
  story_.writer.Order("acme", "o1");
  ASSERT_TRUE(owner_->RunUntilQuiet().ok());
  const std::string path = Fail(story_.Read().commands.at(0));
  const auto first = PostUntilKnown(path, forced, key);
  EXPECT_EQ(Member(first, "decision.outcome"), R"("send")") << first.body;
  ASSERT_TRUE(Value(identity_pool_.Take(std::chrono::seconds(1)))->Run(kForget).ok());
  const auto second = PostUntilKnown(path, forced, key);
  EXPECT_EQ(second.status, 200) << second.body;
  EXPECT_EQ(Member(second, "id"), Member(first, "id"));
  EXPECT_EQ(Member(second, "decision.notification_id"), Member(first, "decision.notification_id"));
  EXPECT_EQ(Field(second, "Idempotent-Replayed"), "true");
  EXPECT_THAT(story_.Read().commands, SizeIs(2));
  // The key is the route's: it makes no other request a repetition.
  const auto other = Post("/api/v1/notifications",
                          R"({"phone":"+254700000009","channel":"sms","class":"transactional",)"
                          R"("template":{"body":"Hi"}})",
                          key);
  EXPECT_EQ(Member(other, "decision.outcome"), R"("send")") << other.body;
}

TEST_F(DeadLetterRoutesTest, ASiteThatIsNotActiveSendsNoNotificationAgain) {
  OpenSite();
  Tell("a");
  const v1::NotificationCommand command = story_.Read().commands.at(0);
  const std::string path = Fail(command);
  v1::Envelope site;
  site.set_trust(v1::TRUST_SYSTEM);
  site.mutable_account_change()->mutable_site()->set_id("gone");
  site.mutable_account_change()->mutable_site()->set_status(v1::SITE_STATUS_DISABLED);
  story_.writer.Put(schemas::Topic::kAccountChanges, site, "acme");
  ASSERT_TRUE(owner_->RunUntilQuiet().ok());
  const auto refused = PostUntilKnown(path, kReason, {});
  EXPECT_EQ(refused.status, 409) << refused.body;
  EXPECT_THAT(refused.body, HasSubstr("site_not_active"));
  EXPECT_THAT(story_.Read().commands, SizeIs(1));
}

TEST_F(DeadLetterRoutesTest, ADeadNotificationIsAskedForAgain) {
  story_.writer.Order("acme", "o1");
  ASSERT_TRUE(owner_->RunUntilQuiet().ok());
  const v1::NotificationCommand command = story_.Read().commands.at(0);
  const std::string path = "/api/v1/notifications/" +
                           FormatId(IdKind::kNotification, command.notification_id()) + "/retry";
  auto answer = Post(path, kReason);
  for (int i = 0; i < 500 && answer.status == 404; ++i) {
    clock_.SleepFor(std::chrono::milliseconds(10));
    answer = Post(path, kReason);
  }
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(Member(answer, "decision.outcome"), R"("fail")");
  EXPECT_EQ(Member(answer, "decision.reason"), R"("not_retryable")");
  v1::Envelope failed;
  failed.set_trust(v1::TRUST_SYSTEM);
  failed.set_type("delivery.attempt");
  auto* attempt = failed.mutable_delivery_attempt();
  attempt->set_notification_id(FormatId(IdKind::kNotification, command.notification_id()));
  attempt->set_attempt(1);
  attempt->set_phase(v1::ATTEMPT_PHASE_RESULT);
  attempt->set_result(v1::ATTEMPT_CLASS_PERM_REQUEST);
  story_.writer.Put(schemas::Topic::kDeliveryAttempts, failed, "acme");
  ASSERT_TRUE(owner_->RunUntilQuiet().ok());
  const auto sent = Post(path, kReason);
  EXPECT_EQ(Member(sent, "decision.outcome"), R"("send")") << sent.body;
  const auto commands = story_.Read().commands;
  EXPECT_EQ(commands.back().body().plain(), command.body().plain());
  EXPECT_EQ(commands.back().to().plain(), command.to().plain());
}

}  // namespace
}  // namespace alertstream::api

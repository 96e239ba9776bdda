#include "api/resources/notification_routes.h"

#include <tuple>

#include "api/auth/request_signature.h"
#include "tests/unit/api/resources/resource_fixture.h"

namespace alertstream::api {
namespace {

using ::testing::HasSubstr;

const std::string kNotifications = "/api/v1/notifications";

std::string ByText(const std::string& phone, const std::string& message_class = "transactional",
                   const std::string& body = "Code {{data.code}}") {
  return R"({"phone":")" + phone + R"(","channel":"sms","class":")" + message_class +
         R"(","template":{"body":")" + body + R"("},"data":{"code":4711}})";
}

class NotificationRoutesTest : public ResourceTest {
 protected:
  void SetPlan(std::int64_t sends_per_month_max) {
    v1::Envelope plan;
    plan.set_trust(v1::TRUST_SYSTEM);
    plan.mutable_account_change()->mutable_plan()->set_id("tiny");
    plan.mutable_account_change()->mutable_plan()->set_sends_per_month_max(sends_per_month_max);
    story_.writer.Put(schemas::Topic::kAccountChanges, plan, "acme");
    plan.mutable_account_change()->mutable_tenant()->set_status(v1::TENANT_STATUS_ACTIVE);
    plan.mutable_account_change()->mutable_tenant()->set_plan("tiny");
    story_.writer.Put(schemas::Topic::kAccountChanges, plan, "acme");
    EXPECT_TRUE(owner_->RunUntilQuiet().ok());
  }
  // Until the read side shows what was refused.
  http::Response PostUntilKnown(const std::string& body,
                                const std::vector<std::pair<std::string, std::string>>& fields) {
    auto answer = Post(kNotifications, body, fields);
    for (int i = 0; i < 500 && answer.status == 503; ++i) {
      clock_.SleepFor(std::chrono::milliseconds(10));
      answer = Post(kNotifications, body, fields);
    }
    return answer;
  }

  NotificationRoutesTest() {
    story_.writer.Trigger("acme", "alert", [](v1::Trigger* trigger) {
      trigger->set_when("event.data.n > 5");
      trigger->set_template_body("Alert {{data.n}}");
    });
    EXPECT_TRUE(owner_->RunUntilQuiet().ok());
  }
};

TEST_F(NotificationRoutesTest, ATextOfTheRequestsOwnIsSent) {
  const auto sent = Post(kNotifications, ByText("+254700000001"));
  ASSERT_EQ(sent.status, 200) << sent.body;
  EXPECT_EQ(Member(sent, "decision.outcome"), R"("send")");
  EXPECT_EQ(Member(sent, "decision.trigger"), "null");
  EXPECT_THAT(Member(sent, "decision.notification_id"), HasSubstr("ntf_"));
  EXPECT_FALSE(Field(sent, "X-Position").empty());
  const auto outputs = story_.Read();
  ASSERT_EQ(outputs.commands.size(), 1U);
  EXPECT_EQ(outputs.commands[0].to().plain(), "+254700000001");
  EXPECT_EQ(outputs.commands[0].body().plain(), "Code 4711");
}

TEST_F(NotificationRoutesTest, ATriggersMessageIsSentToThePersonWithThatId) {
  ASSERT_EQ(Post("/api/v1/consents", R"({"phone":"+254700000001","class":"informational",)"
                                     R"("status":"granted"})")
                .status,
            201);
  const auto found = Post("/api/v1/recipients/lookup", R"({"phone":"+254700000001"})");
  const auto sent = Post(kNotifications, R"({"recipient":)" + Member(found, "id") +
                                             R"(,"trigger":"alert","data":{"n":1}})");
  ASSERT_EQ(sent.status, 200) << sent.body;
  EXPECT_EQ(Member(sent, "decision.trigger"), R"("alert")");
  EXPECT_EQ(Member(sent, "decision.recipient"), Member(found, "id"));
  EXPECT_EQ(story_.Read().commands.at(0).body().plain(), "Alert 1");
}

TEST_F(NotificationRoutesTest, WhatAGateStopsIsToldWithItsReason) {
  const auto suppressed = Post(kNotifications, ByText("+254700000001", "marketing"));
  ASSERT_EQ(suppressed.status, 200) << suppressed.body;
  EXPECT_EQ(Member(suppressed, "decision.outcome"), R"("suppress")");
  EXPECT_EQ(Member(suppressed, "decision.reason"), R"("consent_missing")");
  EXPECT_EQ(Member(suppressed, "decision.notification_id"), "null");
  const auto failed =
      Post(kNotifications, ByText("+254700000001", "transactional", "{{data.absent}}"));
  EXPECT_EQ(Member(failed, "decision.reason"), R"("template_failed")");
}

TEST_F(NotificationRoutesTest, OverTheMonthsPlanItSaysWhatIsLeftAndWhenItResets) {
  SetPlan(1);
  ASSERT_EQ(Post(kNotifications, ByText("+254700000001")).status, 200);
  const auto refused = Post(kNotifications, ByText("+254700000002"));
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(Member(refused, "code"), R"("quota_exceeded")");
  EXPECT_EQ(Member(refused, "limit"), "1");
  EXPECT_EQ(Member(refused, "remaining"), "0");
  EXPECT_THAT(Member(refused, "resets_at"), HasSubstr("-01T00:00:00.000Z"));
  EXPECT_THAT(Field(refused, "RateLimit"), HasSubstr(R"("plan";r=0;t=)"));
  EXPECT_GT(std::stol(Field(refused, "Retry-After")), 0);
}

TEST_F(NotificationRoutesTest, TheSameKeyIsOneNotification) {
  const std::vector<std::pair<std::string, std::string>> key = {{"Idempotency-Key", "\"k1\""}};
  const auto first = Post(kNotifications, ByText("+254700000001"), key);
  const auto second = Post(kNotifications, ByText("+254700000001"), key);
  EXPECT_EQ(second.status, 200);
  EXPECT_EQ(Member(second, "id"), Member(first, "id"));
  EXPECT_EQ(Field(second, "Idempotent-Replayed"), "true");
  EXPECT_EQ(Post(kNotifications, ByText("+254700000002"), key).status, 422);
  EXPECT_EQ(story_.Read().commands.size(), 1U);
}

// The fold keeps the key for seven days, and has decided on it once.
TEST_F(NotificationRoutesTest, WhatThePlanHeldBackIsSentWhenItIsAskedAgain) {
  const std::vector<std::pair<std::string, std::string>> key = {{"Idempotency-Key", "\"k2\""}};
  SetPlan(0);
  ASSERT_EQ(Post(kNotifications, ByText("+254700000001"), key).status, 429);
  ASSERT_EQ(PostUntilKnown(ByText("+254700000001"), key).status, 429);
  EXPECT_TRUE(story_.Read().commands.empty());
  SetPlan(10);
  const auto sent = PostUntilKnown(ByText("+254700000001"), key);
  ASSERT_EQ(sent.status, 200) << sent.body;
  EXPECT_EQ(Member(sent, "decision.outcome"), R"("send")");
  EXPECT_EQ(Member(PostUntilKnown(ByText("+254700000001"), key), "id"), Member(sent, "id"));
  EXPECT_EQ(story_.Read().commands.size(), 1U);
}

TEST_F(NotificationRoutesTest, AnAnswerThatWasNotKeptIsFoundInTheReadModel) {
  constexpr sql::Statement kForget = {"test.forget_keys", "DELETE FROM identity.request_keys"};
  const std::vector<std::pair<std::string, std::string>> key = {{"Idempotency-Key", "\"k3\""}};
  const auto first = Post(kNotifications, ByText("+254700000001"), key);
  ASSERT_EQ(first.status, 200) << first.body;
  ASSERT_TRUE(Value(identity_pool_.Take(std::chrono::seconds(1)))->Run(kForget).ok());
  const auto second = PostUntilKnown(ByText("+254700000001"), key);
  ASSERT_EQ(second.status, 200) << second.body;
  EXPECT_EQ(second.body, first.body);
  EXPECT_EQ(Field(second, "Idempotent-Replayed"), "true");
  EXPECT_EQ(story_.Read().commands.size(), 1U);
}

TEST_F(NotificationRoutesTest, FaultsAreNamed) {
  const std::pair<std::string, std::string> cases[] = {
      {R"({})", "#/phone"},
      {R"({"phone":"0700","trigger":"alert"})", "#/phone"},
      {R"({"recipient":"x","trigger":"alert"})", "#/recipient"},
      {R"({"phone":"+254700000001","recipient":"rcp_00000000000000000000000000","trigger":"a"})",
       "#/phone"},
      {R"({"phone":"+254700000001"})", "#/channel"},
      {R"({"phone":"+254700000001"})", "#/class"},
      {R"({"phone":"+254700000001"})", "#/template"},
      {R"({"phone":"+254700000001","trigger":"alert","class":"marketing"})", "#/class"},
      {R"({"phone":"+254700000001","trigger":"alert","data":[]})", "#/data"},
      {R"({"phone":"+254700000001","trigger":"alert","x":1})", "#/x"},
      {R"({"phone":"+254700000001","channel":"all","class":"marketing","template":{"body":"x"}})",
       "#/channel"},
      {R"({"phone":"+254700000001","channel":"sms","class":"marketing","template":{"body":"{{"}})",
       "#/template/body"},
      {R"({"phone":"+254700000001","trigger":"gone"})", "#/trigger"},
      {R"({"recipient":"rcp_00000000000000000000000000","trigger":"alert"})", "#/recipient"},
  };
  for (const auto& [body, pointer] : cases) {
    const auto refused = Post(kNotifications, body);
    EXPECT_EQ(refused.status, 422) << body;
    EXPECT_THAT(refused.body, HasSubstr("\"pointer\":\"" + pointer + "\"")) << body;
  }
  EXPECT_TRUE(story_.Read().commands.empty());
}

TEST_F(NotificationRoutesTest, AViewerMayNotAndAnotherTenantsPersonIsUnknown) {
  EXPECT_EQ(Send({.method = "POST",
                  .path = kNotifications,
                  .body = ByText("+254700000001"),
                  .token = "viewer.acme"})
                .status,
            403);
  ASSERT_EQ(Post("/api/v1/consents", R"({"phone":"+254700000001","class":"informational",)"
                                     R"("status":"granted"})")
                .status,
            201);
  const auto found = Post("/api/v1/recipients/lookup", R"({"phone":"+254700000001"})");
  EXPECT_EQ(Send({.method = "POST",
                  .path = kNotifications,
                  .body = R"({"recipient":)" + Member(found, "id") + R"(,"trigger":"alert"})",
                  .token = "owner.zoo"})
                .status,
            422);
}

TEST_F(NotificationRoutesTest, TheKeyOfOneWebsiteSpeaksForNoOther) {
  for (const char* id : {"shop", "blog"}) {
    v1::Envelope envelope;
    envelope.set_trust(v1::TRUST_SYSTEM);
    v1::Site* site = envelope.mutable_account_change()->mutable_site();
    site->set_id(id);
    site->set_status(v1::SITE_STATUS_ACTIVE);
    story_.writer.Put(schemas::Topic::kAccountChanges, envelope, "acme");
  }
  ASSERT_TRUE(owner_->RunUntilQuiet().ok());
  const auto secret_of = [](const std::string& key) { return HmacKey("the secret of " + key); };
  const auto add = [&](const std::string& key, const std::string& site) {
    identity_.Add(key, {.id = "key_" + key,
                        .kind = KeyKind::kSecret,
                        .tenant = "acme",
                        .site = site,
                        .signing_secrets = {secret_of(key)}});
  };
  add("as_sk_site", "shop");
  add("as_sk_blog", "blog");
  add("as_sk_all", "");
  const auto send = [&](const std::string& key, const std::string& site) {
    std::string body = ByText("+254700000001");
    if (!site.empty()) {
      body.insert(1, R"("site":")" + site + R"(",)");
    }
    const auto now_s = ToMicros(clock_.Now()) / 1'000'000;
    return Send({.method = "POST",
                 .path = kNotifications,
                 .body = body,
                 .token = "",
                 .fields = {{"X-API-Key", key},
                            {"Idempotency-Key", "once" + site},
                            {"X-Signature",
                             SignBoundRequest(secret_of(key), now_s,
                                              SignedTarget("POST", kNotifications, ""), body)}}});
  };
  const auto refused = send("as_sk_site", "blog");
  EXPECT_EQ(refused.status, 403) << refused.body;
  EXPECT_EQ(Member(refused, "code"), R"("forbidden")");
  EXPECT_THAT(refused.body, HasSubstr(R"("pointer":"#/site")"));
  EXPECT_TRUE(story_.Read().decisions.empty());

  const std::tuple<std::string, std::string, std::string> allowed[] = {
      {"as_sk_site", "", "shop"},
      {"as_sk_site", "shop", "shop"},
      {"as_sk_blog", "", "blog"},  // Not what the other one's key was answered.
      {"as_sk_all", "blog", "blog"},
      {"as_sk_all", "", ""}};
  for (const auto& [key, site, expected] : allowed) {
    const auto sent = send(key, site);
    ASSERT_EQ(sent.status, 200) << sent.body;
    EXPECT_EQ(story_.Read().decisions.back().site(), expected) << key << " " << site;
  }
  EXPECT_EQ(send("as_sk_all", "").status, 200) << "a retry as it was, with its key and signature";
}

TEST_F(NotificationRoutesTest, WithoutADecisionInTimeThePositionIsAnswered) {
  processor_runs_ = false;
  const auto pending = Post(kNotifications, ByText("+254700000001"));
  EXPECT_EQ(pending.status, 202);
  EXPECT_EQ(Member(pending, "decided"), "false");
  EXPECT_FALSE(Field(pending, "X-Position").empty());
}

// An older log folds it as an event that nobody asked for.
TEST(NotificationAnswer, ALogOfVersionTwoIsSaidToNeedActivation) {
  RecordAnswer answer;
  answer.decisions.emplace_back().set_engine_version(2);
  const auto response = AnswerOfNotification(answer);
  EXPECT_EQ(response.status, 503);
  EXPECT_THAT(response.body, HasSubstr("engine activate"));
}

}  // namespace
}  // namespace alertstream::api

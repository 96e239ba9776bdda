#include "tests/unit/api/resources/resource_fixture.h"

namespace alertstream::api {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kPath = "/api/v1/triggers";

// A trigger's body; `more` are further members.
std::string Body(std::string_view when, std::string_view more = "") {
  return std::string(R"({"event_type":"order","channel":"sms","recipients":{"field":"data.phone"},)"
                     R"("template":{"body":"Hello"},"message_class":"transactional","when":")") +
         std::string(when) + "\"" + std::string(more) + "}";
}

class TriggerRoutesTest : public ResourceTest {
 protected:
  http::Response Put(const std::string& id, const std::string& body, const std::string& if_match) {
    Call call{.method = "PUT", .path = kPath + "/" + id, .body = body};
    if (!if_match.empty()) {
      call.fields = {{"If-Match", if_match}};
    }
    return Send(call);
  }
  http::Response Delete(const std::string& id, const std::string& if_match) {
    Call call{.method = "DELETE", .path = kPath + "/" + id};
    if (!if_match.empty()) {
      call.fields = {{"If-Match", if_match}};
    }
    return Send(call);
  }
};

TEST_F(TriggerRoutesTest, WhatIsMadeIsShownAtOnce) {
  const auto made = Post(kPath, Body("event.data.amount > 5", R"(,"id":"big","cooldown":"30m")"));
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(Field(made, "ETag"), "\"1\"");
  EXPECT_EQ(Field(made, "Location"), kPath + "/big");
  EXPECT_THAT(Field(made, "X-Position"), HasSubstr("account-changes/0/"));
  EXPECT_EQ(Member(made, "actor"), R"("usr_editor")");
  const auto shown = Get(kPath + "/big");
  ASSERT_EQ(shown.status, 200) << shown.body;
  EXPECT_EQ(shown.body, made.body);
  EXPECT_EQ(Field(shown, "ETag"), "\"1\"");
  EXPECT_EQ(Member(shown, "when"), R"("event.data.amount > 5")");
  EXPECT_EQ(Member(shown, "cooldown"), R"("30m")");
  EXPECT_EQ(Member(shown, "recipients.field"), R"("data.phone")");
}

TEST_F(TriggerRoutesTest, WithoutAnIdItGetsOne) {
  const auto made = Post(kPath, Body("true"));
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_THAT(Member(made, "id"), HasSubstr("trg-"));
  EXPECT_NE(Member(Post(kPath, Body("true")), "id"), Member(made, "id"));
}

TEST_F(TriggerRoutesTest, AnIdIsNotUsedTwice) {
  ASSERT_EQ(Post(kPath, Body("true", R"(,"id":"one")")).status, 201);
  const auto again = Post(kPath, Body("false", R"(,"id":"one")"));
  EXPECT_EQ(again.status, 409);
  EXPECT_THAT(again.body, HasSubstr(R"("code":"conflict")"));
  EXPECT_THAT(again.body, HasSubstr(R"("pointer":"#/id")"));
  EXPECT_EQ(Member(Get(kPath + "/one"), "when"), R"("true")");
}

TEST_F(TriggerRoutesTest, AReplacementNeedsTheVersionThatItReplaces) {
  ASSERT_EQ(Post(kPath, Body("true", R"(,"id":"one")")).status, 201);
  const auto without = Put("one", Body("false"), "");
  EXPECT_EQ(without.status, 428);
  EXPECT_THAT(without.body, HasSubstr("precondition_required"));
  EXPECT_EQ(Put("one", Body("false"), "one").status, 400);
  const auto replaced = Put("one", Body("false"), "\"1\"");
  ASSERT_EQ(replaced.status, 200) << replaced.body;
  EXPECT_EQ(Field(replaced, "ETag"), "\"2\"");
  EXPECT_EQ(Member(replaced, "when"), R"("false")");
  const auto stale = Put("one", Body("true"), "\"1\"");
  EXPECT_EQ(stale.status, 412);
  EXPECT_THAT(stale.body, HasSubstr("precondition_failed"));
  EXPECT_EQ(Put("one", Body("1 < 2"), "*").status, 200);
  // What is in force as it is keeps its version.
  EXPECT_EQ(Field(Put("one", Body("1 < 2"), "\"3\""), "ETag"), "\"3\"");
  EXPECT_EQ(Put("other", Body("true"), "\"1\"").status, 404);
  EXPECT_EQ(Put("one", Body("true", R"(,"id":"two")"), "\"3\"").status, 422);
}

TEST_F(TriggerRoutesTest, ADeletedTriggerIsGoneAndItsVersionsStay) {
  ASSERT_EQ(Post(kPath, Body("true", R"(,"id":"one")")).status, 201);
  EXPECT_EQ(Delete("one", "").status, 428);
  EXPECT_EQ(Delete("one", "\"7\"").status, 412);
  const auto gone = Delete("one", "\"1\"");
  ASSERT_EQ(gone.status, 204) << gone.body;
  EXPECT_THAT(Field(gone, "X-Position"), HasSubstr("account-changes/0/"));
  EXPECT_EQ(Get(kPath + "/one").status, 404);
  EXPECT_EQ(Delete("one", "\"2\"").status, 404);
  EXPECT_EQ(Put("one", Body("true"), "\"2\"").status, 404);
  EXPECT_EQ(Post(kPath, Body("true", R"(,"id":"one")")).status, 409);
  EXPECT_THAT(Get(kPath).body, Not(HasSubstr(R"("id":"one")")));
  const auto versions = Get(kPath + "/one/versions");
  ASSERT_EQ(versions.status, 200) << versions.body;
  EXPECT_THAT(versions.body, HasSubstr(R"("version":2)"));
  EXPECT_THAT(versions.body, HasSubstr(R"("deleted":true)"));
  EXPECT_THAT(versions.body, HasSubstr(R"("version":1)"));
  EXPECT_EQ(Get(kPath + "/none/versions").status, 404);
}

TEST_F(TriggerRoutesTest, ListsGoPageByPage) {
  for (const std::string id : {"a", "b", "c"}) {
    ASSERT_EQ(Post(kPath, Body("true", R"(,"id":")" + id + "\"")).status, 201);
  }
  auto page = Send({.path = kPath, .query = "limit=3"});
  ASSERT_EQ(page.status, 200) << page.body;
  EXPECT_EQ(Member(page, "has_more"), "true");
  std::string cursor = Member(page, "next_cursor");
  cursor = cursor.substr(1, cursor.size() - 2);
  page = Send({.path = kPath, .query = "starting_after=" + cursor});
  EXPECT_EQ(Member(page, "has_more"), "false");
  // Those of one moment go by their ids, backwards: the last is "a", "paid" is of the story.
  EXPECT_THAT(page.body, HasSubstr(R"("id":"a")"));
  EXPECT_THAT(page.body, Not(HasSubstr(R"("id":"paid")")));
  EXPECT_EQ(
      Send({.path = kPath, .token = "editor.zoo", .query = "starting_after=" + cursor}).status,
      400);
  EXPECT_EQ(Send({.path = kPath, .query = "limit=0"}).status, 400);
}

TEST_F(TriggerRoutesTest, EveryFaultIsNamed) {
  const auto refused =
      Post(kPath,
           R"({"event_type":"or der","channel":"fax","recipients":{},"template":{"body":"{{#a}}"},)"
           R"("message_class":"marketing","when":"event.data.a >\n < 3","colour":1,"kind":"x"})");
  EXPECT_EQ(refused.status, 422);
  for (const std::string_view pointer : {"#/event_type", "#/channel", "#/recipients",
                                         "#/template/body", "#/when", "#/colour", "#/kind"}) {
    if (pointer == "#/kind") {
      EXPECT_THAT(refused.body, HasSubstr(R"("pointer":"#/kind")"));
    }
  }
  const auto checked =
      Post(kPath + "/validate",
           R"({"event_type":"or der","channel":"fax","recipients":{},"template":{"body":"{{#a}}"},)"
           R"("message_class":"marketing","when":"event.data.a >\n < 3","colour":1})");
  ASSERT_EQ(checked.status, 200) << checked.body;
  EXPECT_EQ(Member(checked, "valid"), "false");
  for (const std::string_view pointer :
       {"#/event_type", "#/channel", "#/recipients", "#/template/body", "#/when", "#/colour"}) {
    EXPECT_THAT(checked.body, HasSubstr("\"pointer\":\"" + std::string(pointer) + "\""));
  }
  EXPECT_THAT(checked.body, HasSubstr(R"("line":2,"column":2)"));
  const auto fine = Post(kPath + "/validate", Body("true"));
  EXPECT_EQ(fine.body, R"({"object":"trigger_check","valid":true,"errors":[]})");
  EXPECT_EQ(Post(kPath + "/validate", "{").status, 400);
  EXPECT_EQ(Member(Post(kPath + "/validate", "[]"), "valid"), "false");
}

TEST_F(TriggerRoutesTest, AnotherTenantsTriggersAreNotThere) {
  ASSERT_EQ(Post(kPath, Body("true", R"(,"id":"one")")).status, 201);
  const std::string token = "owner.zoo";
  EXPECT_EQ(Send({.path = kPath + "/one", .token = token}).status, 404);
  EXPECT_EQ(Send({.path = kPath + "/one/versions", .token = token}).status, 404);
  EXPECT_EQ(Send({.method = "PUT",
                  .path = kPath + "/one",
                  .body = Body("true"),
                  .token = token,
                  .fields = {{"If-Match", "\"1\""}}})
                .status,
            404);
  EXPECT_EQ(Send({.method = "DELETE",
                  .path = kPath + "/one",
                  .token = token,
                  .fields = {{"If-Match", "*"}}})
                .status,
            404);
  EXPECT_EQ(Member(Send({.path = kPath, .token = token}), "data"), "[]");
  // The same id is free in another tenant.
  EXPECT_EQ(
      Send(
          {.method = "POST", .path = kPath, .body = Body("true", R"(,"id":"one")"), .token = token})
          .status,
      201);
}

TEST_F(TriggerRoutesTest, RolesMayWhatTheTableSays) {
  for (const std::string role : {"viewer", "auditor"}) {
    EXPECT_EQ(Send({.path = kPath, .token = role + ".acme"}).status, 200);
    EXPECT_EQ(Send({.method = "POST", .path = kPath, .body = "{}", .token = role + ".acme"}).status,
              403);
    EXPECT_EQ(Send({.method = "PUT", .path = kPath + "/paid", .token = role + ".acme"}).status,
              403);
    EXPECT_EQ(Send({.method = "DELETE", .path = kPath + "/paid", .token = role + ".acme"}).status,
              403);
  }
  EXPECT_EQ(Send({.path = kPath, .token = ""}).status, 401);
  EXPECT_EQ(Send({.method = "DELETE", .path = kPath + "/paid", .token = "nobody"}).status, 401);
}

TEST_F(TriggerRoutesTest, ARepetitionWithTheSameKeyMakesOneTrigger) {
  const auto first = Post(kPath, Body("true"), {{"Idempotency-Key", "\"k1\""}});
  ASSERT_EQ(first.status, 201) << first.body;
  const auto again = Post(kPath, Body("true"), {{"Idempotency-Key", "k1"}});
  EXPECT_EQ(again.status, 201);
  EXPECT_EQ(again.body, first.body);
  EXPECT_EQ(Field(again, "Idempotent-Replayed"), "true");
  EXPECT_EQ(Field(again, "ETag"), "\"1\"");
  EXPECT_EQ(Field(again, "Location"), Field(first, "Location"));
  const auto other = Post(kPath, Body("false"), {{"Idempotency-Key", "k1"}});
  EXPECT_EQ(other.status, 422);
  EXPECT_THAT(other.body, HasSubstr("idempotency_key_reused"));
  // Another tenant's key is another key.
  EXPECT_EQ(Send({.method = "POST",
                  .path = kPath,
                  .body = Body("false"),
                  .token = "editor.zoo",
                  .fields = {{"Idempotency-Key", "k1"}}})
                .status,
            201);
}

TEST_F(TriggerRoutesTest, AddressesAreMaskedUnlessSomebodyMaySeeThemAndSaysWhy) {
  const std::string body =
      R"({"id":"ops","event_type":"order","channel":"sms","recipients":{"list":)"
      R"(["+254 700 000 001"]},"template":{"body":"x"},)"
      R"("message_class":"transactional"})";
  const auto made = Post(kPath, body);
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_THAT(made.body, HasSubstr("***"));
  EXPECT_THAT(Send({.path = kPath + "/ops",
                    .token = "viewer.acme",
                    .fields = {{"X-Reveal-Reason", "a good reason"}}})
                  .body,
              HasSubstr("***"));
  EXPECT_TRUE(audit_.events().empty());
  const auto revealed = Send({.path = kPath + "/ops",
                              .token = "auditor.acme",
                              .fields = {{"X-Reveal-Reason", "a good reason"}},
                              .reveals = true});
  EXPECT_THAT(revealed.body, HasSubstr(R"("list":["+254700000001"])"));
  ASSERT_EQ(audit_.events().size(), 1U);
  EXPECT_EQ(audit_.events()[0].action, "personal_data.reveal");
}

TEST_F(TriggerRoutesTest, WithoutTheFoldsAnswerItIs202WithAPosition) {
  processor_runs_ = false;
  const auto pending = Post(kPath, Body("true", R"(,"id":"late")"));
  ASSERT_EQ(pending.status, 202) << pending.body;
  EXPECT_EQ(Member(pending, "decided"), "false");
  const std::string position = Field(pending, "X-Position");
  processor_runs_ = true;
  const auto shown = Send({.path = kPath + "/late", .fields = {{"X-Min-Position", position}}});
  EXPECT_EQ(shown.status, 200) << shown.body;
}

TEST_F(TriggerRoutesTest, ALogThatIsNotThereIs503) {
  story_.log.FailWrites(true);
  processor_runs_ = false;
  const auto response = Post(kPath, Body("true"));
  EXPECT_EQ(response.status, 503);
  EXPECT_THAT(response.body, HasSubstr("unavailable"));
  story_.log.FailWrites(false);
}

TEST_F(TriggerRoutesTest, WithoutADatabaseTheAnswerSaysWhichSettingIsMissing) {
  http::Routes without;
  ASSERT_TRUE(AddRoutes(&without, nullptr).ok());
  std::swap(routes_, without);
  for (const std::string method : {"GET", "POST"}) {
    const auto response = Send({.method = method, .path = kPath, .body = "{}"});
    EXPECT_EQ(response.status, 503);
    EXPECT_THAT(response.body, HasSubstr("postgres.url"));
  }
}

TEST_F(TriggerRoutesTest, ABodyOfAnotherMediaTypeIsRefused) {
  EXPECT_EQ(Post(kPath, "a: b", {{"Content-Type", "application/yaml"}}).status, 415);
  EXPECT_EQ(Post(kPath, Body("true"), {{"Content-Type", "application/json; charset=utf-8"}}).status,
            201);
}

}  // namespace
}  // namespace alertstream::api

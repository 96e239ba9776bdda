#include "tests/unit/api/resources/resource_fixture.h"

namespace alertstream::api {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kConsents = "/api/v1/consents";
const std::string kOptOuts = "/api/v1/opt-outs";
const std::string kLookup = "/api/v1/recipients/lookup";
const std::string kConsent =
    R"({"phone":"+254700000001","channel":"sms","class":"marketing","status":"granted",)"
    R"("source":"web_form","evidence":{"kind":"web_form","written":true},)"
    R"("at":"2026-01-31T08:00:00Z"})";

using PermissionRoutesTest = ResourceTest;

TEST_F(PermissionRoutesTest, AConsentIsRecordedAndItsPersonFound) {
  const auto recorded = Post(kConsents, kConsent);
  ASSERT_EQ(recorded.status, 201) << recorded.body;
  EXPECT_EQ(Member(recorded, "class"), R"("marketing")");
  EXPECT_EQ(Member(recorded, "status"), R"("granted")");
  EXPECT_EQ(Member(recorded, "written"), "true");
  EXPECT_EQ(Member(recorded, "source"), R"("web_form")");
  EXPECT_EQ(Member(recorded, "at"), R"("2026-01-31T08:00:00.000Z")");
  EXPECT_EQ(Member(recorded, "actor"), R"("usr_editor")");
  const auto found = Post(kLookup, R"({"phone":"00254 700-000-001"})");
  ASSERT_EQ(found.status, 200) << found.body;
  EXPECT_EQ(Member(found, "id"), Member(recorded, "recipient"));
  // By the id instead of the number.
  const auto revoked =
      Post(kConsents, R"({"recipient":)" + Member(found, "id") +
                          R"(,"channel":"sms","class":"marketing","status":"revoked"})");
  ASSERT_EQ(revoked.status, 201) << revoked.body;
  EXPECT_EQ(Member(revoked, "recipient"), Member(recorded, "recipient"));
  EXPECT_EQ(Member(revoked, "source"), R"("api")");
}

TEST_F(PermissionRoutesTest, ALookUpFindsOnlyWhomTheTenantHasMet) {
  ASSERT_EQ(Post(kConsents, kConsent).status, 201);
  EXPECT_EQ(Post(kLookup, R"({"phone":"+254700000077"})").status, 404);
  EXPECT_EQ(Send({.method = "POST",
                  .path = kLookup,
                  .body = R"({"phone":"+254700000001"})",
                  .token = "owner.zoo"})
                .status,
            404);
  for (const std::string body :
       {R"({})", R"({"phone":""})", R"({"phone":"0700 000 001"})", R"({"phone":7})", R"([])",
        R"({"phone":"+254700000001","name":"x"})"}) {
    EXPECT_EQ(Post(kLookup, body).status, 422) << body;
  }
  EXPECT_EQ(Post(kLookup, "phone").status, 400);
}

// Who sees masked numbers could find the whole ones by trying.
TEST_F(PermissionRoutesTest, AViewerLooksNobodyUp) {
  ASSERT_EQ(Post(kConsents, kConsent).status, 201);
  const auto status_as = [&](const std::string& token) {
    return Send({.method = "POST",
                 .path = kLookup,
                 .body = R"({"phone":"+254700000001"})",
                 .token = token})
        .status;
  };
  EXPECT_EQ(status_as("viewer.acme"), 403);
  for (const std::string token : {"owner.acme", "admin.acme", "editor.acme", "auditor.acme"}) {
    EXPECT_EQ(status_as(token), 200) << token;
  }
}

TEST_F(PermissionRoutesTest, FaultsOfAConsentAreNamed) {
  const auto refused =
      Post(kConsents, R"({"phone":"0700","class":"any","status":"granted","at":"today","x":1,)"
                      R"("evidence":{"written":"yes"}})");
  EXPECT_EQ(refused.status, 422);
  for (const std::string pointer :
       {"#/phone", "#/class", "#/at", "#/x", "#/evidence/written", "#/evidence/kind"}) {
    EXPECT_THAT(refused.body, HasSubstr("\"pointer\":\"" + pointer + "\""));
  }
  EXPECT_EQ(Post(kConsents, R"({"class":"marketing","status":"granted"})").status, 422);
  EXPECT_EQ(Post(kConsents, R"({"phone":"","class":"marketing","status":"granted"})").status, 422);
}

TEST_F(PermissionRoutesTest, AnOptOutIsRecordedAndLifted) {
  const auto none = Post(kOptOuts, R"({"phone":"+254700000001","status":"removed"})");
  EXPECT_EQ(none.status, 409);
  EXPECT_THAT(none.body, HasSubstr("not_opted_out"));
  const auto out = Post(kOptOuts, R"({"phone":"+254700000001","channel":"sms","status":"active",)"
                                  R"("source":"support"})");
  ASSERT_EQ(out.status, 201) << out.body;
  EXPECT_EQ(Member(out, "by"), R"("api")");
  EXPECT_EQ(Member(out, "reason"), R"("support")");
  const auto lifted =
      Post(kOptOuts, R"({"phone":"+254700000001","channel":"sms","status":"removed",)"
                     R"("reason":"asked for it"})");
  ASSERT_EQ(lifted.status, 201) << lifted.body;
  EXPECT_EQ(Member(lifted, "status"), R"("removed")");
}

TEST_F(PermissionRoutesTest, APersonsOwnStopIsNotLifted) {
  story_.writer.Inbound("acme", "STOP", kPhone);
  const auto refused =
      Post(kOptOuts, R"({"phone":"+254700000001","channel":"sms","status":"removed"})");
  EXPECT_EQ(refused.status, 409);
  EXPECT_THAT(refused.body, HasSubstr(R"("code":"opt_out_by_recipient")"));
}

TEST_F(PermissionRoutesTest, AnExpectedVersionThatDoesNotFitIs412) {
  ASSERT_EQ(Post(kConsents, kConsent).status, 201);
  const auto stale = Post(kOptOuts, R"({"phone":"+254700000001","status":"active",)"
                                    R"("expected_version":77})");
  EXPECT_EQ(stale.status, 412) << stale.body;
}

TEST_F(PermissionRoutesTest, ARepetitionWithTheSameKeyRecordsOnce) {
  const auto first = Post(kConsents, kConsent, {{"Idempotency-Key", "c1"}});
  ASSERT_EQ(first.status, 201) << first.body;
  const std::size_t facts = story_.Read().facts.size();
  const auto again = Post(kConsents, kConsent, {{"Idempotency-Key", "c1"}});
  EXPECT_EQ(again.body, first.body);
  EXPECT_EQ(Field(again, "Idempotent-Replayed"), "true");
  EXPECT_EQ(story_.Read().facts.size(), facts);
  // The key of another route is another key.
  EXPECT_EQ(
      Post(kOptOuts, R"({"phone":"+254700000001","status":"active"})", {{"Idempotency-Key", "c1"}})
          .status,
      201);
  EXPECT_EQ(Post(kConsents, kConsent, {{"Idempotency-Key", ""}}).status, 400);
}

TEST_F(PermissionRoutesTest, ATenantThatTheLogDoesNotKnowIsRefused) {
  const auto refused =
      Send({.method = "POST", .path = kConsents, .body = kConsent, .token = "owner.nobody"});
  EXPECT_EQ(refused.status, 409);
}

TEST_F(PermissionRoutesTest, WhoMayOnlyLookRecordsNothing) {
  for (const std::string& path : {kConsents, kOptOuts}) {
    EXPECT_EQ(Send({.method = "POST", .path = path, .body = "{}", .token = "viewer.acme"}).status,
              403);
    EXPECT_EQ(Send({.method = "POST", .path = path, .body = "{}", .token = ""}).status, 401);
  }
}

// What libpq says names sockets, hosts and users.
TEST_F(PermissionRoutesTest, ADatabaseThatIsAwayIsNotDescribedToClients) {
  const auto nowhere = postgres::OpenTestDatabase("postgresql://someone@127.0.0.1:1/nothing");
  sql::TenantPool pool(*nowhere, {.role = "alertstream_api"}, 1);
  const ReadDatabase away{.pool = pool, .workers = workers_, .wait = wait_, .audit = audit_};
  http::Routes without;
  ASSERT_TRUE(AddRoutes(&without, &away).ok());
  std::swap(routes_, without);
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 2; ++i) {
    const auto answer = Post(kLookup, R"({"phone":"+254700000001"})");
    EXPECT_EQ(answer.status, 503);
    EXPECT_EQ(Member(answer, "detail"), R"("The database cannot be asked now.")");
    EXPECT_FALSE(Field(answer, "Retry-After").empty());
    EXPECT_THAT(answer.body, Not(HasSubstr("127.0.0.1")));
    EXPECT_THAT(answer.body, Not(HasSubstr("someone")));
  }
  const std::string logged = ::testing::internal::GetCapturedStderr();
  const std::string event = "resource_database_unavailable";
  const std::size_t first = logged.find(event);
  ASSERT_NE(first, std::string::npos) << logged;
  EXPECT_EQ(logged.find(event, first + 1), std::string::npos) << logged;
  EXPECT_THAT(logged, HasSubstr("127.0.0.1"));
  workers_.Stop();  // They use the pool.
}

}  // namespace
}  // namespace alertstream::api

#include "api/resources/request_keys.h"

#include "tests/support/manual_clock.h"
#include "tests/unit/api/resources/resource_fixture.h"

namespace alertstream::api {
namespace {

using ::testing::VariantWith;

class RequestKeysTest : public ::testing::Test {
 protected:
  RequestKeys::Outcome Claim(const KeyedRequest& request) {
    auto outcome = keys_.Claim(request);
    EXPECT_TRUE(outcome.ok()) << outcome.error().message();
    return std::move(outcome).value();
  }

  const KeyedRequest request_{
      .tenant = "acme", .route = "POST /api/v1/consents", .key = "k", .body = "{}"};
  ManualClock clock_;
  std::unique_ptr<sql::Database> database_ = postgres::NewMigratedTestDatabase();
  sql::Pool pool_{*database_, {.role = "alertstream_identity"}, 2};
  RequestKeys keys_{pool_, clock_};
};

TEST_F(RequestKeysTest, TheFirstAnswerIsGivenAgain) {
  auto outcome = Claim(request_);
  ASSERT_TRUE(std::holds_alternative<RequestClaim>(outcome));
  EXPECT_EQ(std::get<KeyRefusal>(Claim(request_)), KeyRefusal::kInProgress);
  http::Response response{.status = 201, .body = "{\"a\":\"ü\"}"};
  response.headers.Add("ETag", "\"1\"");
  ASSERT_TRUE(keys_.Finish(std::get<RequestClaim>(outcome), response).ok());
  const auto again = Claim(request_);
  ASSERT_TRUE(std::holds_alternative<http::Response>(again));
  const auto& kept = std::get<http::Response>(again);
  EXPECT_EQ(kept.status, 201);
  EXPECT_EQ(kept.body, response.body);
  EXPECT_EQ(kept.headers.Find("ETag"), "\"1\"");
  EXPECT_EQ(kept.headers.Find("Idempotent-Replayed"), "true");
}

TEST_F(RequestKeysTest, AKeyBelongsToOneBodyOfOneTenantAndRoute) {
  ASSERT_TRUE(std::holds_alternative<RequestClaim>(Claim(request_)));
  KeyedRequest other = request_;
  other.body = "{ }";
  EXPECT_EQ(std::get<KeyRefusal>(Claim(other)), KeyRefusal::kReused);
  other = request_;
  other.tenant = "zoo";
  EXPECT_TRUE(std::holds_alternative<RequestClaim>(Claim(other)));
  other = request_;
  other.route = "POST /api/v1/opt-outs";
  EXPECT_TRUE(std::holds_alternative<RequestClaim>(Claim(other)));
}

TEST_F(RequestKeysTest, AFaultOfOursFreesTheKey) {
  for (const int status : {429, 500, 503}) {
    auto outcome = Claim(request_);
    ASSERT_TRUE(std::holds_alternative<RequestClaim>(outcome)) << status;
    ASSERT_TRUE(keys_.Finish(std::get<RequestClaim>(outcome), {.status = status}).ok());
  }
}

TEST_F(RequestKeysTest, AClaimWhoseServerDiedIsFreeAfterAMinute) {
  auto dead = Claim(request_);
  ASSERT_TRUE(std::holds_alternative<RequestClaim>(dead));
  clock_.Advance(kRequestClaimMax - std::chrono::seconds(1));
  EXPECT_EQ(std::get<KeyRefusal>(Claim(request_)), KeyRefusal::kInProgress);
  clock_.Advance(std::chrono::seconds(1));
  KeyedRequest other = request_;
  other.body = "[]";
  EXPECT_EQ(std::get<KeyRefusal>(Claim(other)), KeyRefusal::kReused);
  auto taken = Claim(request_);
  ASSERT_TRUE(std::holds_alternative<RequestClaim>(taken));
  // Who comes back from the dead leaves no answer.
  ASSERT_TRUE(keys_.Finish(std::get<RequestClaim>(dead), {.status = 201, .body = "old"}).ok());
  EXPECT_EQ(std::get<KeyRefusal>(Claim(request_)), KeyRefusal::kInProgress);
}

TEST_F(RequestKeysTest, AnAnswerIsForgottenAfterADay) {
  auto outcome = Claim(request_);
  ASSERT_TRUE(keys_.Finish(std::get<RequestClaim>(outcome), {.status = 201, .body = "x"}).ok());
  clock_.Advance(kRequestKeyLife);
  KeyedRequest other = request_;
  other.body = "another";
  EXPECT_TRUE(std::holds_alternative<RequestClaim>(Claim(other)));
}

}  // namespace
}  // namespace alertstream::api

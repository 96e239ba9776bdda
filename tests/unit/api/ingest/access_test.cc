// Who may ingest, and what browsers are told.
#include "api/ingest/access.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/auth/request_signature.h"
#include "tests/support/fake_keys.h"
#include "tests/support/manual_clock.h"

namespace alertstream::api {
namespace {

using ::testing::HasSubstr;
using Fields = std::vector<std::pair<std::string, std::string>>;

constexpr LogTime kNow = ManualClock::kNoon;
const std::string kBody = R"({"event_type":"a","data":1})";
const HmacKey kSecret("ak_test_secret");

std::string SignedAt(std::chrono::seconds offset, const HmacKey& key = kSecret) {
  return SignRequest(key, ToMicros(kNow + offset) / 1'000'000, kBody);
}

class AccessTest : public ::testing::Test {
 protected:
  AccessTest() {
    keys_.Add("as_sk_1", {.id = "s1",
                          .kind = KeyKind::kSecret,
                          .tenant = "acme",
                          .signing_secrets = {HmacKey("older"), kSecret}});
    keys_.Add("as_sk_2", {.id = "s2",
                          .kind = KeyKind::kSecret,
                          .tenant = "acme",
                          .signing_secrets = {kSecret},
                          .allow_body_only = true});
    keys_.Add("as_pk_1", {.id = "p1", .tenant = "acme", .origins = {"https://shop.example"}});
    keys_.Add("as_pk_2", {.id = "p2", .tenant = "acme", .origins = {"https://other.example"}});
    keys_.Add("as_op_1", {.id = "o1", .kind = KeyKind::kOperator});
  }
  static http::Request With(const Fields& fields) {
    http::Request request;
    request.method = "POST";
    request.body = kBody;
    for (const auto& [name, value] : fields) {
      request.headers.Add(name, value);
    }
    return request;
  }

  FakeKeys keys_;
};

TEST_F(AccessTest, AKeyIsAcceptedOrRefusedWithItsCode) {
  const std::string sha = "sha256=" + ToHex(AsView(kSecret.Sign(kBody)));
  struct Case {
    Fields fields;
    std::string key;  // Its id; empty: refused.
    int status = 0;
    std::string code = {};
    std::string detail = {};
  };
  const std::vector<Case> cases = {
      {{}, "", 401, "unauthenticated", "X-API-Key"},
      {{{"X-API-Key", ""}}, "", 401, "unauthenticated", "X-API-Key"},
      {{{"X-API-Key", "as_sk_none"}}, "", 401, "unauthenticated", "no such"},
      {{{"X-API-Key", std::string(129, 'k')}}, "", 401, "unauthenticated", "no such"},
      {{{"X-API-Key", "as_sk_1"}, {"X-API-Key", "as_sk_1"}}, "", 401, "unauthenticated", "one"},
      {{{"X-API-Key", "as_op_1"}}, "", 403, "forbidden", "operator"},
      // Secret keys sign.
      {{{"X-API-Key", "as_sk_1"}, {"X-Signature", SignedAt(std::chrono::seconds(0))}}, "s1"},
      {{{"X-API-Key", "as_sk_1"},
        {"X-Signature", SignedAt(std::chrono::seconds(0), HmacKey("older"))}},
       "s1"},
      {{{"X-API-Key", "as_sk_1"}, {"X-Signature", SignedAt(std::chrono::seconds(-300))}}, "s1"},
      {{{"X-API-Key", "as_sk_1"}}, "", 401, "unauthenticated", "X-Signature"},
      {{{"X-API-Key", "as_sk_1"}, {"X-Signature", "t=1,v2=aa"}},
       "",
       400,
       "malformed_request",
       "X-Signature"},
      {{{"X-API-Key", "as_sk_1"}, {"X-Signature", "a"}, {"X-Signature", "b"}},
       "",
       400,
       "malformed_request",
       "more than once"},
      {{{"X-API-Key", "as_sk_1"}, {"X-Signature", SignedAt(std::chrono::seconds(-301))}},
       "",
       403,
       "bad_signature",
       "behind"},
      {{{"X-API-Key", "as_sk_1"}, {"X-Signature", SignedAt(std::chrono::seconds(301))}},
       "",
       403,
       "bad_signature",
       "ahead"},
      {{{"X-API-Key", "as_sk_1"},
        {"X-Signature", SignedAt(std::chrono::seconds(0), HmacKey("wrong"))}},
       "",
       403,
       "bad_signature",
       "signing secret"},
      {{{"X-API-Key", "as_sk_1"}, {"X-Signature", sha}}, "", 403, "bad_signature", "sha256"},
      {{{"X-API-Key", "as_sk_2"}, {"X-Signature", sha}}, "s2"},
      // Publishable keys are for the pages of their origins.
      {{{"X-API-Key", "as_pk_1"}, {"Origin", "https://shop.example"}}, "p1"},
      {{{"X-API-Key", "as_pk_1"}, {"Origin", "https://other.example"}},
       "",
       403,
       "forbidden",
       "Origin"},
      {{{"X-API-Key", "as_pk_1"}, {"Origin", "https://shop.example.evil"}},
       "",
       403,
       "forbidden",
       "Origin"},
      {{{"X-API-Key", "as_pk_1"}}, "", 403, "forbidden", "Origin"},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(each.key + each.code + " " + each.detail);
    const auto verdict = Authorize(With(each.fields), keys_, kNow);
    if (!each.key.empty()) {
      ASSERT_EQ(verdict.index(), 0U) << std::get<http::ProblemDetails>(verdict).detail;
      EXPECT_EQ(std::get<0>(verdict)->id, each.key);
      continue;
    }
    ASSERT_EQ(verdict.index(), 1U);
    EXPECT_EQ(std::get<1>(verdict).status, each.status);
    EXPECT_EQ(std::get<1>(verdict).code, each.code);
    EXPECT_THAT(std::get<1>(verdict).detail, HasSubstr(each.detail));
  }
}

TEST_F(AccessTest, ASignatureOfTheRouteIsTakenToo) {
  const auto ask = [&](const std::string& header) {
    http::Request request = With({{"X-API-Key", "as_sk_1"}, {"X-Signature", header}});
    request.path = "/api/v1/ingest";
    request.query = "a=b";
    return Authorize(request, keys_, kNow).index() == 0;
  };
  const auto bound = [](const std::string& target) {
    return SignBoundRequest(kSecret, ToMicros(kNow) / 1'000'000, target, kBody);
  };
  const std::string right = bound("POST./api/v1/ingest?a=b");
  const std::string wrong = bound("POST./api/v1/ingest");
  EXPECT_TRUE(ask(right));
  EXPECT_FALSE(ask(wrong));
  EXPECT_TRUE(ask(SignedAt({}) + right.substr(right.find(','))));
  EXPECT_FALSE(ask(SignedAt({}) + wrong.substr(wrong.find(',')))) << "it counts where it is sent";
}

TEST_F(AccessTest, AKeyForAnyOriginNeedsNone) {
  keys_.Add("as_pk_any", {.id = "any", .tenant = "acme", .origins = {"*"}});
  EXPECT_EQ(Authorize(With({{"X-API-Key", "as_pk_any"}}), keys_, kNow).index(), 0U);
  EXPECT_EQ(Authorize(With({{"X-API-Key", "as_pk_any"}, {"Origin", "null"}}), keys_, kNow).index(),
            0U);
}

TEST_F(AccessTest, OnlyAnAllowedOriginMayReadAnswers) {
  http::Headers allowed;
  AddCorsFields(With({{"Origin", "https://shop.example"}}), keys_, &allowed);
  EXPECT_EQ(allowed.Find("Access-Control-Allow-Origin"), "https://shop.example");
  EXPECT_THAT(std::string(allowed.Find("Access-Control-Expose-Headers").value_or("")),
              HasSubstr("X-Request-Id"));
  EXPECT_THAT(std::string(allowed.Find("Access-Control-Expose-Headers").value_or("")),
              Not(HasSubstr("Preference-Applied")));
  EXPECT_EQ(allowed.Find("Vary"), "Origin");
  EXPECT_EQ(allowed.Find("Access-Control-Allow-Credentials"), std::nullopt);
  http::Headers strange;
  AddCorsFields(With({{"Origin", "https://evil.example"}}), keys_, &strange);
  EXPECT_EQ(strange.Find("Access-Control-Allow-Origin"), std::nullopt);
  EXPECT_EQ(strange.Find("Vary"), "Origin");
  http::Headers none;
  AddCorsFields(With({}), keys_, &none);
  EXPECT_TRUE(none.fields().empty());
}

TEST_F(AccessTest, APreflightSaysWhatIsAllowed) {
  const auto response = Preflight(
      With({{"Origin", "https://shop.example"}, {"Access-Control-Request-Method", "POST"}}), keys_);
  EXPECT_EQ(response.status, 204);
  EXPECT_EQ(response.headers.Find("Access-Control-Allow-Origin"), "https://shop.example");
  EXPECT_EQ(response.headers.Find("Access-Control-Allow-Methods"), "POST");
  EXPECT_EQ(response.headers.Find("Access-Control-Max-Age"), "600");
  const auto headers = response.headers.Find("Access-Control-Allow-Headers").value_or("");
  for (const auto* name : {"Content-Type", "X-API-Key", "Idempotency-Key", "ce-id"}) {
    EXPECT_TRUE(http::HasToken(headers, name)) << name;
  }
  EXPECT_FALSE(http::HasToken(headers, "Prefer"));
  EXPECT_TRUE(http::HasToken(*response.headers.Find("Vary"), "Origin"));
}

TEST_F(AccessTest, APreflightOfAnotherOriginIsRefused) {
  const auto response = Preflight(With({{"Origin", "https://evil.example"}}), keys_);
  EXPECT_EQ(response.status, 403);
  EXPECT_THAT(response.body, HasSubstr(R"("code":"forbidden")"));
  EXPECT_EQ(response.headers.Find("Access-Control-Allow-Origin"), std::nullopt);
  EXPECT_EQ(response.headers.Find("Access-Control-Allow-Methods"), std::nullopt);
}

TEST_F(AccessTest, OptionsWithoutAnOriginNamesTheMethods) {
  const auto response = Preflight(With({}), keys_);
  EXPECT_EQ(response.status, 204);
  EXPECT_EQ(response.headers.Find("Allow"), "OPTIONS, POST");
}

TEST_F(AccessTest, AKeyWithNetworksIsUsedFromThereOnly) {
  keys_.Add("as_sk_3", {.id = "s3",
                        .kind = KeyKind::kSecret,
                        .tenant = "acme",
                        .signing_secrets = {kSecret},
                        .networks = {ParseNetwork("10.0.0.0/8").value()}});
  http::Request request = With({{"X-API-Key", "as_sk_3"}, {"X-Signature", SignedAt({})}});
  request.peer = "10.1.2.3";
  EXPECT_TRUE(
      std::holds_alternative<std::shared_ptr<const ApiKey>>(Authorize(request, keys_, kNow)));
  request.peer = "192.0.2.1";
  const auto refused = Authorize(request, keys_, kNow);
  ASSERT_TRUE(std::holds_alternative<http::ProblemDetails>(refused));
  EXPECT_EQ(std::get<http::ProblemDetails>(refused).status, 403);
}

TEST_F(AccessTest, WhileKeysAreNotKnownAKeyIsToldToComeAgain) {
  keys_.SetAvailable(false);
  const auto refused = Authorize(With({{"X-API-Key", "as_sk_none"}}), keys_, kNow);
  ASSERT_TRUE(std::holds_alternative<http::ProblemDetails>(refused));
  EXPECT_EQ(std::get<http::ProblemDetails>(refused).status, 503);
}

}  // namespace
}  // namespace alertstream::api

#include "api/providers/provider_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "tests/support/fake_keys.h"
#include "tests/support/one_answer.h"

namespace alertstream::api {
namespace {

using ::testing::HasSubstr;

class FakeDesk : public ProviderDesk {
 public:
  std::vector<ProviderState> List() const override {
    return {{.provider = "twilio", .name = "main", .breaker = "closed"},
            {.provider = "twilio",
             .name = "spare",
             .sends_per_second = 2.5,
             .burst = 7,
             .breaker = "open",
             .code = "http_503",
             .probe_in_s = 4.25}};
  }
  Status Reset(const std::string& provider, const std::string& name) override {
    reset_ = provider + "/" + name;
    return answer_;
  }
  void SendTest(TestMessage message, Done done) override {
    sent_ = std::move(message);
    done(answer_.ok() ? Result<dispatch::Outcome>(dispatch::Outcome{
                            .result = v1::ATTEMPT_CLASS_ACCEPTED, .provider_message_id = "SM1"})
                      : Result<dispatch::Outcome>(answer_.error()));
  }

  std::string reset_;
  TestMessage sent_;
  Status answer_;
};

const std::string kTooLong(kApiKeyBytesMax + 1, 'a');

class ProviderRoutesTest : public ::testing::Test {
 protected:
  ProviderRoutesTest() {
    identity_.Add("as_op_1", {.id = "ops", .kind = KeyKind::kOperator});
    identity_.Add("as_sk_1", {.id = "shop", .kind = KeyKind::kSecret, .tenant = "acme"});
    identity_.Add(kTooLong, {.id = "long", .kind = KeyKind::kOperator});
    EXPECT_TRUE(AddProviderRoutes(&routes_, {.identity = identity_, .desk = desk_}).ok());
  }
  http::Response Ask(const std::string& method, const std::string& path, const std::string& key,
                     const std::string& body = {}) {
    http::Request request{.method = method, .path = path, .body = body};
    if (!key.empty()) {
      request.headers.Add("X-API-Key", key);
    }
    const auto answer = std::make_shared<OneAnswer>();
    routes_.Handle(std::move(request), http::Responder(answer, 1));
    return answer->Wait();
  }

  FakeKeys identity_;
  FakeDesk desk_;
  http::Routes routes_;
};

TEST_F(ProviderRoutesTest, OnlyAnOperatorsKeyPasses) {
  const std::pair<const char*, std::string> routes[] = {
      {"GET", "/api/v1/control/providers"},
      {"POST", "/api/v1/control/providers/twilio/main/reset"},
      {"POST", "/api/v1/control/providers/twilio/main/test"}};
  for (const auto& [method, path] : routes) {
    EXPECT_EQ(Ask(method, path, "").status, 401) << path;
    EXPECT_EQ(Ask(method, path, "as_xx_1").status, 401) << path;
    EXPECT_EQ(Ask(method, path, kTooLong).status, 401) << path;
    EXPECT_EQ(Ask(method, path, "as_sk_1").status, 403) << path;
  }
  EXPECT_EQ(desk_.reset_, "");
}

TEST_F(ProviderRoutesTest, ListsAccountsWithTheirBreakers) {
  const auto answer = Ask("GET", "/api/v1/control/providers", "as_op_1");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr(R"("name":"main")"));
  EXPECT_THAT(answer.body,
              HasSubstr(R"("sends_per_second":2.5,"burst":7,"breaker":"open","code":"http_503",)"
                        R"("probe_in_s":4.2})"));
}

TEST_F(ProviderRoutesTest, ResetsABreakerOrSaysWhyNot) {
  const std::string path = "/api/v1/control/providers/twilio/main/reset";
  EXPECT_EQ(Ask("POST", path, "as_op_1").status, 200);
  EXPECT_EQ(desk_.reset_, "twilio/main");
  desk_.answer_ = Error(ErrorCode::kNotFound, "none");
  EXPECT_EQ(Ask("POST", path, "as_op_1").status, 404);
  desk_.answer_ = Error(ErrorCode::kConflict, "elsewhere");
  EXPECT_EQ(Ask("POST", path, "as_op_1").status, 409);
}

TEST_F(ProviderRoutesTest, SendsATestMessageAndTellsItsOutcome) {
  const std::string path = "/api/v1/control/providers/twilio/main/test";
  auto answer =
      Ask("POST", path, "as_op_1", R"({"to":"+1646","from":"+1500","body":"Does it work?"})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"result":"accepted","code":"","provider_message_id":"SM1"})");
  EXPECT_EQ(desk_.sent_.to.Reveal(), "+1646");
  EXPECT_EQ(desk_.sent_.from, "+1500");
  for (const char* body :
       {"", "[]", R"({"to":"+1646","from":"+1500"})", R"({"to":1,"from":"+1500","body":"x"})",
        R"({"to":"","from":"+1500","body":"x"})"}) {
    EXPECT_EQ(Ask("POST", path, "as_op_1", body).status, 422) << body;
  }
  desk_.answer_ = Error(ErrorCode::kNotFound, "There is no such account.");
  answer = Ask("POST", path, "as_op_1", R"({"to":"+1646","from":"+1500","body":"x"})");
  EXPECT_EQ(answer.status, 404);
  EXPECT_THAT(answer.body, HasSubstr("There is no such account."));
}

}  // namespace
}  // namespace alertstream::api

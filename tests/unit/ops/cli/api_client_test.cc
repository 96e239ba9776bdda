#include "ops/cli/api_client.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <mutex>
#include <set>

#include "api/auth/request_signature.h"
#include "api/http/server.h"
#include "tests/unit/ops/cli/scratch_directory.h"

namespace alertstream::cli {
namespace {

using ::testing::HasSubstr;

TEST(ApiErrorTest, EveryStatusHasItsCode) {
  const std::pair<int, ErrorCode> cases[] = {
      {400, ErrorCode::kInvalid},    {401, ErrorCode::kDenied},    {403, ErrorCode::kDenied},
      {404, ErrorCode::kNotFound},   {409, ErrorCode::kConflict},  {412, ErrorCode::kConflict},
      {422, ErrorCode::kInvalid},    {429, ErrorCode::kExhausted}, {500, ErrorCode::kUnavailable},
      {503, ErrorCode::kUnavailable}};
  for (const auto& [status, code] : cases) {
    EXPECT_EQ(ErrorOfAnswer(status, "").code(), code) << status;
    EXPECT_THAT(ErrorOfAnswer(status, "<html>").message(), HasSubstr(std::to_string(status)));
  }
}

TEST(ApiErrorTest, AProblemsWordsAreKept) {
  const Error error =
      ErrorOfAnswer(400, R"({"code":"body_invalid","detail":"Not an event.","request_id":"r-1",)"
                         R"("errors":[{"detail":"expected a string","pointer":"#/event_type"}]})");
  EXPECT_EQ(error.message(),
            "body_invalid: Not an event.\n  #/event_type: expected a string (request r-1)");
}

class ApiClientTest : public ::testing::Test {
 protected:
  ApiClientTest()
      : server_(
            {},
            [this](http::Request request, http::Responder responder) {
              http::Response response;
              {
                const std::scoped_lock lock(mutex_);
                seen_ = std::move(request);
                response.status = status_;
                response.body = R"({"detail":"So it is."})";
                if (refusals_ > 0) {
                  --refusals_;
                  response.status = 403;
                  response.body = R"({"code":"bad_signature","detail":)"
                                  R"("X-Signature was used already; sign the request anew"})";
                }
                signatures_.emplace(seen_.headers.Find("X-Signature").value_or(""));
              }
              responder.Send(std::move(response));
            },
            SystemClock()) {
    EXPECT_TRUE(server_.Start().ok());
    target_.api_url = "http://127.0.0.1:" + std::to_string(server_.port());
  }

  Result<ApiAnswer> Send(const ApiCall& call) {
    auto client = ApiClient::Create(target_, SystemClock());
    EXPECT_TRUE(client.ok());
    auto answer = client.value()->Send(call);
    const std::scoped_lock lock(mutex_);  // What the server's thread wrote is ours from here on.
    return answer;
  }

  std::mutex mutex_;
  http::Request seen_;
  int status_ = 202;
  int refusals_ = 0;  // Of signatures that come.
  std::set<std::string> signatures_;
  http::Server server_;
  ApiTarget target_;
};

TEST_F(ApiClientTest, ASignedCallCarriesKeyAndSignatureOfItsBody) {
  target_.secret_key = Redacted<std::string>("as_sk_x");
  target_.signing_secret = Redacted<std::string>("secret");
  const auto answer = Send({.method = "POST",
                            .path = "/api/v1/ingest?a=%20b",
                            .body = R"({"a":1})",
                            .headers = {{"Prefer", "wait=5"}},
                            .auth = ApiAuth::kSigned});
  ASSERT_TRUE(answer.ok()) << answer.error().message();
  EXPECT_EQ(answer.value().status, 202);
  EXPECT_EQ(seen_.body, R"({"a":1})");
  EXPECT_EQ(seen_.headers.Find("X-API-Key"), "as_sk_x");
  EXPECT_EQ(seen_.headers.Find("Prefer"), "wait=5");
  const HmacKey key("secret");
  EXPECT_TRUE(
      api::VerifyRequestSignature(
          std::string(seen_.headers.Find("X-Signature").value()), seen_.body, {&key, 1},
          {.now = SystemClock().Now(), .target = "POST./api/v1/ingest?a=%20b", .bound_only = true})
          .ok());
}

TEST_F(ApiClientTest, ASignatureThatWasUsedIsMadeAnew) {
  target_.secret_key = Redacted<std::string>("as_sk_x");
  target_.signing_secret = Redacted<std::string>("secret");
  const ApiCall call{.method = "DELETE", .path = "/api/v1/x", .auth = ApiAuth::kSigned};
  refusals_ = 1;
  ASSERT_TRUE(Send(call).ok());
  EXPECT_EQ(signatures_.size(), 2u) << "another second";
  const HmacKey key("secret");
  EXPECT_TRUE(api::VerifyRequestSignature(
                  std::string(seen_.headers.Find("X-Signature").value()), "", {&key, 1},
                  {.now = SystemClock().Now(), .target = "DELETE./api/v1/x", .bound_only = true})
                  .ok());
  refusals_ = 100;
  const auto refused = Send(call);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kDenied);
  EXPECT_EQ(refusals_, 95) << "five tries";
}

TEST_F(ApiClientTest, WithoutAKeyNothingIsSent) {
  for (const ApiAuth auth : {ApiAuth::kSigned, ApiAuth::kOperator}) {
    const auto answer = Send({.path = "/x", .auth = auth});
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code(), ErrorCode::kDenied);
    EXPECT_THAT(answer.error().message(), HasSubstr("ALERTSTREAM_"));
  }
  EXPECT_EQ(seen_.path, "");
}

TEST_F(ApiClientTest, ARefusalIsAnErrorAndSoIsSilence) {
  status_ = 404;
  auto answer = Send({.path = "/x"});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(answer.error().message(), "So it is.");
  server_.Stop();
  answer = Send({.path = "/x"});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code(), ErrorCode::kUnavailable);
}

TEST(FindApiTest, TheEnvironmentGoesBeforeTheDevOfTheDataDirectory) {
  const ScratchDirectory scratch;
  SettingsInput input;
  input.default_files = {};
  input.flags["data_dir"] = scratch.path();
  const auto find = [&] {
    const auto settings = ResolveSettings(input);
    EXPECT_TRUE(settings.ok());
    return FindApi(settings.value());
  };
  ASSERT_FALSE(find().ok());
  EXPECT_EQ(find().error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(find().error().message(), HasSubstr("--api-url"));

  const int lock = ::open(DevLockPath(scratch.path()).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(::flock(lock, LOCK_EX | LOCK_NB), 0);  // As a running dev does.
  ASSERT_TRUE(WriteDevFile(scratch.path(), {.api_url = "http://127.0.0.1:1/",
                                            .secret_key = "as_sk_dev",
                                            .operator_key = "as_op_dev",
                                            .pid = ::getpid()})
                  .ok());
  input.environment["ALERTSTREAM_SECRET_KEY"] = "as_sk_mine";
  auto target = find();
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target.value().api_url, "http://127.0.0.1:1");
  EXPECT_EQ(target.value().secret_key.Reveal(), "as_sk_mine");
  EXPECT_EQ(target.value().operator_key.Reveal(), "as_op_dev");

  input.flags["api_url"] = "https://alerts.example";
  target = find();
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target.value().api_url, "https://alerts.example");
  EXPECT_EQ(target.value().operator_key.Reveal(), "");
  ::close(lock);
}

}  // namespace
}  // namespace alertstream::cli

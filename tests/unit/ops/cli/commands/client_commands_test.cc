#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "ops/cli/commands/fire.h"
#include "ops/cli/commands/webhook.h"

namespace alertstream::cli {
namespace {

using ::testing::HasSubstr;

TEST(FireTest, DataIsWhatWasSet) {
  struct Case {
    std::string to;
    std::vector<std::string> sets;
    std::string expected;
  };
  const Case cases[] = {
      {"", {}, "{}"},
      {"+254700000001", {}, R"({"phone":"+254700000001"})"},
      {"+254700000001",
       {"amount=49.5", "order=A-17"},
       R"({"amount":49.5,"order":"A-17","phone":"+254700000001"})"},
      {"",
       {"customer.name=Ann", "customer.vip=true", "n=null"},
       R"({"customer":{"name":"Ann","vip":true},"n":null})"},
      {"",
       {"zip=01234", "code=\"017\"", "list=[1,2]", "empty=", "equation=a=b"},
       R"({"code":"017","empty":"","equation":"a=b","list":[1,2],"zip":"01234"})"},
      {"", {"a=1", "a=2"}, "kInvalid"},
      {"", {"a.b=1", "a=2"}, "kInvalid"},
      {"", {"a=1", "a.b=2"}, "kInvalid"},
      {"", {"a"}, "kInvalid"},
      {"", {"=1"}, "kInvalid"},
      {"", {"a..b=1"}, "kInvalid"},
      {"", {"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q=1"}, "kInvalid"},
  };
  for (const Case& test : cases) {
    const auto data = EventData({.to = test.to, .sets = test.sets});
    if (test.expected == "kInvalid") {
      ASSERT_FALSE(data.ok()) << test.sets.front();
      EXPECT_EQ(data.error().code(), ErrorCode::kInvalid);
      EXPECT_THAT(data.error().message(), HasSubstr("--set"));
    } else {
      ASSERT_TRUE(data.ok()) << data.error().message();
      EXPECT_EQ(data.value(), test.expected);
    }
  }
}

class WebhookTest : public ::testing::Test {
 protected:
  std::string Run(Result<ExitCode> (*command)(const Streams&, const WebhookOptions&),
                  const WebhookOptions& options) {
    out_.str("");
    const Streams io{.out = out_, .err = err_, .render = {}};
    const auto result = command(io, options);
    exit_ = result.ok() ? result.value() : ExitCodeOf(result.error().code());
    return result.ok() ? out_.str() : result.error().message();
  }

  std::ostringstream out_;
  std::ostringstream err_;
  ExitCode exit_ = ExitCode::kOk;
};

TEST_F(WebhookTest, SignsAndVerifiesRequestsToTheApi) {
  WebhookOptions options{.scheme = WebhookScheme::kIngest,
                         .secret = Redacted<std::string>("ak_test_secret"),
                         .body = R"({"event_type":"form_submit","data":{"value":1500}})",
                         .now = FromMicros(1'700'000'000'000'000)};
  const std::string value =
      "t=1700000000,v1=ccaeb3501ee7d62a1e87ded6d6c4b2b24d33c2d09ed259f0d4fd012d3bb02272";
  EXPECT_EQ(Run(WebhookSign, options), "X-Signature: " + value + "\n");
  options.signature = value;
  EXPECT_EQ(Run(WebhookVerify, options), "valid\n");
  EXPECT_EQ(exit_, ExitCode::kOk);
  options.now = FromMicros(1'700'000'301'000'000);
  EXPECT_THAT(Run(WebhookVerify, options), HasSubstr("not valid: "));
  EXPECT_EQ(exit_, ExitCode::kDenied);
  options.signature = "";
  EXPECT_THAT(Run(WebhookVerify, options), HasSubstr("not valid: "));
  EXPECT_EQ(exit_, ExitCode::kFailed);
}

TEST_F(WebhookTest, SignsMethodAndPathWhereTheyAreGiven) {
  EXPECT_EQ(ParseRequestLine("DELETE /api/v1/websites/shop?x=1").value(),
            "DELETE./api/v1/websites/shop?x=1");
  for (const char* text : {"", "DELETE", " /a", "DELETE ", "DELETE a", "DELETE /a b"}) {
    const auto wrong = ParseRequestLine(text);
    ASSERT_FALSE(wrong.ok()) << text;
    EXPECT_THAT(wrong.error().message(), HasSubstr("expected METHOD /path"));
  }
  WebhookOptions options{.scheme = WebhookScheme::kIngest,
                         .secret = Redacted<std::string>("ak_test_secret"),
                         .target = "DELETE./api/v1/websites/shop",
                         .now = FromMicros(1'700'000'000'000'000)};
  const std::string header = Run(WebhookSign, options);
  ASSERT_THAT(header, ::testing::StartsWith("X-Signature: t=1700000000,v2="));
  options.signature = header.substr(header.find("t="));
  options.signature.pop_back();
  EXPECT_EQ(Run(WebhookVerify, options), "valid\n");
  options.target = "DELETE./api/v1/websites/blog";
  EXPECT_THAT(Run(WebhookVerify, options), HasSubstr("not valid: "));
  EXPECT_EQ(exit_, ExitCode::kDenied);
}

TEST_F(WebhookTest, SignsAndVerifiesTwiliosRequests) {
  WebhookOptions options{
      .scheme = WebhookScheme::kTwilio,
      .secret = Redacted<std::string>("12345"),
      .url = "https://mycompany.com/myapp.php?foo=1&bar=2",
      .body =
          "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309"
          "&To=%2B18005551212"};
  EXPECT_EQ(Run(WebhookSign, options), "X-Twilio-Signature: RSOYDt4T1cUTdK1PDd93/VVr8B8=\n");
  options.signature = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
  EXPECT_EQ(Run(WebhookVerify, options), "valid\n");
  options.secret = Redacted<std::string>("12346");
  EXPECT_THAT(Run(WebhookVerify, options), HasSubstr("not valid: "));
  EXPECT_EQ(exit_, ExitCode::kDenied);
  options.url = "";
  EXPECT_THAT(Run(WebhookSign, options), HasSubstr("--url"));
}

}  // namespace
}  // namespace alertstream::cli

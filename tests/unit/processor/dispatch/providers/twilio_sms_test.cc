#include "processor/dispatch/providers/twilio_sms.h"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/base/base64.h"
#include "processor/dispatch/providers/form.h"
#include "processor/dispatch/providers/twilio_urls.h"

namespace alertstream::dispatch {
namespace {

using namespace std::string_view_literals;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kAccountSid = "AC0123456789abcdef0123456789ABCDEF";
constexpr std::string_view kApiKeySid = "SK0123456789abcdef0123456789ABCDEF";
constexpr std::string_view kServiceSid = "MG0123456789abcdef0123456789ABCDEF";
constexpr std::string_view kNotification = "ntf_01JD3J00000000000000000000";
// 1994-11-06T08:49:30Z
constexpr LogTime kNow = FromMicros(784'111'770'000'000);

TwilioAccount Account() {
  return {.name = "main",
          .account_sid = std::string(kAccountSid),
          .secret = Redacted<std::string>("12345"),
          .public_url = "https://alerts.example.com"};
}

TwilioSms Sms() {
  return {.notification_id = kNotification,
          .attempt = 1,
          .to = Redacted<std::string_view>("+254700000001"),
          .from = "+15005550006",
          .body = Redacted<std::string_view>("Hello")};
}

HttpRequest Build(const TwilioAccount& account, const TwilioSms& sms) {
  const auto requests = TwilioSmsRequests::Create(account);
  EXPECT_TRUE(requests.ok());
  auto request = requests.value().Build(sms);
  EXPECT_TRUE(request.ok());
  return std::move(request).value();
}

TEST(TwilioSmsTest, ARequestIsWhatTwilioReads) {
  TwilioSms sms = Sms();
  sms.attempt = 3;
  sms.body = Redacted<std::string_view>("ol\xC3\xA9 & 100%\n\xF0\x9F\x91\x8D");
  sms.validity = seconds(600);
  const HttpRequest request = Build(Account(), sms);

  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.path, "/2010-04-01/Accounts/AC0123456789abcdef0123456789ABCDEF/Messages.json");
  EXPECT_EQ(request.headers,
            (std::vector<HttpHeader>{{"Content-Type", "application/x-www-form-urlencoded"},
                                     {"Accept", "application/json"}}));
  EXPECT_EQ(request.authorization.Reveal(),
            "Basic QUMwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OUFCQ0RFRjoxMjM0NQ==");
  EXPECT_EQ(request.body.Reveal(),
            "To=%2B254700000001&From=%2B15005550006"
            "&Body=ol%C3%A9+%26+100%25%0A%F0%9F%91%8D"
            "&StatusCallback=https%3A%2F%2Falerts.example.com%2Fwebhooks%2Ftwilio%2Fmain%2Fstatus"
            "%3Fnotification_id%3Dntf_01JD3J00000000000000000000"
            "&Attempt=3&ValidityPeriod=600");
}

std::string FieldOf(const HttpRequest& request, std::string_view name) {
  const auto form = DecodeForm(request.body.Reveal());
  EXPECT_TRUE(form.ok());
  for (const FormField& field : form.value()) {
    if (field.name == name) {
      return field.value;
    }
  }
  return "(none)";
}

TEST(TwilioSmsTest, AnApiKeySignsInForItsAccount) {
  TwilioAccount account = Account();
  account.api_key_sid = kApiKeySid;
  const HttpRequest request = Build(account, Sms());
  EXPECT_THAT(request.path, HasSubstr(kAccountSid));
  EXPECT_EQ(FromBase64(request.authorization.Reveal().substr(6)),
            std::string(kApiKeySid) + ":12345");
}

TEST(TwilioSmsTest, ASendersFormDecidesItsParameter) {
  for (const std::string_view from : {"+15005550006"sv, "12345"sv, "ACME"sv, "MG is not one"sv}) {
    TwilioSms sms = Sms();
    sms.from = from;
    const HttpRequest request = Build(Account(), sms);
    EXPECT_EQ(FieldOf(request, "From"), from);
    EXPECT_EQ(FieldOf(request, "MessagingServiceSid"), "(none)");
  }
  TwilioSms sms = Sms();
  sms.from = kServiceSid;
  const HttpRequest request = Build(Account(), sms);
  EXPECT_EQ(FieldOf(request, "MessagingServiceSid"), kServiceSid);
  EXPECT_EQ(FieldOf(request, "From"), "(none)");
}

TEST(TwilioSmsTest, ValidityIsCutToWhatTwilioTakes) {
  TwilioSms sms = Sms();
  EXPECT_EQ(FieldOf(Build(Account(), sms), "ValidityPeriod"), "(none)");
  sms.validity = seconds(1);
  EXPECT_EQ(FieldOf(Build(Account(), sms), "ValidityPeriod"), "1");
  sms.validity = seconds(36'001);
  EXPECT_EQ(FieldOf(Build(Account(), sms), "ValidityPeriod"), "36000");
}

TEST(TwilioSmsTest, TheCallbackLeadsBackToTheNotification) {
  for (const std::string_view url :
       {"https://alerts.example.com", "https://alerts.example.com/",
        "https://example.com:8443/a/b/", "http://127.0.0.1:41234", "http://[::1]:41234"}) {
    TwilioAccount account = Account();
    account.public_url = url;
    const std::string callback = FieldOf(Build(account, Sms()), "StatusCallback");
    std::string_view base = url;
    base.remove_suffix(base.ends_with('/') ? 1 : 0);
    EXPECT_EQ(callback, std::string(base) + TwilioStatusPath("main") +
                            "?notification_id=" + std::string(kNotification));
    const auto notification = NotificationOfTwilioUrl(callback);
    ASSERT_TRUE(notification.ok());
    EXPECT_EQ(notification.value(), kNotification);
  }
}

TEST(TwilioSmsTest, ABodyOfTheLongestLengthIsTaken) {
  std::string body;
  for (std::size_t i = 0; i < kTwilioBodyCharactersMax; ++i) {
    body += "\xC3\xA9";
  }
  TwilioSms sms = Sms();
  sms.body = Redacted<std::string_view>(body);
  EXPECT_EQ(FieldOf(Build(Account(), sms), "Body"), body);
}

TEST(TwilioSmsTest, SettingsThatCannotWorkAreRefused) {
  struct Case {
    void (*spoil)(TwilioAccount&);
    std::string_view message;
  };
  const Case cases[] = {
      {[](TwilioAccount& a) { a.name = ""; }, "twilio: account: the name may hold"},
      {[](TwilioAccount& a) { a.name = "a/b"; }, "twilio: account: the name may hold"},
      {[](TwilioAccount& a) { a.name = ".."; }, "twilio: account: the name may hold"},
      {[](TwilioAccount& a) { a.account_sid = ""; }, "twilio: account_sid: expected AC and 32"},
      {[](TwilioAccount& a) { a.account_sid[0] = 'S'; }, "account_sid: expected AC and 32"},
      {[](TwilioAccount& a) { a.account_sid[9] = 'g'; }, "account_sid: expected AC and 32"},
      {[](TwilioAccount& a) { a.account_sid += "0"; }, "account_sid: expected AC and 32"},
      {[](TwilioAccount& a) { a.api_key_sid = a.account_sid; }, "api_key_sid: expected SK and 32"},
      {[](TwilioAccount& a) { a.secret = Redacted<std::string>(""); }, "secret: expected"},
      {[](TwilioAccount& a) { a.secret = Redacted<std::string>("s3cret\n"); }, "secret: expected"},
      {[](TwilioAccount& a) { a.secret = Redacted<std::string>(std::string(257, 's')); },
       "secret: expected"},
      {[](TwilioAccount& a) { a.public_url = ""; }, "public_url: expected https://"},
      {[](TwilioAccount& a) { a.public_url = "example.com"; }, "public_url: expected https://"},
      {[](TwilioAccount& a) { a.public_url = "ftp://example.com"; },
       "public_url: expected https://"},
      {[](TwilioAccount& a) { a.public_url = "https://"; }, "public_url: the host"},
      {[](TwilioAccount& a) { a.public_url = "https:///a"; }, "public_url: the host"},
      {[](TwilioAccount& a) { a.public_url = "https://my_host.example.com"; },
       "public_url: the host"},
      {[](TwilioAccount& a) { a.public_url = "https://u:p@example.com"; }, "public_url: the host"},
      {[](TwilioAccount& a) { a.public_url = "https://example.com?a=b"; }, "public_url: the host"},
      {[](TwilioAccount& a) { a.public_url = "https://example.com/a?b"; },
       "public_url: expected no query"},
      {[](TwilioAccount& a) { a.public_url = "https://example.com/a#b"; },
       "public_url: expected no query"},
      {[](TwilioAccount& a) { a.public_url = "https://example.com/a b"; },
       "public_url: expected no query"},
      {[](TwilioAccount& a) { a.public_url = "https://" + std::string(512, 'a'); },
       "public_url: longer than 512 bytes"},
  };
  for (const Case& c : cases) {
    TwilioAccount account = Account();
    c.spoil(account);
    const auto requests = TwilioSmsRequests::Create(account);
    ASSERT_FALSE(requests.ok()) << c.message;
    EXPECT_EQ(requests.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(requests.error().message(), HasSubstr(c.message));
    EXPECT_THAT(requests.error().message(), Not(HasSubstr("s3cret")));
  }
}

TEST(TwilioSmsTest, MessagesThatTwilioWouldRefuseAreNotBuilt) {
  static const std::string long_body(kTwilioBodyCharactersMax + 1, 'a');
  struct Case {
    void (*spoil)(TwilioSms&);
    std::string_view message;
  };
  const Case cases[] = {
      {[](TwilioSms& s) { s.notification_id = ""; }, "twilio: notification_id: expected ntf_"},
      {[](TwilioSms& s) { s.notification_id = "evt_01JD3J00000000000000000000"; },
       "notification_id: expected ntf_"},
      {[](TwilioSms& s) { s.attempt = 0; }, "attempt: expected 1 to 100000"},
      {[](TwilioSms& s) { s.attempt = 100'001; }, "attempt: expected 1 to 100000"},
      {[](TwilioSms& s) { s.to = Redacted<std::string_view>("0700000001"); }, "to: expected"},
      {[](TwilioSms& s) { s.to = Redacted<std::string_view>("+"); }, "to: expected"},
      {[](TwilioSms& s) { s.to = Redacted<std::string_view>("+0700000001"); }, "to: expected"},
      {[](TwilioSms& s) { s.to = Redacted<std::string_view>("+1234567890123456"); },
       "to: expected"},
      {[](TwilioSms& s) { s.to = Redacted<std::string_view>("+254 700000001"); }, "to: expected"},
      {[](TwilioSms& s) { s.to = Redacted<std::string_view>("whatsapp:+254700000001"); },
       "to: expected"},
      {[](TwilioSms& s) { s.from = ""; }, "from: expected"},
      {[](TwilioSms& s) { s.from = "AC\nME"; }, "from: expected"},
      {[](TwilioSms& s) { s.from = "\xFF"; }, "from: expected"},
      {[](TwilioSms& s) { s.from = std::string_view(long_body).substr(0, 65); }, "from: expected"},
      {[](TwilioSms& s) { s.body = Redacted<std::string_view>(""); }, "body: empty"},
      {[](TwilioSms& s) { s.body = Redacted<std::string_view>("\xFF"); }, "body: expected UTF-8"},
      {[](TwilioSms& s) { s.body = Redacted<std::string_view>("a\0b"sv); }, "body: expected UTF-8"},
      {[](TwilioSms& s) { s.body = Redacted<std::string_view>(long_body); },
       "body: longer than 1600 characters"},
      {[](TwilioSms& s) { s.validity = seconds(0); }, "validity: the message has expired"},
  };
  const auto requests = TwilioSmsRequests::Create(Account());
  ASSERT_TRUE(requests.ok());
  for (const Case& c : cases) {
    TwilioSms sms = Sms();
    c.spoil(sms);
    const auto request = requests.value().Build(sms);
    ASSERT_FALSE(request.ok()) << c.message;
    EXPECT_EQ(request.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(request.error().message(), HasSubstr(c.message));
    EXPECT_THAT(request.error().message(), Not(HasSubstr("70000")));
  }
}

struct AnswerCase {
  std::string_view body;
  int status;
  OutcomeClass outcome;
  std::string_view code;
  std::string_view sid = "";
};

TEST(TwilioSmsTest, AnAnswerHasOneOutcome) {
  constexpr AnswerCase kCases[] = {
      // Taken.
      {R"({"sid":"SM1","status":"queued","error_code":null,"num_segments":"1"})", 201,
       v1::ATTEMPT_CLASS_ACCEPTED, "", "SM1"},
      {R"({"sid":"MM1","status":"accepted"})", 201, v1::ATTEMPT_CLASS_ACCEPTED, "", "MM1"},
      {R"({"sid":"SM1"})", 200, v1::ATTEMPT_CLASS_ACCEPTED, "", "SM1"},
      {R"({"sid":"SM1","code":21610})", 201, v1::ATTEMPT_CLASS_ACCEPTED, "", "SM1"},
      // Taken, and failed at once.
      {R"({"sid":"SM1","status":"failed","error_code":30005})", 201, v1::ATTEMPT_CLASS_PERM_ADDRESS,
       "30005", "SM1"},
      {R"({"sid":"SM1","status":"undelivered","error_code":"30003"})", 201, v1::ATTEMPT_CLASS_RETRY,
       "30003", "SM1"},
      {R"({"sid":"SM1","status":"failed","error_code":39999})", 201, v1::ATTEMPT_CLASS_PERM_REQUEST,
       "39999", "SM1"},
      {R"({"sid":"SM1","status":"canceled","error_code":null})", 201,
       v1::ATTEMPT_CLASS_PERM_REQUEST, "canceled", "SM1"},
      // Taken, perhaps; an answer that cannot be read is no reason to send again.
      {"", 201, v1::ATTEMPT_CLASS_AMBIGUOUS, "http_201"},
      {"{", 201, v1::ATTEMPT_CLASS_AMBIGUOUS, "http_201"},
      {"[]", 201, v1::ATTEMPT_CLASS_AMBIGUOUS, "http_201"},
      {R"({"sid":""})", 201, v1::ATTEMPT_CLASS_AMBIGUOUS, "http_201"},
      {R"({"sid":7})", 201, v1::ATTEMPT_CLASS_AMBIGUOUS, "http_201"},
      {R"({"sid":"SM\n1"})", 201, v1::ATTEMPT_CLASS_AMBIGUOUS, "http_201"},
      // Twilio's code decides.
      {R"({"code":21610,"message":"m","status":400})", 400, v1::ATTEMPT_CLASS_OPT_OUT, "21610"},
      {R"({"code":21211,"message":"m","status":400})", 400, v1::ATTEMPT_CLASS_PERM_ADDRESS,
       "21211"},
      {R"({"code":"21211"})", 400, v1::ATTEMPT_CLASS_PERM_ADDRESS, "21211"},
      {R"({"code":21212})", 400, v1::ATTEMPT_CLASS_PERM_REQUEST, "21212"},
      {R"({"code":21611})", 400, v1::ATTEMPT_CLASS_THROTTLE, "21611"},
      {R"({"code":30001})", 400, v1::ATTEMPT_CLASS_RETRY, "30001"},
      {R"({"code":30610})", 400, v1::ATTEMPT_CLASS_WINDOW, "30610"},
      {R"({"code":20003})", 401, v1::ATTEMPT_CLASS_SUSPEND, "20003"},
      {R"({"code":20005})", 403, v1::ATTEMPT_CLASS_SUSPEND, "20005"},
      {R"({"code":20429})", 400, v1::ATTEMPT_CLASS_THROTTLE, "20429"},
      // The newer form of errors.
      {R"({"type":"https://www.twilio.com/docs/api/errors/21614","title":"t","status":400,
           "code":21614,"errors":[{"detail":"d","pointer":"#/To"}]})",
       400, v1::ATTEMPT_CLASS_PERM_ADDRESS, "21614"},
      // Codes that are not known, or none: the status decides.
      {R"({"code":99998})", 400, v1::ATTEMPT_CLASS_PERM_REQUEST, "99998"},
      {R"({"message":"m"})", 400, v1::ATTEMPT_CLASS_PERM_REQUEST, "http_400"},
      {R"({"code":-21610})", 400, v1::ATTEMPT_CLASS_PERM_REQUEST, "http_400"},
      {R"({"code":"21610 "})", 400, v1::ATTEMPT_CLASS_PERM_REQUEST, "http_400"},
      {R"({"code":21610.5})", 400, v1::ATTEMPT_CLASS_PERM_REQUEST, "http_400"},
      {R"({"code":9007199254740993})", 400, v1::ATTEMPT_CLASS_PERM_REQUEST, "http_400"},
      {"", 401, v1::ATTEMPT_CLASS_SUSPEND, "http_401"},
      {R"({"code":20006})", 401, v1::ATTEMPT_CLASS_SUSPEND, "20006"},
      {"", 403, v1::ATTEMPT_CLASS_PERM_REQUEST, "http_403"},
      {R"({"code":20404})", 404, v1::ATTEMPT_CLASS_PERM_REQUEST, "20404"},
      {"", 408, v1::ATTEMPT_CLASS_RETRY, "http_408"},
      {"", 302, v1::ATTEMPT_CLASS_PERM_REQUEST, "http_302"},
      // Also from what stands in front of Twilio, with any body.
      {R"({"code":20429})", 429, v1::ATTEMPT_CLASS_THROTTLE, "20429"},
      {"slow down", 429, v1::ATTEMPT_CLASS_THROTTLE, "http_429"},
      {R"({"code":21610})", 429, v1::ATTEMPT_CLASS_THROTTLE, "21610"},
      {R"({"code":20500})", 500, v1::ATTEMPT_CLASS_RETRY, "20500"},
      {"", 500, v1::ATTEMPT_CLASS_RETRY, "http_500"},
      {"<html>bad gateway</html>", 502, v1::ATTEMPT_CLASS_RETRY, "http_502"},
      {R"({"code":20429})", 503, v1::ATTEMPT_CLASS_THROTTLE, "20429"},
      {R"({"code":20003})", 503, v1::ATTEMPT_CLASS_RETRY, "20003"},
      {"", 599, v1::ATTEMPT_CLASS_RETRY, "http_599"},
      // No status of a final answer.
      {"", 0, v1::ATTEMPT_CLASS_AMBIGUOUS, "http_0"},
      {"", 101, v1::ATTEMPT_CLASS_AMBIGUOUS, "http_101"},
      {"", 600, v1::ATTEMPT_CLASS_AMBIGUOUS, "http_600"},
  };
  for (const AnswerCase& c : kCases) {
    const HttpAnswer answer{.status = c.status, .body = Redacted<std::string>(std::string(c.body))};
    const Outcome outcome = OutcomeOfTwilioAnswer(answer, kNow);
    EXPECT_EQ(OutcomeName(outcome.result), OutcomeName(c.outcome)) << c.status << " " << c.body;
    EXPECT_EQ(outcome.code, c.code) << c.status << " " << c.body;
    EXPECT_EQ(outcome.provider_message_id, c.sid) << c.status << " " << c.body;
    EXPECT_EQ(outcome.retry_after, std::nullopt) << c.status << " " << c.body;
  }
}

TEST(TwilioSmsTest, AnAnswerThatIsTooLongIsNotLookedInto) {
  const std::string body =
      R"({"sid":"SM1","body":")" + std::string(kTwilioAnswerBytesMax, 'a') + R"("})";
  const Outcome outcome =
      OutcomeOfTwilioAnswer(HttpAnswer{.status = 201, .body = Redacted<std::string>(body)}, kNow);
  EXPECT_EQ(outcome.result, v1::ATTEMPT_CLASS_AMBIGUOUS);
  const std::string long_sid = R"({"sid":")" + std::string(257, 'S') + R"("})";
  EXPECT_EQ(OutcomeOfTwilioAnswer(
                HttpAnswer{.status = 201, .body = Redacted<std::string>(long_sid)}, kNow)
                .result,
            v1::ATTEMPT_CLASS_AMBIGUOUS);
}

TEST(TwilioSmsTest, RetryAfterCountsWhereTheMessageMayBeSentAgain) {
  struct Case {
    int status;
    std::string_view retry_after;
    std::optional<seconds> expected;
  };
  constexpr Case kCases[] = {
      {429, "7", seconds(7)},        {429, "Sun, 06 Nov 1994 08:49:37 GMT", seconds(7)},
      {429, "86400", seconds(3600)}, {429, "soon", std::nullopt},
      {503, "30", seconds(30)},      {400, "30", std::nullopt},
      {201, "30", std::nullopt},
  };
  for (const Case& c : kCases) {
    const HttpAnswer answer{.status = c.status,
                            .headers = {{"retry-after", std::string(c.retry_after)}}};
    EXPECT_EQ(OutcomeOfTwilioAnswer(answer, kNow).retry_after, c.expected)
        << c.status << " " << c.retry_after;
  }
}

TEST(TwilioSmsTest, ARequestThatMayHaveArrivedIsAmbiguous) {
  struct Case {
    TransportFailure failure = TransportFailure::kNotConnected;
    Outcome expected = {};
  };
  const Case cases[] = {
      {TransportFailure::kNotConnected, {v1::ATTEMPT_CLASS_RETRY, "not_connected"}},
      {TransportFailure::kConnectTimeout, {v1::ATTEMPT_CLASS_RETRY, "connect_timeout"}},
      {TransportFailure::kClosedBeforeSent, {v1::ATTEMPT_CLASS_RETRY, "closed_before_sent"}},
      {TransportFailure::kTimeoutBeforeSent, {v1::ATTEMPT_CLASS_RETRY, "timeout_before_sent"}},
      {TransportFailure::kClosedAfterSent, {v1::ATTEMPT_CLASS_AMBIGUOUS, "closed_after_sent"}},
      {TransportFailure::kTimeoutAfterSent, {v1::ATTEMPT_CLASS_AMBIGUOUS, "timeout_after_sent"}},
      {TransportFailure::kUnreadableAnswer, {v1::ATTEMPT_CLASS_AMBIGUOUS, "unreadable_answer"}},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(OutcomeOfTwilioFailure(c.failure), c.expected) << c.expected.code;
  }
}

TEST(TwilioUrlsTest, OnlyOneNotificationIsReadFromAUrl) {
  const std::string id(kNotification);
  EXPECT_EQ(NotificationOfTwilioUrl("https://h/p").value(), "");
  EXPECT_EQ(NotificationOfTwilioUrl("/p?").value(), "");
  EXPECT_EQ(NotificationOfTwilioUrl("/p?other=1#notification_id=" + id).value(), "");
  EXPECT_EQ(NotificationOfTwilioUrl("/p?other=1&notification_id=" + id).value(), id);
  for (const std::string& query :
       {fmt::format("notification_id={0}&notification_id={0}", id),
        std::string("notification_id=ntf_1"), std::string("notification_id="),
        std::string("notification_id=%"),
        std::string("notification_id=evt_01JD3J00000000000000000000")}) {
    const auto notification = NotificationOfTwilioUrl("/p?" + query);
    ASSERT_FALSE(notification.ok()) << query;
    EXPECT_EQ(notification.error().code(), ErrorCode::kInvalid);
  }
}

TEST(TwilioUrlsTest, PathsNameTheAccount) {
  EXPECT_EQ(TwilioStatusPath("main"), "/webhooks/twilio/main/status");
  EXPECT_EQ(TwilioInboundPath("main"), "/webhooks/twilio/main/inbound");
}

}  // namespace
}  // namespace alertstream::dispatch

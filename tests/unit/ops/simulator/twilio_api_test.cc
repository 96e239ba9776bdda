#include "ops/simulator/twilio_api.h"

#include <string>
#include <variant>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/base/base64.h"
#include "processor/dispatch/http_exchange.h"
#include "processor/dispatch/providers/twilio_sms.h"
#include "processor/dispatch/providers/twilio_webhook.h"
#include "schemas/json.h"

namespace alertstream::simulator {
namespace {

using dispatch::Form;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

constexpr std::string_view kKey = "ntf_01JD3JAAAAAAAAAAAAAAAAAAAA";

Form Good() {
  return {{"To", "+15558675310"},
          {"From", "+15005550006"},
          {"Body", "hello"},
          {"StatusCallback",
           "https://a.example/webhooks/twilio/main/status?notification_id=" + std::string(kKey)}};
}

// With a field replaced; without it if the value is empty.
Form With(std::string_view name, std::string value) {
  Form form;
  bool replaced = false;
  for (dispatch::FormField field : Good()) {
    if (field.name == name) {
      replaced = true;
      field.value = value;
    }
    if (!field.value.empty()) {
      form.push_back(field);
    }
  }
  if (!replaced && !value.empty()) {
    form.push_back({std::string(name), std::move(value)});
  }
  return form;
}

TEST(ReadCreateTest, AGoodRequestIsTheMessage) {
  const auto read = ReadCreate(Good());
  const auto* message = std::get_if<Message>(&read);
  ASSERT_NE(message, nullptr);
  EXPECT_EQ(message->key, kKey);
  EXPECT_EQ(message->to, "+15558675310");
  EXPECT_EQ(message->from, "+15005550006");
  EXPECT_EQ(message->body, "hello");
  EXPECT_FALSE(message->by_service);
}

TEST(ReadCreateTest, WhatTwilioRefusesIsRefusedWithItsCode) {
  struct Case {
    std::string_view field;
    std::string value;
    int code;  // 0: taken.
  };
  const std::string service = "MG00000000000000000000000000000001";
  const Case cases[] = {
      {"To", "", 21604},
      {"To", "15558675310", 21211},
      {"To", "+1555867531012345", 21211},
      {"To", "+0558675310", 21211},
      {"To", "+15005550001", 21211},
      {"To", "whatsapp:+15558675310", 0},
      {"To", "+15005550004", 21610},
      {"From", "", 21603},
      {"From", "+15005550001", 21212},
      {"From", "nobody at all", 21212},
      {"From", "+1", 0},
      {"From", "12345", 0},
      {"From", "ACME", 0},
      {"From", "+15558675310", 21266},
      {"Body", "", 21602},
      {"Body", std::string(1600, 'a'), 0},
      {"Body", std::string(1601, 'a'), 21617},
      {"StatusCallback", "", 0},
      {"StatusCallback", "ftp://a.example/", 21609},
      {"StatusCallback", "https:///path", 21609},
      {"StatusCallback", "https://a_b.example/", 21609},
      {"StatusCallback", "http://127.0.0.1:80/x_y", 0},
      {"StatusCallback", "http://a.example/" + std::string(kCallbackBytesMax - 17, 'x'), 0},
      {"StatusCallback", "http://a.example/" + std::string(kCallbackBytesMax - 16, 'x'), 21609},
      {"ValidityPeriod", "0", 20001},
      {"ValidityPeriod", "36001", 20001},
      {"ValidityPeriod", "x", 20001},
      {"ValidityPeriod", "36000", 0},
      {"MediaUrl", "https://a.example/cat.png", 0},
  };
  for (const Case& c : cases) {
    const auto read = ReadCreate(With(c.field, c.value));
    const auto* error = std::get_if<ApiError>(&read);
    EXPECT_EQ(error == nullptr ? 0 : error->code, c.code) << c.field << "=" << c.value;
  }
  Form by_service = With("From", "");
  by_service.push_back({"MessagingServiceSid", service});
  const auto read = ReadCreate(by_service);
  const auto* message = std::get_if<Message>(&read);
  ASSERT_NE(message, nullptr);
  EXPECT_TRUE(message->by_service);
  EXPECT_EQ(message->from, service);
  by_service.back().value = "MG1";
  const auto refused = ReadCreate(by_service);
  ASSERT_NE(std::get_if<ApiError>(&refused), nullptr);
  EXPECT_EQ(std::get_if<ApiError>(&refused)->status, 404);
}

TEST(TwilioAnswerTest, AnErrorHasTwiliosMembers) {
  EXPECT_EQ(ErrorJson(kOptedOut),
            R"({"code":21610,"message":"Attempt to send to unsubscribed recipient",)"
            R"("more_info":"https://www.twilio.com/docs/errors/21610","status":400})");
}

Message Sample() {
  auto read = ReadCreate(Good());
  Message message = *std::get_if<Message>(&read);
  message.sid = "SM00000000000000000000000000000001";
  message.account_sid = "AC00000000000000000000000000000001";
  message.received_at = FromMicros(1'795'338'303'000'000);
  return message;
}

TEST(TwilioAnswerTest, AMessageHasTwiliosMembers) {
  schemas::JsonDocument document;
  ASSERT_TRUE(document.Parse(MessageJson(Sample())).ok());
  const auto root = document.root();
  EXPECT_EQ(root.Find("sid")->AsString(), "SM00000000000000000000000000000001");
  EXPECT_EQ(root.Find("status")->AsString(), "queued");
  EXPECT_EQ(root.Find("direction")->AsString(), "outbound-api");
  EXPECT_EQ(root.Find("num_segments")->AsString(), "1");
  EXPECT_EQ(root.Find("num_media")->AsString(), "0");
  EXPECT_EQ(root.Find("error_code")->type(), schemas::JsonType::kNull);
  EXPECT_EQ(root.Find("messaging_service_sid")->type(), schemas::JsonType::kNull);
  EXPECT_EQ(root.Find("date_created")->AsString(), "Sun, 22 Nov 2026 09:05:03 +0000");
  EXPECT_EQ(root.Find("date_sent")->type(), schemas::JsonType::kNull);
  EXPECT_EQ(root.Find("uri")->AsString(),
            "/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages/"
            "SM00000000000000000000000000000001.json");

  Message message = Sample();
  message.by_service = true;
  message.body = std::string(161, 'a');
  ASSERT_TRUE(document.Parse(MessageJson(message)).ok());
  EXPECT_EQ(document.root().Find("status")->AsString(), "accepted");
  EXPECT_EQ(document.root().Find("from")->type(), schemas::JsonType::kNull);
  EXPECT_EQ(document.root().Find("num_segments")->AsString(), "2");
}

// The adapter of the dispatcher reads what the simulator answers as it is meant.
TEST(TwilioAnswerTest, TheAdapterUnderstandsTheAnswers) {
  const auto outcome_of = [](int status, std::string body) {
    return dispatch::OutcomeOfTwilioAnswer(
        {.status = status, .body = Redacted<std::string>(std::move(body))}, LogTime{});
  };
  const auto accepted = outcome_of(201, MessageJson(Sample()));
  EXPECT_EQ(accepted.result, v1::ATTEMPT_CLASS_ACCEPTED);
  EXPECT_EQ(accepted.provider_message_id, "SM00000000000000000000000000000001");
  EXPECT_EQ(outcome_of(429, ErrorJson(kTooManyRequests)).result, v1::ATTEMPT_CLASS_THROTTLE);
  EXPECT_EQ(outcome_of(500, ErrorJson(kServerError)).result, v1::ATTEMPT_CLASS_RETRY);
  EXPECT_EQ(outcome_of(400, ErrorJson(kOptedOut)).result, v1::ATTEMPT_CLASS_OPT_OUT);
  EXPECT_EQ(outcome_of(401, ErrorJson(kAuthenticate)).result, v1::ATTEMPT_CLASS_SUSPEND);
}

// And so does the parser of webhooks.
TEST(TwilioCallbackTest, TheWebhooksParserUnderstandsTheFields) {
  const auto status = dispatch::ParseTwilioStatus(StatusFields(Sample(), "delivered"));
  ASSERT_TRUE(status.ok()) << status.error().message();
  EXPECT_EQ(status.value().status, v1::RECEIPT_STATUS_DELIVERED);
  EXPECT_EQ(status.value().message_sid, "SM00000000000000000000000000000001");
  EXPECT_EQ(status.value().from, "+15005550006");
  Message by_service = Sample();
  by_service.by_service = true;
  by_service.from = "MG00000000000000000000000000000001";
  const auto other = dispatch::ParseTwilioStatus(StatusFields(by_service, "sent"));
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(other.value().messaging_service_sid, by_service.from);

  const auto inbound =
      dispatch::ParseTwilioInbound(InboundFields({.account_sid = Sample().account_sid,
                                                  .message_sid = "SM2",
                                                  .from = "+15558675310",
                                                  .to = "+15005550006",
                                                  .body = "STOP",
                                                  .opt_out_type = "STOP",
                                                  .messaging_service_sid = ""}));
  ASSERT_TRUE(inbound.ok()) << inbound.error().message();
  EXPECT_EQ(inbound.value().body.Reveal(), "STOP");
  EXPECT_EQ(inbound.value().opt_out, dispatch::TwilioOptOut::kStop);
}

TEST(ReadBasicTest, UserAndPasswordAreSplitAtTheFirstColon) {
  const auto credentials = ReadBasic("Basic " + ToBase64("user:pass:word"));
  EXPECT_EQ(credentials.user, "user");
  EXPECT_EQ(credentials.password.Reveal(), "pass:word");
  for (const std::string& text : {std::string(), std::string("Bearer x"), std::string("Basic !"),
                                  "Basic " + ToBase64("nocolon")}) {
    EXPECT_EQ(ReadBasic(text).user, "") << text;
  }
}

TEST(MakeSidTest, IsRandom) {
  EXPECT_THAT(MakeSid("SM"), MatchesRegex("SM[0-9a-f]{32}"));
  EXPECT_NE(MakeSid("SM"), MakeSid("SM"));
}

}  // namespace
}  // namespace alertstream::simulator

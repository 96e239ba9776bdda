#include "api/webhooks/twilio_door.h"

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/http/routes.h"
#include "api/webhooks/webhook_routes.h"
#include "processor/dispatch/providers/form.h"
#include "processor/dispatch/providers/twilio_webhook.h"
#include "processor/log/memory/memory_log.h"
#include "schemas/topics.h"
#include "tests/support/fake_keys.h"
#include "tests/support/manual_clock.h"
#include "tests/support/one_answer.h"

namespace alertstream::api {
namespace {

using namespace std::chrono_literals;
using dispatch::Form;
using ::testing::HasSubstr;

constexpr std::int32_t kPartitions = 16;
constexpr std::string_view kSid = "AC00000000000000000000000000000001";
constexpr std::string_view kToken = "12345";  // Of the published vectors.

Form StatusForm() {
  return {{"AccountSid", std::string(kSid)}, {"MessageSid", "SM1"},  {"MessageStatus", "delivered"},
          {"From", "+15005550006"},          {"To", "+15558675310"}, {"ApiVersion", "2010-04-01"}};
}

Form InboundForm() {
  return {{"AccountSid", std::string(kSid)},
          {"MessageSid", "SM2"},
          {"From", "+15558675310"},
          {"To", "+15005550006"},
          {"Body", "STOP"}};
}

Form With(Form form, std::string_view name, std::string value) {
  for (dispatch::FormField& field : form) {
    if (field.name == name) {
      field.value = std::move(value);
      return form;
    }
  }
  form.push_back({std::string(name), std::move(value)});
  return form;
}

class TwilioDoorTest : public ::testing::Test {
 protected:
  TwilioDoorTest() {
    SetAccount("https://alerts.example.com/", {"new token", std::string(kToken)});
    identity_.AddNumber("main", "+15005550006", "acme");
    identity_.AddNumber("main", "MG00000000000000000000000000000001", "bakery");
    EXPECT_TRUE(log_.ApplyTopics({.partitions = kPartitions, .replication = 1}, 1s).ok());
    writer_ = std::make_unique<LogWriter>(log_, LogWriterOptions{.timeout = 1s});
    Wire();
  }

  void SetAccount(std::string_view public_url, const std::vector<std::string>& tokens) {
    Identity::WebhookAccount account;
    account.account_sid = kSid;
    account.public_url = public_url;
    for (const std::string& token : tokens) {
      account.auth_tokens.emplace_back(token);
    }
    identity_.SetAccount("main", std::move(account));
  }

  void Wire() {
    routes_ = http::Routes();
    EXPECT_TRUE(AddWebhookRoutes(&routes_, {.identity = identity_,
                                            .writer = *writer_,
                                            .partitions = kPartitions,
                                            .clock = clock_,
                                            .metrics = metrics_})
                    .ok());
  }

  static std::string Sign(std::string_view target, const Form& form) {
    return dispatch::SignTwilioRequest("https://alerts.example.com" + std::string(target), form,
                                       Redacted<std::string>(std::string(kToken)));
  }

  // The answer to a POST of `body`; without a header if `signature` is empty.
  http::Response PostRaw(std::string_view target, std::string body, std::string_view signature) {
    http::Request request;
    request.method = "POST";
    const std::size_t question = target.find('?');
    request.path = target.substr(0, question);
    request.query = question == std::string_view::npos ? "" : target.substr(question + 1);
    if (!signature.empty()) {
      request.headers.Add("x-twilio-signature", signature);
    }
    request.body = std::move(body);
    const auto answer = std::make_shared<OneAnswer>();
    routes_.Handle(std::move(request), http::Responder(answer, 1));
    return answer->Wait();
  }
  http::Response Post(std::string_view target, const Form& form) {
    return PostRaw(target, dispatch::EncodeForm(form), Sign(target, form));
  }

  std::int64_t Records(schemas::Topic topic, std::string_view key) {
    const log::TopicPartition partition{topic, schemas::PartitionOf(key, kPartitions)};
    const auto ends = log_.Ends(std::span(&partition, 1), log::EndKind::kStable, 1s);
    EXPECT_TRUE(ends.ok());
    return ends.ok() ? ends.value()[0] : -1;
  }
  double Count(std::string_view result) {
    return metrics_.CounterOf(MetricId::kWebhookRequests, {"twilio", result}).value();
  }

  ManualClock clock_;
  Metrics metrics_;
  FakeKeys identity_;
  log::MemoryEventLog log_{log::MemoryLogOptions{.clock = clock_}};
  std::unique_ptr<LogWriter> writer_;
  http::Routes routes_;
};

constexpr std::string_view kStatus = "/webhooks/twilio/main/status";
constexpr std::string_view kInbound = "/webhooks/twilio/main/inbound";

TEST_F(TwilioDoorTest, AStatusIsAppendedAndThenAnswered) {
  const auto response = Post(
      "/webhooks/twilio/main/status?notification_id=ntf_01JD3JAAAAAAAAAAAAAAAAAAAA", StatusForm());
  EXPECT_EQ(response.status, 204);
  EXPECT_EQ(response.body, "");
  EXPECT_EQ(Records(schemas::Topic::kDeliveryReceipts, "acme"), 1);
  EXPECT_EQ(Count("accepted"), 1);
}

TEST_F(TwilioDoorTest, AMessageIsAppendedAndAnsweredWithEmptyTwiml) {
  const auto response = Post(kInbound, InboundForm());
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.Find("Content-Type"), "text/xml");
  EXPECT_EQ(response.body, "<Response/>");
  EXPECT_EQ(Records(schemas::Topic::kInboundMessages, "acme"), 1);
}

TEST_F(TwilioDoorTest, WhatIsRepeatedIsAppendedOnce) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Post(kStatus, StatusForm()).status, 204);
    EXPECT_EQ(Post(kInbound, InboundForm()).status, 200);
  }
  EXPECT_EQ(Records(schemas::Topic::kDeliveryReceipts, "acme"), 1);
  EXPECT_EQ(Records(schemas::Topic::kInboundMessages, "acme"), 1);
  EXPECT_EQ(Count("accepted"), 2);
  EXPECT_EQ(Count("repeated"), 4);
  // Another status of the same message, and another message, are not the same.
  EXPECT_EQ(Post(kStatus, With(StatusForm(), "MessageStatus", "sent")).status, 204);
  EXPECT_EQ(Post(kInbound, With(InboundForm(), "MessageSid", "SM3")).status, 200);
  EXPECT_EQ(Records(schemas::Topic::kDeliveryReceipts, "acme"), 2);
  EXPECT_EQ(Records(schemas::Topic::kInboundMessages, "acme"), 2);
}

TEST_F(TwilioDoorTest, WhatIsRefusedIsNotAppended) {
  struct Case {
    std::string_view name;
    std::string_view target;
    Form form;
    std::string signature;  // "right": the one that fits.
    int status;
    std::string_view result;
    std::string_view detail;
  };
  const std::map<std::string_view, std::string_view> codes = {
      {"unknown_account", "unknown_account"},
      {"missing_signature", "missing_signature"},
      {"wrong_signature", "bad_signature"},
      {"malformed", "malformed_request"},
      {"wrong_account", "wrong_account"}};
  const std::string long_sid = "AC00000000000000000000000000000002";
  // In the order of precedence.
  const std::vector<Case> cases = {
      {"no such account", "/webhooks/twilio/other/status", StatusForm(), "", 404, "unknown_account",
       "account"},
      {"no signature", kStatus, StatusForm(), "", 400, "missing_signature", "X-Twilio-Signature"},
      {"not base64", kStatus, StatusForm(), "!", 403, "wrong_signature", "X-Twilio-Signature"},
      {"another request's", kStatus, StatusForm(), Sign(kInbound, StatusForm()), 403,
       "wrong_signature", "auth token"},
      {"no fields", kStatus, {}, "right", 400, "malformed", "AccountSid"},
      {"no such status", kStatus, With(StatusForm(), "MessageStatus", "lost"), "right", 400,
       "malformed", "MessageStatus"},
      {"another account's", kStatus, With(StatusForm(), "AccountSid", long_sid), "right", 403,
       "wrong_account", "AccountSid"},
      {"inbound of another account", kInbound, With(InboundForm(), "AccountSid", long_sid), "right",
       403, "wrong_account", "AccountSid"},
      {"inbound without sender", kInbound, With(InboundForm(), "From", ""), "right", 400,
       "malformed", "From"},
      {"a notification that is none", "/webhooks/twilio/main/status?notification_id=evt_1",
       StatusForm(), "right", 400, "malformed", "notification_id"},
  };
  for (const Case& c : cases) {
    const auto response =
        PostRaw(c.target, dispatch::EncodeForm(c.form),
                c.signature == "right" ? Sign(c.target, c.form) : std::string(c.signature));
    EXPECT_EQ(response.status, c.status) << c.name;
    EXPECT_EQ(response.headers.Find("Content-Type"), "application/problem+json") << c.name;
    EXPECT_THAT(response.body, HasSubstr("\"code\":\"" + std::string(codes.at(c.result)) + "\""))
        << c.name;
    EXPECT_THAT(response.body, HasSubstr(c.detail)) << c.name;
    EXPECT_GE(Count(c.result), 1) << c.name;
  }
  for (const auto topic : {schemas::Topic::kDeliveryReceipts, schemas::Topic::kInboundMessages}) {
    for (const std::string_view key : {"acme", "_unrouted"}) {
      EXPECT_EQ(Records(topic, key), 0);
    }
  }
}

TEST_F(TwilioDoorTest, ABodyThatIsTooLargeIsRefusedBeforeAnythingElse) {
  const auto response =
      PostRaw("/webhooks/twilio/other/status", std::string((1 << 20) + 1, 'a'), "");
  EXPECT_EQ(response.status, 413);
  EXPECT_EQ(Count("too_large"), 1);
}

TEST_F(TwilioDoorTest, OneChangedByteIsADifferentRequest) {
  const std::string body = dispatch::EncodeForm(InboundForm());
  const std::string signature = Sign(kInbound, InboundForm());
  for (std::size_t i = body.find("Body="); i < body.size(); ++i) {
    std::string changed = body;
    changed[i] = changed[i] == 'x' ? 'y' : 'x';
    const int status = PostRaw(kInbound, changed, signature).status;
    EXPECT_TRUE(status == 403 || status == 400) << i << ": " << status;
  }
  EXPECT_EQ(Records(schemas::Topic::kInboundMessages, "acme"), 0);
}

TEST_F(TwilioDoorTest, TheSendersNumberTellsTheTenantElseTheService) {
  struct Case {
    std::string_view number;
    std::string_view service;
    std::string_view key;
  };
  constexpr Case kCases[] = {
      {"+15005550006", "", "acme"},
      {"+15005550006", "MG00000000000000000000000000000001", "acme"},
      {"+15005550009", "MG00000000000000000000000000000001", "bakery"},
      {"+15005550009", "MG00000000000000000000000000000002", "_unrouted"},
      {"+15005550009", "", "_unrouted"},
  };
  int n = 0;
  std::map<std::string_view, std::int64_t> expected;
  for (const Case& c : kCases) {
    const std::string sid = "SM" + std::to_string(100 + n++);
    Form status = With(With(StatusForm(), "From", std::string(c.number)), "MessageSid", sid);
    Form inbound = With(With(InboundForm(), "To", std::string(c.number)), "MessageSid", sid);
    if (!c.service.empty()) {
      status = With(status, "MessagingServiceSid", std::string(c.service));
      inbound = With(inbound, "MessagingServiceSid", std::string(c.service));
    }
    EXPECT_EQ(Post(kStatus, status).status, 204);
    EXPECT_EQ(Post(kInbound, inbound).status, 200);
    ++expected[c.key];
  }
  ASSERT_NE(schemas::PartitionOf("acme", kPartitions), schemas::PartitionOf("bakery", kPartitions));
  ASSERT_NE(schemas::PartitionOf("acme", kPartitions),
            schemas::PartitionOf("_unrouted", kPartitions));
  ASSERT_NE(schemas::PartitionOf("bakery", kPartitions),
            schemas::PartitionOf("_unrouted", kPartitions));
  for (const auto& [key, count] : expected) {
    EXPECT_EQ(Records(schemas::Topic::kDeliveryReceipts, key), count) << key;
    EXPECT_EQ(Records(schemas::Topic::kInboundMessages, key), count) << key;
  }
  EXPECT_EQ(Count("unrouted"), 4);
  EXPECT_EQ(Count("accepted"), 6);
}

TEST_F(TwilioDoorTest, WhileAccountsAreNotKnownTheProviderIsToldToCallAgain) {
  identity_.SetAccountsKnown(false);
  const Form stranger = With(With(InboundForm(), "To", "+15005550009"), "MessageSid", "SM9");
  EXPECT_EQ(Post(kInbound, stranger).status, 503) << "whose number it is may be known later";
  EXPECT_EQ(Post(kStatus, With(StatusForm(), "From", "+15005550009")).status, 503);
  const auto response = PostRaw("/webhooks/twilio/other/status", "", "");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.headers.Find("Retry-After"), "1");
  EXPECT_EQ(Count("accounts_unavailable"), 3);
  EXPECT_EQ(Records(schemas::Topic::kInboundMessages, "_unrouted"), 0);
  EXPECT_EQ(Post(kInbound, InboundForm()).status, 200) << "what is known is taken";
  identity_.SetAccountsKnown(true);
  EXPECT_EQ(Post(kInbound, stranger).status, 200);
  EXPECT_EQ(Records(schemas::Topic::kInboundMessages, "_unrouted"), 1);
}

TEST_F(TwilioDoorTest, WithoutALogTheProviderIsToldToCallAgain) {
  log_.FailWrites(true);
  const auto response = Post(kStatus, StatusForm());
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.headers.Find("Retry-After"), "1");
  EXPECT_EQ(Count("log_unavailable"), 1);
  log_.FailWrites(false);
  EXPECT_EQ(Post(kStatus, StatusForm()).status, 204);
  EXPECT_EQ(Records(schemas::Topic::kDeliveryReceipts, "acme"), 1);
}

TEST_F(TwilioDoorTest, AWriterThatTakesNothingMoreIsALogThatIsNotAvailable) {
  writer_->Stop();
  EXPECT_EQ(Post(kInbound, InboundForm()).status, 503);
  EXPECT_EQ(Post(kInbound, InboundForm()).status, 503);
  EXPECT_EQ(Count("log_unavailable"), 2);
}

// The published vectors sign other paths and fields than ours, so what shows that a signature was
// accepted is what the door complains about afterwards.
TEST_F(TwilioDoorTest, PublishedVectorsPassTheCheckOfSignatures) {
  struct Vector {
    std::string_view name;
    std::string_view public_url;
    std::string_view path;
    std::string_view query;
    std::string_view body;
    std::string_view signature;
  };
  constexpr std::string_view kCall =
      "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&"
      "To=%2B18005551212";
  constexpr std::string_view kJson = R"({"property": "value", "boolean": true})";
  constexpr std::string_view kDigest =
      "bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
  constexpr std::string_view kTwo =
      "foo=1&bar=2&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
  constexpr std::string_view kEmpty =
      "foo=1&bar=2&bodySHA256=44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
  constexpr std::string_view kFoo = "foo=1&bar=2";
  const std::vector<Vector> vectors = {
      {"T1", "https://mycompany.com", "/myapp.php", kFoo, kCall, "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
      {"T2", "https://mycompany.com:443", "/myapp.php", kFoo, kCall,
       "kvajT1Ptam85bY51eRf/AJRuM3w="},
      {"T3", "http://mycompany.com:80", "/myapp.php", kFoo, kCall, "0ZXoZLH/DfblKGATFgpif+LLRf4="},
      {"T4", "http://mycompany.com:1234", "/myapp.php", kFoo, kCall,
       "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="},
      {"T5", "https://user:pass@mycompany.com", "/myapp.php", kFoo, kCall,
       "CukzLTc1tT5dXEDIHm/tKBanW10="},
      {"T6", "https://user@mycompany.com", "/myapp.php", kFoo, kCall,
       "2YRLlVAflCqxaNicjMpJcSTgzSs="},
      {"T7", "https://user:pass@mycompany.com:443", "/myapp.php", kFoo, kCall,
       "ZQFR1PTIZXF2MXB8ZnKCvnnA+rI="},
      {"T8", "https://mycompany.com", "/myapp.php", "foo=1&bar=2&Body=It%27s+amazing", kCall,
       "TfZzewPq8wqrGlMfyAud8+/IvJ0="},
      {"T9", "https://mycompany.com", "/myapp.php", kFoo,
       "MessagingBinding.Address=%2B1325xxxxxxx&MessagingBinding.Address=%2B1415xxxxxxx",
       "83O6e2vORAoJHUNzJjDWN1jz+BA="},
      {"T10", "https://mycompany.com", "/myapp.php", kFoo,
       "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234",
       "IK+Dwps556ElfBT0I3Rgjkr1wJU="},
      {"T11", "https://mycompany.com", "/myapp.php", kTwo, kJson, "a9nBmqA0ju/hNViExpshrM61xv4="},
      {"T12", "https://mycompany.com", "/myapp.php", kDigest, kJson,
       "y77kIzt2vzLz71DgmJGsen2scGs="},
      {"T13", "https://mycompany.com:443", "/myapp.php", kEmpty, "{}",
       "Ldidvp12m26NI7eqEvxnEpkd9Hc="},
      {"T13 without its port", "https://mycompany.com", "/myapp.php", kEmpty, "{}",
       "Ldidvp12m26NI7eqEvxnEpkd9Hc="},
      {"T14", "https://alerts.example.com", "/webhooks/twilio/status", "",
       "Body=ol%C3%A9+%F0%9F%91%8D&MessageSid=SM1&MessageStatus=delivered&To=%2B15558675310",
       "3V6502Q7J/qsMBDez+RImcj2fvM="},
  };
  const auto door = std::make_shared<TwilioDoor>(WebhookDeps{.identity = identity_,
                                                             .writer = *writer_,
                                                             .partitions = kPartitions,
                                                             .clock = clock_,
                                                             .metrics = metrics_});
  for (const Vector& v : vectors) {
    SetAccount(v.public_url, {std::string(kToken)});
    http::Request request;
    request.method = "POST";
    request.path = v.path;
    request.query = v.query;
    request.body = v.body;
    request.headers.Add("X-Twilio-Signature", v.signature);
    const auto handle = [&] {
      const auto answer = std::make_shared<OneAnswer>();
      door->Handle(TwilioDoor::Kind::kStatus, "main", request, http::Responder(answer, 1));
      return answer->Wait();
    };
    const auto response = handle();
    EXPECT_EQ(response.status, 400) << v.name << ": " << response.body;
    EXPECT_THAT(response.body, HasSubstr("AccountSid")) << v.name;

    request.query += request.query.empty() ? "x=1" : "&x=1";
    EXPECT_EQ(handle().status, 403) << v.name;
  }
}

}  // namespace
}  // namespace alertstream::api

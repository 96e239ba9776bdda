#include "processor/dispatch/providers/twilio_webhook.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/base/base64.h"

namespace alertstream::dispatch {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;
using testing::HasSubstr;
using testing::Not;

const Form kCall = {{"CallSid", "CA1234567890ABCDE"},
                    {"Caller", "+14158675309"},
                    {"Digits", "1234"},
                    {"From", "+14158675309"},
                    {"To", "+18005551212"}};
constexpr std::string_view kUrl = "https://mycompany.com/myapp.php?foo=1&bar=2";
constexpr std::string_view kSignature = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";

// The token of the published vectors.
const std::vector<Redacted<std::string>> kTokens = {Redacted<std::string>("12345")};

struct Vector {
  std::string_view name;
  std::string url;
  Form fields;
  std::string_view signature;
};

// Of Twilio's own libraries, and T14, which has characters beyond ASCII.
std::vector<Vector> FormVectors() {
  const std::string path = "mycompany.com/myapp.php?foo=1&bar=2";
  const std::string url(kUrl);
  return {
      {"T1", url, kCall, kSignature},
      {"T2", "https://mycompany.com:443/myapp.php?foo=1&bar=2", kCall,
       "kvajT1Ptam85bY51eRf/AJRuM3w="},
      {"T3", "http://mycompany.com:80/myapp.php?foo=1&bar=2", kCall,
       "0ZXoZLH/DfblKGATFgpif+LLRf4="},
      {"T4", "http://mycompany.com:1234/myapp.php?foo=1&bar=2", kCall,
       "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="},
      {"T5", "https://user:pass@" + path, kCall, "CukzLTc1tT5dXEDIHm/tKBanW10="},
      {"T6", "https://user@" + path, kCall, "2YRLlVAflCqxaNicjMpJcSTgzSs="},
      {"T7", "https://user:pass@mycompany.com:443/myapp.php?foo=1&bar=2", kCall,
       "ZQFR1PTIZXF2MXB8ZnKCvnnA+rI="},
      {"T8", url + "&Body=It%27s+amazing", kCall, "TfZzewPq8wqrGlMfyAud8+/IvJ0="},
      {"T9",
       url,
       {{"MessagingBinding.Address", "+1325xxxxxxx"}, {"MessagingBinding.Address", "+1415xxxxxxx"}},
       "83O6e2vORAoJHUNzJjDWN1jz+BA="},
      {"T10",
       url,
       {{"Sid", "CA123"},
        {"SidAccount", "AC123"},
        {"Digits", "5678"},
        {"Digits", "1234"},
        {"Digits", "1234"}},
       "IK+Dwps556ElfBT0I3Rgjkr1wJU="},
      {"T14",
       "https://alerts.example.com/webhooks/twilio/status",
       {{"Body", "ol\xC3\xA9 \xF0\x9F\x91\x8D"},
        {"MessageSid", "SM1"},
        {"MessageStatus", "delivered"},
        {"To", "+15558675310"}},
       "3V6502Q7J/qsMBDez+RImcj2fvM="},
  };
}

Result<Form> Verify(std::string_view url, std::string_view body, std::string_view signature) {
  return VerifyTwilioRequest({.url = url, .body = body, .signature = signature}, kTokens);
}

TEST(TwilioSignatureTest, PublishedVectorsOfFormsAreAccepted) {
  for (const Vector& v : FormVectors()) {
    const auto fields = Verify(v.url, EncodeForm(v.fields), v.signature);
    ASSERT_TRUE(fields.ok()) << v.name << ": " << fields.error().message();
    EXPECT_EQ(fields.value(), v.fields) << v.name;
    EXPECT_EQ(SignTwilioRequest(v.url, v.fields, kTokens.front()), v.signature) << v.name;
  }
}

TEST(TwilioSignatureTest, PublishedVectorsOfJsonBodiesAreAccepted) {
  struct Case {
    std::string_view name;
    std::string_view url;
    std::string_view body;
    std::string_view signature;
  };
  constexpr Case kCases[] = {
      {"T11",
       "https://mycompany.com/myapp.php?foo=1&bar=2&bodySHA256="
       "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620",
       R"({"property": "value", "boolean": true})", "a9nBmqA0ju/hNViExpshrM61xv4="},
      {"T12",
       "https://mycompany.com/myapp.php?bodySHA256="
       "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620",
       R"({"property": "value", "boolean": true})", "y77kIzt2vzLz71DgmJGsen2scGs="},
      {"T13",
       "https://mycompany.com/myapp.php?foo=1&bar=2&bodySHA256="
       "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
       "{}", "Ldidvp12m26NI7eqEvxnEpkd9Hc="},
      {"T13 with its port",
       "https://mycompany.com:443/myapp.php?foo=1&bar=2&bodySHA256="
       "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
       "{}", "Ldidvp12m26NI7eqEvxnEpkd9Hc="},
      {"T13 signed without a port",
       "https://mycompany.com:443/myapp.php?foo=1&bar=2&bodySHA256="
       "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
       "{}", "rw/jVviOgicj2+kHZULvebnA4ag="},
  };
  for (const Case& c : kCases) {
    const auto fields = Verify(c.url, c.body, c.signature);
    ASSERT_TRUE(fields.ok()) << c.name << ": " << fields.error().message();
    EXPECT_TRUE(fields.value().empty()) << c.name;
    const auto other_body = Verify(c.url, std::string(c.body) + " ", c.signature);
    ASSERT_FALSE(other_body.ok()) << c.name;
    EXPECT_EQ(other_body.error().code(), ErrorCode::kDenied);
    EXPECT_THAT(other_body.error().message(), HasSubstr("bodySHA256"));
  }
}

TEST(TwilioSignatureTest, AStandardPortMayBeSignedOrNot) {
  const std::string body = EncodeForm(kCall);
  // T1 and T2 are signatures of the same request; T3 is of http.
  for (const std::string_view url : {kUrl, "https://mycompany.com:443/myapp.php?foo=1&bar=2"sv}) {
    EXPECT_TRUE(Verify(url, body, kSignature).ok()) << url;
    EXPECT_TRUE(Verify(url, body, "kvajT1Ptam85bY51eRf/AJRuM3w=").ok()) << url;
    EXPECT_FALSE(Verify(url, body, "0ZXoZLH/DfblKGATFgpif+LLRf4=").ok()) << url;
  }
  EXPECT_TRUE(
      Verify("http://mycompany.com/myapp.php?foo=1&bar=2", body, "0ZXoZLH/DfblKGATFgpif+LLRf4=")
          .ok());
  EXPECT_TRUE(Verify("https://user:pass@mycompany.com/myapp.php?foo=1&bar=2", body,
                     "ZQFR1PTIZXF2MXB8ZnKCvnnA+rI=")
                  .ok());
  // A port that is none of the standard ones is never added.
  EXPECT_FALSE(
      Verify("http://mycompany.com/myapp.php?foo=1&bar=2", body, "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=")
          .ok());
}

TEST(TwilioSignatureTest, AnAddressOfVersionSixKeepsItsColons) {
  const std::string with_port =
      SignTwilioRequest("https://[2001:db8::1]:443/a", kCall, kTokens.front());
  const std::string without_port =
      SignTwilioRequest("https://[2001:db8::1]/a", kCall, kTokens.front());
  for (const std::string_view url : {"https://[2001:db8::1]/a", "https://[2001:db8::1]:443/a"}) {
    EXPECT_TRUE(Verify(url, EncodeForm(kCall), with_port).ok()) << url;
    EXPECT_TRUE(Verify(url, EncodeForm(kCall), without_port).ok()) << url;
  }
}

TEST(TwilioSignatureTest, AQueryThatAProxyDecodedIsAccepted) {
  const std::string body = EncodeForm(kCall);
  const std::string base(kUrl);
  EXPECT_TRUE(Verify(base + "&Body=It's+amazing", body, "TfZzewPq8wqrGlMfyAud8+/IvJ0=").ok());
  // And one that was signed with the plain apostrophe.
  EXPECT_TRUE(Verify(base + "&Body=It's+amazing", body, "dsq4Ehbj6cs+KdTkpF5sSSplOWw=").ok());
  EXPECT_FALSE(Verify(base + "&Body=It%27s+amazing", body, "dsq4Ehbj6cs+KdTkpF5sSSplOWw=").ok());
  const std::string signature =
      SignTwilioRequest("https://h/p?q=%C3%A9%20%22%3C%3E%7F", kCall, kTokens.front());
  EXPECT_TRUE(Verify("https://h/p?q=\xC3\xA9 \"<>\x7F", body, signature).ok());
}

TEST(TwilioSignatureTest, TheFragmentIsNotSigned) {
  const std::string url = std::string(kUrl) + "#rc=3&rp=all";
  EXPECT_TRUE(Verify(url, EncodeForm(kCall), kSignature).ok());
  EXPECT_EQ(SignTwilioRequest(url, kCall, kTokens.front()), kSignature);
}

TEST(TwilioSignatureTest, ARequestWithoutABodySignsItsUrl) {
  const std::string signature = SignTwilioRequest(kUrl, {}, kTokens.front());
  EXPECT_TRUE(Verify(kUrl, "", signature).ok());
  EXPECT_FALSE(Verify(kUrl, "a=b", signature).ok());
}

TEST(TwilioSignatureTest, EitherTokenFitsWhileOneReplacesTheOther) {
  const std::string body = EncodeForm(kCall);
  const TwilioSignedRequest request{.url = kUrl, .body = body, .signature = kSignature};
  using Tokens = std::vector<Redacted<std::string>>;
  const Redacted<std::string> right("12345");
  const Redacted<std::string> wrong("12346");
  EXPECT_TRUE(VerifyTwilioRequest(request, Tokens{right, wrong}).ok());
  EXPECT_TRUE(VerifyTwilioRequest(request, Tokens{wrong, right}).ok());
  EXPECT_FALSE(VerifyTwilioRequest(request, Tokens{wrong}).ok());
  EXPECT_FALSE(VerifyTwilioRequest(request, Tokens{}).ok());
}

TEST(TwilioSignatureTest, AnEmptyTokenFitsNothing) {
  const std::vector<Redacted<std::string>> tokens = {Redacted<std::string>("")};
  const std::string body = EncodeForm(kCall);
  const std::string signature = SignTwilioRequest(kUrl, kCall, tokens.front());
  const auto fields =
      VerifyTwilioRequest({.url = kUrl, .body = body, .signature = signature}, tokens);
  ASSERT_FALSE(fields.ok());
  EXPECT_EQ(fields.error().code(), ErrorCode::kDenied);
}

TEST(TwilioSignatureTest, AnyChangeIsDenied) {
  const std::string body = EncodeForm(kCall);
  struct Case {
    std::string url;
    std::string body;
    std::string signature;
  };
  const Case cases[] = {
      {std::string(kUrl) + "&x=1", body, std::string(kSignature)},
      {"http://mycompany.com/myapp.php?foo=1&bar=2", body, std::string(kSignature)},
      {"https://mycompany.co/myapp.php?foo=1&bar=2", body, std::string(kSignature)},
      {std::string(kUrl), body + "&x=1", std::string(kSignature)},
      {std::string(kUrl), body.substr(0, body.size() - 1), std::string(kSignature)},
      {std::string(kUrl), "", std::string(kSignature)},
      {std::string(kUrl), body, "RSOYDt4T1cUTdK1PDd93/VVr8B9="},  // Bits left over.
      {std::string(kUrl), body, "rSOYDt4T1cUTdK1PDd93/VVr8B8="},
      {std::string(kUrl), body, "RSOYDt4T1cUTdK1PDd93/VVr8B8"},
      {std::string(kUrl), body, "RSOYDt4T1cUTdK1PDd93/VVr"},
      {std::string(kUrl), body, " " + std::string(kSignature)},
      {std::string(kUrl), body, "RSOYDt4T1cUTdK1PDd93/VVr8B8=RSOYDt4T1cUTdK1PDd93/VVr8B8="},
  };
  for (const Case& c : cases) {
    const auto fields = Verify(c.url, c.body, c.signature);
    ASSERT_FALSE(fields.ok()) << c.url << " " << c.signature;
    EXPECT_EQ(fields.error().code(), ErrorCode::kDenied) << c.url << " " << c.signature;
    EXPECT_THAT(fields.error().message(), HasSubstr("X-Twilio-Signature"));
  }
}

TEST(TwilioSignatureTest, EveryBitOfASignatureCounts) {
  const std::string body = EncodeForm(kCall);
  const std::string right = FromBase64(kSignature).value();
  for (std::size_t bit = 0; bit < right.size() * 8; ++bit) {
    std::string wrong = right;
    wrong[bit / 8] = static_cast<char>(wrong[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(Verify(kUrl, body, ToBase64(wrong)).ok()) << bit;
  }
}

TEST(TwilioSignatureTest, WhatCannotBeCheckedIsInvalid) {
  const std::string long_url = "https://" + std::string(kTwilioUrlBytesMax, 'a');
  struct Case {
    std::string_view url;
    std::string_view body;
    std::string_view signature;
    std::string_view message;
  };
  const Case cases[] = {
      {kUrl, "a=b", "", "X-Twilio-Signature: missing"},
      {"", "a=b", kSignature, "url: expected https://"},
      {"/path", "a=b", kSignature, "url: expected https://"},
      {"ftp://h/", "a=b", kSignature, "url: expected https://"},
      {"https://", "a=b", kSignature, "url: expected https://"},
      {"https://user@", "a=b", kSignature, "url: expected https://"},
      {long_url, "a=b", kSignature, "url: expected https://"},
      {kUrl, "a=%", kSignature, "form field 1"},
      {kUrl, R"({"a":"b"})", kSignature, "form field 1"},
  };
  for (const Case& c : cases) {
    const auto fields = Verify(c.url, c.body, c.signature);
    ASSERT_FALSE(fields.ok()) << c.message;
    EXPECT_EQ(fields.error().code(), ErrorCode::kInvalid) << c.message;
    EXPECT_THAT(fields.error().message(), HasSubstr(c.message));
  }
}

TEST(TwilioSignatureTest, ADigestInTheQueryHasToBeOne) {
  for (const std::string_view digest :
       {"", "44136fa3", "zz136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}) {
    const std::string url = "https://h/p?bodySHA256=" + std::string(digest);
    const auto fields = Verify(url, "{}", SignTwilioRequest(url, {}, kTokens.front()));
    ASSERT_FALSE(fields.ok()) << digest;
    EXPECT_EQ(fields.error().code(), ErrorCode::kDenied);
  }
}

constexpr std::string_view kAccountSid = "AC0123456789abcdef0123456789ABCDEF";

Form StatusFields() {
  return {{"AccountSid", std::string(kAccountSid)},
          {"MessageSid", "SM1"},
          {"SmsSid", "SM1"},
          {"MessageStatus", "undelivered"},
          {"SmsStatus", "undelivered"},
          {"From", "+15005550006"},
          {"To", "+254700000001"},
          {"ApiVersion", "2010-04-01"},
          {"ErrorCode", "30003"},
          {"MessagingServiceSid", "MG1"},
          {"RawDlrDoneDate", "2611221020"},
          {"Something", "new"}};
}

// The field `name` set, added, or with nothing removed.
Form With(Form fields, std::string_view name, const char* value) {
  std::erase_if(fields, [name](const FormField& field) { return field.name == name; });
  if (value != nullptr) {
    fields.push_back({std::string(name), value});
  }
  return fields;
}

TEST(TwilioStatusTest, ACallbackIsRead) {
  const auto callback = ParseTwilioStatus(StatusFields());
  ASSERT_TRUE(callback.ok()) << callback.error().message();
  EXPECT_EQ(callback.value().account_sid, kAccountSid);
  EXPECT_EQ(callback.value().message_sid, "SM1");
  EXPECT_EQ(callback.value().status, v1::RECEIPT_STATUS_FAILED);
  EXPECT_EQ(callback.value().provider_status, "undelivered");
  EXPECT_EQ(callback.value().error_code, "30003");
  EXPECT_EQ(callback.value().channel, v1::CHANNEL_SMS);
  EXPECT_EQ(callback.value().from, "+15005550006");
  EXPECT_EQ(callback.value().to.Reveal(), "+254700000001");
  EXPECT_EQ(callback.value().messaging_service_sid, "MG1");
}

TEST(TwilioStatusTest, EveryStatusOfASentMessageIsKnown) {
  struct Case {
    const char* word;
    v1::ReceiptStatus status;
  };
  constexpr Case kCases[] = {
      {"accepted", v1::RECEIPT_STATUS_ACCEPTED},   {"scheduled", v1::RECEIPT_STATUS_ACCEPTED},
      {"queued", v1::RECEIPT_STATUS_QUEUED},       {"sending", v1::RECEIPT_STATUS_SENDING},
      {"sent", v1::RECEIPT_STATUS_SENT},           {"partially_delivered", v1::RECEIPT_STATUS_SENT},
      {"delivered", v1::RECEIPT_STATUS_DELIVERED}, {"read", v1::RECEIPT_STATUS_READ},
      {"failed", v1::RECEIPT_STATUS_FAILED},       {"undelivered", v1::RECEIPT_STATUS_FAILED},
      {"canceled", v1::RECEIPT_STATUS_FAILED},
  };
  for (const Case& c : kCases) {
    const auto callback = ParseTwilioStatus(With(StatusFields(), "MessageStatus", c.word));
    ASSERT_TRUE(callback.ok()) << c.word << ": " << callback.error().message();
    EXPECT_EQ(callback.value().status, c.status) << c.word;
    EXPECT_EQ(callback.value().provider_status, c.word);
  }
}

TEST(TwilioStatusTest, WhatMayBeMissingIsEmpty) {
  Form fields = With(StatusFields(), "ErrorCode", nullptr);
  fields = With(fields, "MessagingServiceSid", nullptr);
  const auto callback = ParseTwilioStatus(fields);
  ASSERT_TRUE(callback.ok());
  EXPECT_EQ(callback.value().error_code, "");
  EXPECT_EQ(callback.value().messaging_service_sid, "");
  EXPECT_EQ(ParseTwilioStatus(With(fields, "ErrorCode", "0")).value().error_code, "");
  EXPECT_EQ(ParseTwilioStatus(With(fields, "ErrorCode", "")).value().error_code, "");
}

TEST(TwilioStatusTest, OlderNamesStandInForNewerOnes) {
  Form fields = With(StatusFields(), "MessageSid", nullptr);
  fields = With(fields, "MessageStatus", nullptr);
  fields = With(With(fields, "SmsSid", "SM2"), "SmsStatus", "sent");
  const auto callback = ParseTwilioStatus(fields);
  ASSERT_TRUE(callback.ok()) << callback.error().message();
  EXPECT_EQ(callback.value().message_sid, "SM2");
  EXPECT_EQ(callback.value().status, v1::RECEIPT_STATUS_SENT);
}

TEST(TwilioStatusTest, ThePrefixOfAnAddressIsItsChannel) {
  Form fields = With(StatusFields(), "From", "whatsapp:+15005550006");
  fields = With(fields, "To", "whatsapp:+254700000001");
  const auto callback = ParseTwilioStatus(fields);
  ASSERT_TRUE(callback.ok());
  EXPECT_EQ(callback.value().channel, v1::CHANNEL_WHATSAPP);
  EXPECT_EQ(callback.value().from, "+15005550006");
  EXPECT_EQ(callback.value().to.Reveal(), "+254700000001");
}

TEST(TwilioStatusTest, AMessagingServiceMayNotHaveChosenANumber) {
  const auto callback = ParseTwilioStatus(With(StatusFields(), "From", nullptr));
  ASSERT_TRUE(callback.ok()) << callback.error().message();
  EXPECT_EQ(callback.value().from, "");
  EXPECT_EQ(callback.value().messaging_service_sid, "MG1");
  EXPECT_EQ(callback.value().channel, v1::CHANNEL_SMS);
}

Form Twice(Form fields, std::string_view name) {
  fields.push_back({std::string(name), "x"});
  return fields;
}

TEST(TwilioStatusTest, ErrorsNameTheField) {
  const std::string long_text(300, '7');
  struct Case {
    Form fields;
    std::string_view message;
  };
  const Case cases[] = {
      {{}, "twilio webhook: AccountSid: missing"},
      {With(StatusFields(), "AccountSid", "AC1"), "AccountSid: expected AC and 32"},
      {With(StatusFields(), "AccountSid", "ACx123456789abcdef0123456789ABCDEF"),
       "AccountSid: expected AC and 32"},
      {With(StatusFields(), "AccountSid", long_text.c_str()), "AccountSid: longer than 34 bytes"},
      {With(With(StatusFields(), "MessageSid", ""), "SmsSid", nullptr), "MessageSid: missing"},
      {With(StatusFields(), "MessageSid", long_text.c_str()), "MessageSid: longer than 256 bytes"},
      {With(StatusFields(), "MessageSid", "SM\n1"), "MessageSid: has a control character"},
      {Twice(StatusFields(), "MessageSid"), "MessageSid: given twice"},
      {With(With(StatusFields(), "MessageStatus", nullptr), "SmsStatus", nullptr),
       "MessageStatus: missing"},
      {With(StatusFields(), "MessageStatus", "received"), "MessageStatus: not a status"},
      {With(StatusFields(), "MessageStatus", "DELIVERED"), "MessageStatus: not a status"},
      {With(StatusFields(), "ErrorCode", "none"), "ErrorCode: not a number"},
      {With(With(StatusFields(), "From", nullptr), "MessagingServiceSid", nullptr),
       "From: missing"},
      {With(StatusFields(), "From", "whatsapp:"), "From: missing"},
      {With(StatusFields(), "From", "rcs:acme"), "From: of a channel that is not supported"},
      {With(StatusFields(), "To", nullptr), "To: missing"},
      {With(StatusFields(), "To", long_text.c_str()), "To: longer than 64 bytes"},
  };
  for (const Case& c : cases) {
    const auto callback = ParseTwilioStatus(c.fields);
    ASSERT_FALSE(callback.ok()) << c.message;
    EXPECT_EQ(callback.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(callback.error().message(), HasSubstr(c.message));
    EXPECT_THAT(callback.error().message(), Not(HasSubstr("70000")));
  }
}

Form InboundFields() {
  return {{"AccountSid", std::string(kAccountSid)},
          {"MessageSid", "SM1"},
          {"SmsSid", "SM1"},
          {"SmsStatus", "received"},
          {"From", "+254700000001"},
          {"To", "+15005550006"},
          {"Body", "Stop\r\n"},
          {"NumMedia", "0"},
          {"FromCity", ""}};
}

TEST(TwilioInboundTest, AMessageIsRead) {
  const auto inbound = ParseTwilioInbound(InboundFields());
  ASSERT_TRUE(inbound.ok()) << inbound.error().message();
  EXPECT_EQ(inbound.value().account_sid, kAccountSid);
  EXPECT_EQ(inbound.value().message_sid, "SM1");
  EXPECT_EQ(inbound.value().channel, v1::CHANNEL_SMS);
  EXPECT_EQ(inbound.value().from.Reveal(), "+254700000001");
  EXPECT_EQ(inbound.value().to, "+15005550006");
  EXPECT_EQ(inbound.value().body.Reveal(), "Stop\r\n");
  EXPECT_EQ(inbound.value().messaging_service_sid, "");
  EXPECT_EQ(inbound.value().opt_out, TwilioOptOut::kNone);
}

TEST(TwilioInboundTest, ATextMayBeEmptyOrAnything) {
  EXPECT_EQ(ParseTwilioInbound(With(InboundFields(), "Body", nullptr)).value().body.Reveal(), "");
  Form fields = With(InboundFields(), "Body", nullptr);
  const std::string body = "a\0b\x1b"s + std::string(16'000, 'x');
  fields.push_back({"Body", body});
  EXPECT_EQ(ParseTwilioInbound(fields).value().body.Reveal(), body);
}

TEST(TwilioInboundTest, WhatTwilioMadeOfTheTextIsRead) {
  struct Case {
    const char* type;
    TwilioOptOut expected;
  };
  for (const Case& c : {Case{"STOP", TwilioOptOut::kStop}, Case{"START", TwilioOptOut::kStart},
                        Case{"HELP", TwilioOptOut::kHelp}, Case{"Stop", TwilioOptOut::kStop},
                        Case{"", TwilioOptOut::kNone}, Case{"MAYBE", TwilioOptOut::kNone}}) {
    const auto inbound = ParseTwilioInbound(With(InboundFields(), "OptOutType", c.type));
    ASSERT_TRUE(inbound.ok()) << c.type;
    EXPECT_EQ(inbound.value().opt_out, c.expected) << c.type;
  }
}

TEST(TwilioInboundTest, ErrorsNameTheField) {
  const std::string long_text(16'385, '7');
  struct Case {
    Form fields;
    std::string_view message;
  };
  const Case cases[] = {
      {{}, "AccountSid: missing"},
      {With(With(InboundFields(), "MessageSid", nullptr), "SmsSid", nullptr),
       "MessageSid: missing"},
      {With(InboundFields(), "From", nullptr), "From: missing"},
      {Twice(InboundFields(), "From"), "From: given twice"},
      {With(InboundFields(), "To", nullptr), "To: missing"},
      {With(InboundFields(), "From", "messenger:1"), "From: of a channel that is not supported"},
      {With(InboundFields(), "Body", long_text.c_str()), "Body: longer than 16384 bytes"},
      {Twice(InboundFields(), "Body"), "Body: given twice"},
  };
  for (const Case& c : cases) {
    const auto inbound = ParseTwilioInbound(c.fields);
    ASSERT_FALSE(inbound.ok()) << c.message;
    EXPECT_EQ(inbound.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(inbound.error().message(), HasSubstr(c.message));
    EXPECT_THAT(inbound.error().message(), Not(HasSubstr("70000")));
  }
}

}  // namespace
}  // namespace alertstream::dispatch

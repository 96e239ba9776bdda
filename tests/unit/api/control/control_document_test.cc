#include "api/control/control_document.h"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "api/control/control_request.h"

namespace alertstream::api {
namespace {

v1::Envelope Parsed(std::string_view event) {
  const auto parsed =
      ParseControl(R"({"tenant":"acme","events":[)" + std::string(event) + "]}",
                   {.actor = "ops", .now = FromMicros(1'795'176'000'000'000), .partitions = 1});
  v1::Envelope envelope;
  const auto* items = std::get_if<ControlItems>(&parsed);
  EXPECT_NE(items, nullptr) << event;
  if (items != nullptr) {
    EXPECT_TRUE(envelope.ParseFromString((*items)[0].records[0].value));
  }
  return envelope;
}

TEST(ControlDocument, IsReadBackAsTheSameRecord) {
  const std::vector<std::string_view> events = {
      R"({"kind":"tenant","id":"zoo","status":"suspended","plan":"p","unknown_wait":"90s",
          "stop_reply":"Bye \"now\"","help_reply":"Ask"})",
      R"({"kind":"plan","id":"p","sends_per_month_max":0})",
      R"({"kind":"site","id":"Shop.1","status":"disabled","expected_version":3,"reason":"r"})",
      R"({"kind":"sender","id":"m","provider":"twilio","account":"main","number":"+254700000001",
          "default":true,"channel":"sms"})",
      R"({"kind":"trigger","id":"t","name":"N","event_type":"e","when":"event.data.n > 1",
          "recipients":{"field":"data.phone"},"channel":"sms","sender":"m",
          "template":{"body":"Hi {{data.n}}"},"message_class":"marketing","cooldown":"10m",
          "daily_cap":2,"max_age":"1500ms","allow_public":true,"enabled":false})",
      R"({"kind":"trigger","id":"t","event_type":"e",
          "recipients":{"list":["+254700000001","+254700000002"]},"channel":"sms",
          "template":{"body":"Hi"},"message_class":"transactional"})",
      R"({"kind":"consent","phone":"+254700000001","channel":"sms","class":"marketing",
          "status":"revoked","source":"paper","expected_version":1,
          "evidence":{"kind":"paper","written":true,"at":"2026-01-31T08:00:00.5Z"}})",
      R"({"kind":"opt_out","email":"a@b.example","status":"active","reason":"asked"})",
      R"({"kind":"skip","topic":"opt-outs","partition":0,"offset":0,"reason":"r"})",
      R"({"kind":"engine_activate","version":1})",
      R"({"kind":"event","event_type":"e","data":{"a":[1,2.5,null]},"id":"7","site":"s",
          "source":"till","time":"2026-11-20T12:00:00.000001Z"})",
      R"({"kind":"event","event_type":"e","data":null})",
  };
  for (const std::string_view event : events) {
    const v1::Envelope envelope = Parsed(event);
    const auto document = ControlDocument(envelope);
    ASSERT_TRUE(document.ok()) << event;
    const v1::Envelope again = Parsed(document.value());
    EXPECT_EQ(again.DebugString(), envelope.DebugString()) << document.value();
  }
}

TEST(ControlDocument, TakesATokenForAnAddress) {
  v1::Envelope envelope;
  envelope.set_tenant("acme");
  envelope.mutable_opt_out_change()->set_recipient_token(std::string(16, 'x'));
  envelope.mutable_opt_out_change()->set_channel(v1::CHANNEL_SMS);
  envelope.mutable_opt_out_change()->set_status(v1::OPT_OUT_STATUS_ACTIVE);
  envelope.mutable_opt_out_change()->set_reason("r");
  const auto document = ControlDocument(envelope);
  ASSERT_TRUE(document.ok());
  EXPECT_EQ(Parsed(document.value()).opt_out_change().recipient_token(), std::string(16, 'x'));
}

TEST(ControlDocument, RefusesWhatTheEndpointDoesNotTake) {
  v1::Envelope envelope;
  envelope.mutable_delivery_receipt();
  const auto receipt = ControlDocument(envelope);
  ASSERT_FALSE(receipt.ok());
  EXPECT_EQ(receipt.error().code(), ErrorCode::kInvalid);
  envelope.mutable_account_change()->mutable_log_marker();
  EXPECT_EQ(ControlDocument(envelope).error().code(), ErrorCode::kInvalid);
  envelope.mutable_consent_change()->mutable_address()->set_plain("token");
  envelope.mutable_consent_change()->set_address_kind(v1::ADDRESS_KIND_PUSH_TOKEN);
  EXPECT_EQ(ControlDocument(envelope).error().code(), ErrorCode::kInvalid);
}

}  // namespace
}  // namespace alertstream::api

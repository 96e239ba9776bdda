#include "api/webhooks/twilio_records.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schemas/envelope.pb.h"
#include "schemas/envelope_check.h"

namespace alertstream::api {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr std::int32_t kPartitions = 8;
constexpr LogTime kNow = FromMicros(1'795'176'000'000'000);
constexpr std::string_view kNotification = "ntf_01JD3JAAAAAAAAAAAAAAAAAAAA";

WebhookOrigin OriginOf(std::optional<std::string> tenant) {
  return {.account = "main", .tenant = std::move(tenant), .partitions = kPartitions, .now = kNow};
}

dispatch::TwilioStatusCallback Failed(std::string code) {
  return {.account_sid = "AC",
          .message_sid = "SM1",
          .status = v1::RECEIPT_STATUS_FAILED,
          .provider_status = "undelivered",
          .error_code = std::move(code),
          .channel = v1::CHANNEL_SMS,
          .from = "+15005550006",
          .to = Redacted<std::string>("+15558675310"),
          .messaging_service_sid = ""};
}

dispatch::TwilioInbound Inbound(std::string body, dispatch::TwilioOptOut opt_out) {
  return {.account_sid = "AC",
          .message_sid = "SM2",
          .channel = v1::CHANNEL_SMS,
          .from = Redacted<std::string>("+15558675310"),
          .to = "+15005550006",
          .body = Redacted<std::string>(std::move(body)),
          .messaging_service_sid = "",
          .opt_out = opt_out};
}

v1::Envelope EnvelopeIn(const RecordToAppend& record) {
  v1::Envelope envelope;
  EXPECT_TRUE(envelope.ParseFromString(record.value));
  return envelope;
}

TEST(TwilioRecordsTest, AStatusIsOneReceiptOfTheTenant) {
  auto callback = Failed("30005");
  const auto records = RecordsOfTwilioStatus(callback, kNotification, OriginOf("acme"));
  ASSERT_TRUE(records.ok()) << records.error().message();
  ASSERT_THAT(records.value(), SizeIs(1));
  const RecordToAppend& record = records.value()[0];
  EXPECT_EQ(record.topic, schemas::Topic::kDeliveryReceipts);
  EXPECT_EQ(record.key, "acme");
  EXPECT_EQ(record.partition, schemas::PartitionOf("acme", kPartitions));
  const v1::Envelope envelope = EnvelopeIn(record);
  EXPECT_EQ(envelope.id(), "SM1:undelivered");
  EXPECT_EQ(envelope.tenant(), "acme");
  EXPECT_EQ(envelope.routing_key(), "acme");
  EXPECT_EQ(envelope.type(), "delivery.receipt");
  EXPECT_EQ(envelope.source(), "twilio");
  EXPECT_EQ(envelope.trust(), v1::TRUST_WEBHOOK);
  EXPECT_EQ(envelope.ingest_time_us(), ToMicros(kNow));
  const auto& receipt = envelope.delivery_receipt();
  EXPECT_EQ(receipt.notification_id(), kNotification);
  EXPECT_EQ(receipt.provider(), "twilio");
  EXPECT_EQ(receipt.account(), "main");
  EXPECT_EQ(receipt.provider_message_id(), "SM1");
  EXPECT_EQ(receipt.status(), v1::RECEIPT_STATUS_FAILED);
  EXPECT_EQ(receipt.provider_status(), "undelivered");
  EXPECT_EQ(receipt.error_code(), "30005");
  EXPECT_EQ(receipt.at_us(), ToMicros(kNow));
}

TEST(TwilioRecordsTest, AReceiptThatSaysOptedOutIsAnOptOutToo) {
  struct Case {
    std::string_view code;
    v1::ReceiptStatus status;
    v1::Channel channel;
    std::vector<v1::Channel> opted_out;
  };
  const Case kCases[] = {
      {"21610", v1::RECEIPT_STATUS_FAILED, v1::CHANNEL_SMS, {v1::CHANNEL_SMS, v1::CHANNEL_VOICE}},
      {"30640", v1::RECEIPT_STATUS_FAILED, v1::CHANNEL_SMS, {v1::CHANNEL_SMS, v1::CHANNEL_VOICE}},
      {"63014", v1::RECEIPT_STATUS_FAILED, v1::CHANNEL_WHATSAPP, {v1::CHANNEL_WHATSAPP}},
      {"30005", v1::RECEIPT_STATUS_FAILED, v1::CHANNEL_SMS, {}},
      {"", v1::RECEIPT_STATUS_FAILED, v1::CHANNEL_SMS, {}},
      {"99999999999", v1::RECEIPT_STATUS_FAILED, v1::CHANNEL_SMS, {}},
      {"21610", v1::RECEIPT_STATUS_DELIVERED, v1::CHANNEL_SMS, {}},
  };
  for (const Case& c : kCases) {
    auto callback = Failed(std::string(c.code));
    callback.status = c.status;
    callback.channel = c.channel;
    const auto records = RecordsOfTwilioStatus(callback, kNotification, OriginOf("acme"));
    ASSERT_TRUE(records.ok()) << c.code << ": " << records.error().message();
    ASSERT_THAT(records.value(), SizeIs(c.opted_out.size() + 1)) << c.code;
    EXPECT_EQ(records.value().back().topic, schemas::Topic::kDeliveryReceipts);
    for (std::size_t i = 0; i < c.opted_out.size(); ++i) {
      const RecordToAppend& record = records.value()[i];
      EXPECT_EQ(record.topic, schemas::Topic::kOptOuts);
      EXPECT_EQ(record.key, "acme");
      const v1::Envelope envelope = EnvelopeIn(record);
      EXPECT_EQ(envelope.actor(), "provider:twilio");
      const auto& change = envelope.opt_out_change();
      EXPECT_EQ(change.address().plain(), "+15558675310");
      EXPECT_EQ(change.address_kind(), v1::ADDRESS_KIND_PHONE);
      EXPECT_EQ(change.channel(), c.opted_out[i]);
      EXPECT_EQ(change.status(), v1::OPT_OUT_STATUS_ACTIVE);
      EXPECT_EQ(change.by(), v1::OPT_OUT_BY_PROVIDER);
      EXPECT_THAT(change.reason(), HasSubstr(c.code));
    }
  }
}

TEST(TwilioRecordsTest, AMessageIsOneInboundRecordOfTheTenant) {
  const auto records =
      RecordsOfTwilioInbound(Inbound("hello", dispatch::TwilioOptOut::kNone), OriginOf("acme"));
  ASSERT_TRUE(records.ok()) << records.error().message();
  ASSERT_THAT(records.value(), SizeIs(1));
  const RecordToAppend& record = records.value()[0];
  EXPECT_EQ(record.topic, schemas::Topic::kInboundMessages);
  EXPECT_EQ(record.partition, schemas::PartitionOf("acme", kPartitions));
  const v1::Envelope envelope = EnvelopeIn(record);
  EXPECT_EQ(envelope.id(), "SM2");
  EXPECT_EQ(envelope.type(), "inbound.message");
  EXPECT_EQ(envelope.trust(), v1::TRUST_WEBHOOK);
  const auto& message = envelope.inbound_message();
  EXPECT_EQ(message.from().plain(), "+15558675310");
  EXPECT_EQ(message.from_kind(), v1::ADDRESS_KIND_PHONE);
  EXPECT_EQ(message.to_number(), "+15005550006");
  EXPECT_EQ(message.channel(), v1::CHANNEL_SMS);
  EXPECT_EQ(message.body().plain(), "hello");
  EXPECT_EQ(message.provider(), "twilio");
  EXPECT_EQ(message.account(), "main");
  EXPECT_EQ(message.provider_message_id(), "SM2");
  EXPECT_FALSE(message.provider_replied());
}

TEST(TwilioRecordsTest, OptOutTypeCountsWhereOurWordsDoNot) {
  using dispatch::TwilioOptOut;
  struct Case {
    std::string_view body;
    TwilioOptOut opt_out;
    std::size_t opt_outs;
    bool replied;
  };
  constexpr Case kCases[] = {
      {"STOP", TwilioOptOut::kStop, 0, true},  // The fold reads it itself.
      {"ARRET MAINTENANT", TwilioOptOut::kStop, 2, true},
      {"", TwilioOptOut::kStop, 2, true},
      {"START", TwilioOptOut::kStart, 0, true},
      {"encore s'il vous plait", TwilioOptOut::kStart, 0, true},
      {"aide-moi", TwilioOptOut::kHelp, 0, true},
      {"STOP", TwilioOptOut::kNone, 0, false},
      {"hello", TwilioOptOut::kNone, 0, false},
  };
  for (const Case& c : kCases) {
    const auto records =
        RecordsOfTwilioInbound(Inbound(std::string(c.body), c.opt_out), OriginOf("acme"));
    ASSERT_TRUE(records.ok()) << c.body << ": " << records.error().message();
    ASSERT_THAT(records.value(), SizeIs(1 + c.opt_outs)) << c.body;
    EXPECT_EQ(EnvelopeIn(records.value()[0]).inbound_message().provider_replied(), c.replied);
    for (std::size_t i = 1; i < records.value().size(); ++i) {
      const v1::Envelope envelope = EnvelopeIn(records.value()[i]);
      EXPECT_EQ(envelope.opt_out_change().by(), v1::OPT_OUT_BY_PROVIDER) << c.body;
      EXPECT_EQ(envelope.opt_out_change().status(), v1::OPT_OUT_STATUS_ACTIVE) << c.body;
      EXPECT_EQ(envelope.opt_out_change().address().plain(), "+15558675310") << c.body;
      EXPECT_EQ(envelope.opt_out_change().channel(), i == 1 ? v1::CHANNEL_SMS : v1::CHANNEL_VOICE);
    }
  }
}

TEST(TwilioRecordsTest, WhatIsNobodysGoesUnderUnrouted) {
  const auto inbound = RecordsOfTwilioInbound(
      Inbound("ARRET MAINTENANT", dispatch::TwilioOptOut::kStop), OriginOf(std::nullopt));
  const auto status = RecordsOfTwilioStatus(Failed("21610"), "", OriginOf(std::nullopt));
  for (const auto& records : {inbound, status}) {
    ASSERT_TRUE(records.ok());
    ASSERT_THAT(records.value(), SizeIs(1));  // Nobody is opted out from nobody.
    EXPECT_EQ(records.value()[0].key, "_unrouted");
    EXPECT_EQ(records.value()[0].partition, schemas::PartitionOf("_unrouted", kPartitions));
    EXPECT_EQ(EnvelopeIn(records.value()[0]).routing_key(), "_unrouted");
  }
  EXPECT_FALSE(schemas::CheckEnvelope(schemas::Topic::kInboundMessages, "_unrouted",
                                      EnvelopeIn(inbound.value()[0])));
}

TEST(TwilioRecordsTest, AFieldThatNoTaskWouldTakeIsRefused) {
  auto callback = Failed("");
  callback.message_sid = std::string(300, 'x');
  const auto records = RecordsOfTwilioStatus(callback, "", OriginOf("acme"));
  ASSERT_FALSE(records.ok());
  EXPECT_EQ(records.error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(records.error().message(), HasSubstr("id"));
}

}  // namespace
}  // namespace alertstream::api

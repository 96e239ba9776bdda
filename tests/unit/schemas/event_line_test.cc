#include "schemas/event_line.h"

#include <string>
#include <string_view>
#include <vector>

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "schemas/input_codec.h"
#include "schemas/limits.h"

namespace alertstream::schemas {
namespace {

TEST(EventLineTest, NativeFormBecomesAnEnvelope) {
  const auto line = DecodeEventLine(
      R"({"event_type":"payment.failed","data":{ "amount" : 5 },"id":"e1","site":"shop",)"
      R"("time":"2026-01-01T00:00:00Z","tenant":"acme","source":"/till"})",
      "other");
  ASSERT_TRUE(line.ok()) << line.error().message();
  v1::Envelope expected;
  expected.set_id("e1");
  expected.set_tenant("acme");
  expected.set_routing_key("acme");
  expected.set_type("payment.failed");
  expected.set_schema_version(1);
  expected.set_event_time_us(1'767'225'600'000'000);
  expected.set_source("/till");
  expected.set_trust(v1::TRUST_SYSTEM);
  expected.set_site("shop");
  expected.mutable_site_event()->mutable_data()->set_plain(R"({"amount":5})");
  EXPECT_EQ(line.value().key, "acme");
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(line.value().envelope, expected))
      << line.value().envelope.DebugString();
}

TEST(EventLineTest, WhatIsAbsentHasADefault) {
  const auto line = DecodeEventLine(R"({"event_type":"a","data":null})", "acme");
  ASSERT_TRUE(line.ok()) << line.error().message();
  const auto& envelope = line.value().envelope;
  EXPECT_EQ(line.value().key, "acme");
  EXPECT_EQ(envelope.tenant(), "acme");
  EXPECT_EQ(envelope.source(), "import");
  EXPECT_EQ(envelope.id(), "");
  EXPECT_EQ(envelope.event_time_us(), 0);
  EXPECT_EQ(envelope.site(), "");
  EXPECT_EQ(envelope.site_event().data().plain(), "null");
}

TEST(EventLineTest, CloudEventsAreTakenOver) {
  const auto line = DecodeEventLine(
      R"({"specversion":"1.0","id":"1","source":"/s","type":"t","tenant":"shop-1","data":[1]})",
      "acme");
  ASSERT_TRUE(line.ok()) << line.error().message();
  EXPECT_EQ(line.value().key, "shop-1");
  EXPECT_EQ(line.value().envelope.tenant(), "shop-1");
  EXPECT_EQ(line.value().envelope.trust(), v1::TRUST_KAFKA);
  EXPECT_EQ(line.value().envelope.source(), "/s");
  EXPECT_EQ(line.value().envelope.site_event().data().plain(), "[1]");
}

TEST(EventLineTest, EncodedLinesAreDecodedInTheFold) {
  for (const std::string_view text :
       {R"({"event_type":"a","data":{"x":"\u00e9"},"site":"s"})",
        R"({"specversion":"1.0","id":"1","source":"/s","type":"t"})"}) {
    const auto line = DecodeEventLine(text, "acme");
    ASSERT_TRUE(line.ok()) << line.error().message();
    const auto bytes = EncodeEnvelope(line.value().envelope);
    ASSERT_TRUE(bytes.ok());
    v1::Envelope envelope;
    const RecordView record{0, LogTime{}, line.value().key, bytes.value(), {}};
    const auto fault = DecodeInput(Topic::kSiteEvents, record, &envelope);
    EXPECT_FALSE(fault) << fault->detail;
    EXPECT_EQ(envelope.DebugString(), line.value().envelope.DebugString());
  }
}

TEST(EventLineTest, ErrorsNameTheMemberAndWhatWasExpected) {
  struct Case {
    std::string line;
    std::string_view tenant;
    std::string_view message;
  };
  const std::vector<Case> cases = {
      {"", "acme", ""},
      {"{", "acme", ""},
      {"7", "acme", "expected a JSON object"},
      {R"({"event_type":"a","data":1} x)", "acme", ""},
      {R"({"event_type":"a","data":1,"data":2})", "acme", ""},
      {R"({"data":1})", "acme", "event_type: missing; expected a string"},
      {R"({"event_type":"a"})", "acme", "data: missing; expected any JSON value"},
      {R"({"event_type":7,"data":1})", "acme", "event_type: expected a string"},
      {R"({"event_type":"","data":1})", "acme", "event_type: expected a string"},
      {R"({"event_type":"a b","data":1})", "acme", "event_type: only letters"},
      {R"({"event_type":"a","data":1,"eventid":"x"})", "acme",
       "\"eventid\": unknown member; expected event_type, data, id, time, site, tenant or source"},
      {R"({"event_type":"a","data":1,"id":null})", "acme", "id: expected a string"},
      {R"({"event_type":"a","data":1,"id":5})", "acme", "id: expected a string"},
      {R"({"event_type":"a","data":1,"id":"a\nb"})", "acme", "id: no control characters"},
      {R"({"event_type":"a","data":1,"time":"noon"})", "acme", "time: expected an RFC 3339"},
      {R"({"event_type":"a","data":1,"time":"1999-01-01T00:00:00Z"})", "acme",
       "time: expected a time between"},
      {R"({"event_type":"a","data":1,"site":"a/b"})", "acme", "site: only letters"},
      {R"({"event_type":"a","data":1})", "", "tenant: missing, and no default"},
      {R"({"event_type":"a","data":1,"tenant":"Acme"})", "acme", "tenant: expected 1 to 48"},
      {R"({"event_type":"a","data":1})", "_log", "tenant: expected 1 to 48"},
      {R"({"event_type":"a","data":1,"source":")" + std::string(513, 'x') + "\"}", "acme",
       "source: longer than 512 bytes"},
      {R"({"event_type":"a","data":")" + std::string(kEventDataBytesMax, 'x') + "\"}", "acme",
       "data: longer than 1048576 bytes"},
      {R"({"specversion":"1.0","id":"1","source":"s"})", "acme", "type: required"},
      {R"({"specversion":"1.0","id":"1","source":"s","type":"a b"})", "acme", "type: only"},
      {R"({"specversion":"1.0","id":"1","source":"s","type":"t","tenant":7})", "acme",
       "tenant: expected a string"},
      {std::string(static_cast<std::size_t>(kInputRecordBytesMax) + 1, ' '), "acme",
       "the line is longer than 1310720 bytes"},
  };
  for (const auto& [line, tenant, message] : cases) {
    const auto decoded = DecodeEventLine(line, tenant);
    ASSERT_FALSE(decoded.ok()) << line.substr(0, 100);
    EXPECT_EQ(decoded.error().code(), ErrorCode::kInvalid) << line.substr(0, 100);
    EXPECT_EQ(decoded.error().message().substr(0, message.size()), message);
    EXPECT_FALSE(decoded.error().message().empty());
  }
}

TEST(EventLineTest, LongNamesOfUnknownMembersAreCutBetweenCharacters) {
  std::string name = "x";
  for (int i = 0; i < 40; ++i) {
    name += "\xc3\xa4";
  }
  const auto decoded = DecodeEventLine("{\"" + name + "\":1}", "acme");
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.error().message().substr(0, 66), "\"" + name.substr(0, 63) + "\":");
}

}  // namespace
}  // namespace alertstream::schemas

#include "schemas/input_codec.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <google/protobuf/arena.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "schemas/limits.h"
#include "tests/unit/schemas/sample_inputs.h"

namespace alertstream::schemas {
namespace {

using google::protobuf::util::MessageDifferencer;

struct Decoded {
  v1::Envelope envelope;
  std::optional<DecodeFault> fault;
};

Decoded Decode(Topic topic, std::string_view key, std::string_view value,
               const std::vector<HeaderView>& headers = {}) {
  const RecordView record{7, FromMicros(1'767'225'600'000'000), key, value, headers};
  Decoded decoded;
  decoded.envelope.set_actor("left over");
  decoded.fault = DecodeInput(topic, record, &decoded.envelope);
  return decoded;
}

std::string Show(const std::optional<DecodeFault>& fault) {
  if (!fault) {
    return "";
  }
  constexpr std::size_t kStage = std::string_view("DEAD_LETTER_STAGE_").size();
  constexpr std::size_t kReason = std::string_view("DEAD_LETTER_REASON_").size();
  return v1::DeadLetterStage_Name(fault->stage).substr(kStage) + " " +
         v1::DeadLetterReason_Name(fault->reason).substr(kReason) + " " + fault->detail;
}

std::string Encoded(const v1::Envelope& envelope) {
  auto bytes = EncodeEnvelope(envelope);
  EXPECT_TRUE(bytes.ok());
  return bytes.ok() ? bytes.value() : "";
}

TEST(InputCodecTest, EveryPayloadIsReadBackAsItWasWritten) {
  for (const auto& sample : SampleInputs()) {
    const std::string bytes = Encoded(sample.envelope);
    const auto decoded = Decode(sample.topic, sample.key, bytes);
    EXPECT_EQ(Show(decoded.fault), "") << sample.name;
    EXPECT_TRUE(MessageDifferencer::Equals(decoded.envelope, sample.envelope)) << sample.name;
    EXPECT_EQ(Encoded(decoded.envelope), bytes) << sample.name;
  }
}

TEST(InputCodecTest, AnEnvelopeOnAnArenaIsClearedFirst) {
  const auto sample = SampleEvent();
  const std::string bytes = Encoded(sample.envelope);
  google::protobuf::Arena arena;
  auto* envelope = google::protobuf::Arena::CreateMessage<v1::Envelope>(&arena);
  envelope->mutable_opt_out_change()->set_reason("left over");
  envelope->set_actor("left over");
  const RecordView record{0, LogTime{}, sample.key, bytes, {}};
  EXPECT_EQ(Show(DecodeInput(Topic::kSiteEvents, record, envelope)), "");
  EXPECT_TRUE(MessageDifferencer::Equals(*envelope, sample.envelope));
}

TEST(InputCodecTest, BytesThatAreNoEnvelopeAreRefused) {
  const std::string good = Encoded(SampleEvent().envelope);
  const std::string_view malformed = "DECODE MALFORMED_PROTOBUF";
  struct Case {
    std::string_view name;
    std::string value;
    std::string_view fault;
  };
  const std::string id_field = "\x0a\x02";
  const std::vector<Case> cases = {
      {"empty", "", "DECODE MALFORMED_PROTOBUF the value is empty"},
      {"cut short", good.substr(0, good.size() - 1), malformed},
      {"NUL after it", good + '\0', malformed},
      {"zeros after it", good + std::string(8, '\0'), malformed},
      {"end of a group after it", good + "\x0c", malformed},
      {"half a field after it", good + "\x0a\x05x", malformed},
      {"invalid UTF-8 in id", good + id_field + "\xc3\x28", malformed},
      {"a surrogate in id", good + "\x0a\x03\xed\xa0\x80", malformed},
      {"another text in id", good + id_field + "ab", ""},
      {"NUL in id", good + id_field + std::string("a\0", 2), "SCHEMA FIELD_INVALID id"},
      {"an unknown field", good + "\xf8\x3f\x01", ""},
      {"text", "hello", malformed},
      {"field number 0", std::string("\x02\0", 2), malformed},
      {"endless varint", std::string(12, '\xff'), malformed},
      {"length beyond the end", std::string("\x0a\xff\xff\xff\xff\x07", 6), malformed},
  };
  for (const auto& [name, value, expected] : cases) {
    const auto decoded = Decode(Topic::kSiteEvents, "acme", value);
    EXPECT_EQ(Show(decoded.fault).substr(0, expected.size()), expected) << name;
    EXPECT_EQ(decoded.fault.has_value(), !expected.empty()) << name << Show(decoded.fault);
  }
}

TEST(InputCodecTest, NestingBeyondProtobufsLimitIsRefused) {
  std::string groups;
  for (int i = 0; i < 10'000; ++i) {
    groups += "\xfb\x3f";  // Start of an unknown group.
  }
  EXPECT_EQ(Decode(Topic::kOptOuts, "acme", groups).fault->reason,
            v1::DEAD_LETTER_REASON_MALFORMED_PROTOBUF);
}

TEST(InputCodecTest, ValuesOverTheTopicsLimitAreRefused) {
  const std::string value(static_cast<std::size_t>(kInputRecordBytesMax) + 1, '{');
  EXPECT_EQ(Show(Decode(Topic::kSiteEvents, "acme", value).fault),
            "DECODE TOO_LARGE the value is longer than 1310720 bytes");
}

TEST(InputCodecTest, KeyIsCheckedBeforeTheValue) {
  const auto decoded = Decode(Topic::kSiteEvents, "Not A Tenant", "garbage");
  EXPECT_EQ(Show(decoded.fault).substr(0, 19), "ROUTING INVALID_KEY");
  EXPECT_TRUE(decoded.envelope.actor().empty());
}

TEST(InputCodecTest, OnlySiteEventsCarriesCloudEvents) {
  constexpr std::string_view kEvent =
      R"({"specversion":"1.0","id":"1","source":"s","type":"t","data":{}})";
  EXPECT_EQ(Show(Decode(Topic::kSiteEvents, "acme", kEvent).fault), "");
  EXPECT_EQ(Show(Decode(Topic::kOptOuts, "acme", kEvent,
                        {{"content-type", "application/cloudevents+json"}})
                     .fault)
                .substr(0, 25),
            "DECODE MALFORMED_PROTOBUF");
}

TEST(InputCodecTest, ContentTypeAndHeadersChooseTheForm) {
  constexpr std::string_view kEvent =
      R"({"specversion":"1.0","id":"json","source":"s","type":"t","data":{}})";
  const std::string envelope = Encoded(SampleEvent().envelope);
  const std::vector<HeaderView> attributes = {
      {"ce_specversion", "1.0"}, {"ce_id", "header"}, {"ce_source", "s"}, {"ce_type", "t"}};
  const auto with = [&](std::vector<HeaderView> headers) {
    headers.insert(headers.end(), attributes.begin(), attributes.end());
    return headers;
  };
  struct Case {
    std::string_view name;
    std::string value;
    std::vector<HeaderView> headers;
    std::string_view id;     // Of the event, which tells the form; or
    std::string_view fault;  // the refusal.
  };
  const std::vector<Case> cases = {
      {"brace", std::string(kEvent), {}, "json", ""},
      {"space and brace", " \t\r\n" + std::string(kEvent), {}, "json", ""},
      {"line feed and brace", "\n" + std::string(kEvent), {}, "json", ""},
      {"envelope", envelope, {}, "pay-000042", ""},
      {"empty content type", std::string(kEvent), {{"content-type", ""}}, "json", ""},
      {"other headers", std::string(kEvent), {{"x", "application/pdf"}}, "json", ""},
      {"structured",
       std::string(kEvent),
       {{"content-type", "application/cloudevents+json; charset=UTF-8"}},
       "json",
       ""},
      {"structured, case",
       std::string(kEvent),
       {{"Content-Type", "APPLICATION/CloudEvents+JSON"}},
       "json",
       ""},
      {"structured, bare",
       std::string(kEvent),
       {{"content-type", "application/cloudevents"}},
       "json",
       ""},
      {"structured before binary", std::string(kEvent),
       with({{"content-type", "application/cloudevents+json"}}), "json", ""},
      {"binary", std::string(kEvent), attributes, "header", ""},
      {"binary with a content type", "{}", with({{"content-type", "application/json"}}), "header",
       ""},
      {"envelope by content type",
       envelope,
       {{"content-type", "application/x-protobuf"}},
       "pay-000042",
       ""},
      {"protobuf format",
       envelope,
       {{"content-type", "application/cloudevents+protobuf"}},
       "",
       "DECODE MALFORMED_CLOUDEVENT content-type: of the CloudEvents formats only"},
      {"batch",
       "[]",
       {{"content-type", "application/cloudevents-batch+json"}},
       "",
       "DECODE MALFORMED_CLOUDEVENT content-type: of the CloudEvents formats only"},
      {"JSON without attributes",
       std::string(kEvent),
       {{"content-type", "application/json"}},
       "",
       "DECODE MALFORMED_CLOUDEVENT content-type: JSON without a header ce_specversion"},
      {"two content types", "{}", with({{"content-type", "a/json"}, {"content-type", "a/json"}}),
       "", "DECODE MALFORMED_CLOUDEVENT content-type: its header occurs more than once"},
      {"two versions", "{}", with({{"ce_specversion", "1.0"}}), "",
       "DECODE MALFORMED_CLOUDEVENT specversion: its header occurs more than once"},
      {"array", "[]", {}, "", "DECODE MALFORMED_PROTOBUF"},
  };
  for (const auto& [name, value, headers, id, expected] : cases) {
    const auto decoded = Decode(Topic::kSiteEvents, "acme", value, headers);
    EXPECT_EQ(Show(decoded.fault).substr(0, expected.size()), expected) << name;
    EXPECT_EQ(decoded.fault.has_value(), !expected.empty()) << name << Show(decoded.fault);
    if (expected.empty()) {
      EXPECT_EQ(decoded.envelope.id(), id) << name;
    }
  }
}

// A line feed is the tag of `id`, and a brace a length of 123.
TEST(InputCodecTest, EnvelopesThatLookLikeJsonAreEnvelopes) {
  for (const std::size_t size : {std::size_t{10}, std::size_t{32}, std::size_t{123}}) {
    auto envelope = SampleEvent().envelope;
    envelope.set_id(std::string(size, '{'));
    const std::string bytes = Encoded(envelope);
    ASSERT_EQ(bytes.front(), '\n');
    const auto decoded = Decode(Topic::kSiteEvents, "acme", bytes);
    EXPECT_EQ(Show(decoded.fault), "") << size;
    EXPECT_EQ(decoded.envelope.id(), envelope.id());
    EXPECT_EQ(decoded.envelope.trust(), v1::TRUST_SECRET);
  }
}

TEST(InputCodecTest, FieldsOfCloudEventsHaveTheSameLimits) {
  const std::string event =
      R"({"specversion":"1.0","id":")" + std::string(257, 'x') + R"(","source":"s","type":"t"})";
  EXPECT_EQ(Show(Decode(Topic::kSiteEvents, "acme", event).fault),
            "SCHEMA FIELD_TOO_LONG id: longer than 256 bytes");
  constexpr std::string_view kType = R"({"specversion":"1.0","id":"1","source":"s","type":"a b"})";
  EXPECT_EQ(Show(Decode(Topic::kSiteEvents, "acme", kType).fault).substr(0, 25),
            "SCHEMA FIELD_INVALID type");
}

TEST(InputCodecTest, CloudEventsNeedATenantAsKey) {
  constexpr std::string_view kEvent = R"({"specversion":"1.0","id":"1","source":"s","type":"t"})";
  EXPECT_EQ(Show(Decode(Topic::kSiteEvents, "", kEvent).fault).substr(0, 19),
            "ROUTING INVALID_KEY");
  EXPECT_EQ(Show(Decode(Topic::kSiteEvents, "_log", kEvent).fault).substr(0, 20),
            "SCHEMA WRONG_PAYLOAD");
}

TEST(InputCodecTest, DataThatExpandsBeyondTheLimitIsRefused) {
  // "1e9" is 1e+09 when it is written anew.
  std::string event = R"({"specversion":"1.0","id":"1","source":"s","type":"t","data":[1e9)";
  for (int i = 0; i < 199'000; ++i) {
    event += ",1e9";
  }
  event += "]}";
  ASSERT_LT(event.size(), kEventDataBytesMax);
  EXPECT_EQ(Show(Decode(Topic::kSiteEvents, "acme", event).fault).substr(0, 38),
            "SCHEMA FIELD_TOO_LONG site_event.data:");
}

TEST(InputCodecTest, EncodingIsRefusedOverTheLimitOfARecord) {
  auto envelope = SampleEvent().envelope;
  envelope.mutable_site_event()->mutable_data()->set_plain(std::string(kInputRecordBytesMax, '1'));
  const auto bytes = EncodeEnvelope(envelope);
  ASSERT_FALSE(bytes.ok());
  EXPECT_EQ(bytes.error().code(), ErrorCode::kInvalid);
  EXPECT_NE(bytes.error().message().find("the limit is 1310720"), std::string::npos);
}

TEST(InputCodecTest, LargestAcceptedEventFitsIntoARecord) {
  auto envelope = SampleEvent().envelope;
  envelope.set_id(std::string(kEventIdBytesMax, 'x'));
  envelope.set_source(std::string(kSourceBytesMax, 'x'));
  envelope.mutable_site_event()->mutable_data()->set_plain(std::string(kEventDataBytesMax, '1'));
  EXPECT_EQ(Show(Decode(Topic::kSiteEvents, "acme", Encoded(envelope)).fault), "");
}

TEST(InputCodecTest, MalformedJsonCarriesTheProfilesMessage) {
  const auto fault = MalformedJson(v1::DEAD_LETTER_STAGE_SCHEMA,
                                   Error(ErrorCode::kInvalid, "byte 7: duplicate member"));
  EXPECT_EQ(Show(fault), "SCHEMA MALFORMED_JSON byte 7: duplicate member");
}

}  // namespace
}  // namespace alertstream::schemas

#include "schemas/cloudevents.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

namespace alertstream::schemas {
namespace {

constexpr std::string_view kTraceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

struct Decoded {
  v1::Envelope envelope;
  std::optional<DecodeFault> fault;
};

Decoded Structured(std::string_view value) {
  Decoded decoded;
  decoded.fault = DecodeStructuredCloudEvent(value, "acme", &decoded.envelope);
  return decoded;
}

// The required attributes, and `more` members.
Decoded StructuredWith(std::string_view more) {
  return Structured(std::string(R"({"specversion":"1.0","id":"1","source":"/s","type":"t")")
                        .append(more.empty() ? "" : ",")
                        .append(more)
                        .append("}"));
}

Decoded Binary(const std::vector<HeaderView>& headers, std::string_view value) {
  const RecordView record{0, LogTime{}, "acme", value, headers};
  Decoded decoded;
  decoded.fault = DecodeBinaryCloudEvent(record, &decoded.envelope);
  return decoded;
}

Decoded BinaryWith(const std::vector<HeaderView>& more, std::string_view value) {
  std::vector<HeaderView> headers = {
      {"ce_specversion", "1.0"}, {"ce_id", "1"}, {"ce_source", "/s"}, {"ce_type", "t"}};
  headers.insert(headers.end(), more.begin(), more.end());
  return Binary(headers, value);
}

std::string Show(const std::optional<DecodeFault>& fault) {
  if (!fault) {
    return "";
  }
  constexpr std::size_t kReason = std::string_view("DEAD_LETTER_REASON_").size();
  return v1::DeadLetterReason_Name(fault->reason).substr(kReason) + " " + fault->detail;
}

TEST(CloudEventsTest, StructuredAndBinaryModeGiveTheSameEvent) {
  const auto structured = Structured(R"({
      "specversion" : "1.0", "id" : "ev-1", "source" : "/shop/checkout",
      "type" : "payment.failed", "time" : "2026-01-01T03:00:00.25+03:00",
      "datacontenttype" : "application/json", "subject" : "A. N. Other", "site" : "shop",
      "idempotencykey" : "k1",
      "traceparent" : "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      "tracestate" : "v=1", "sequence" : 7, "data" : {"a":[1,"x",null]} })");
  const auto binary = Binary({{"ce_specversion", "1.0"},
                              {"ce_id", "ev-1"},
                              {"ce_source", "/shop/checkout"},
                              {"ce_type", "payment.failed"},
                              {"ce_time", "2026-01-01T03:00:00.25+03:00"},
                              {"content-type", "application/json"},
                              {"ce_subject", "A. N. Other"},
                              {"ce_site", "shop"},
                              {"ce_idempotencykey", "k1"},
                              {"ce_traceparent", kTraceparent},
                              {"ce_tracestate", "v=1"},
                              {"ce_sequence", "7"}},
                             R"({"a":[1,"x",null]})");
  EXPECT_EQ(Show(structured.fault), "");
  EXPECT_EQ(Show(binary.fault), "");
  v1::Envelope expected;
  expected.set_id("ev-1");
  expected.set_tenant("acme");
  expected.set_routing_key("acme");
  expected.set_type("payment.failed");
  expected.set_schema_version(1);
  expected.set_event_time_us(1'767'225'600'250'000);
  expected.mutable_trace()->set_traceparent(std::string(kTraceparent));
  expected.mutable_trace()->set_tracestate("v=1");
  expected.set_source("/shop/checkout");
  expected.set_trust(v1::TRUST_KAFKA);
  expected.mutable_idempotency()->set_key("k1");
  expected.set_site("shop");
  expected.mutable_site_event()->mutable_data()->set_plain(R"({"a":[1,"x",null]})");
  using google::protobuf::util::MessageDifferencer;
  EXPECT_TRUE(MessageDifferencer::Equals(structured.envelope, expected))
      << structured.envelope.DebugString();
  EXPECT_TRUE(MessageDifferencer::Equals(binary.envelope, expected))
      << binary.envelope.DebugString();
}

TEST(CloudEventsTest, StructuredDataIsAnyJsonValueWrittenCompactly) {
  struct Case {
    std::string_view members;
    std::string_view data;
  };
  const std::vector<Case> cases = {
      {"", ""},
      {R"("data":{ "a" : 1 , "b" : [ true ] })", R"({"a":1,"b":[true]})"},
      {R"("data":null)", "null"},
      {R"("data":"text")", R"("text")"},
      {R"("data":-1.50)", "-1.5"},
      {R"("data":[])", "[]"},
      {R"("data_base64":"eyJhIjoxfQ==")", R"({"a":1})"},
      {R"("data_base64":"WzEyXQ==")", "[12]"},
      {R"("data_base64":"WzFd")", "[1]"},
      {R"("data_base64":"WzEsMl0=")", "[1,2]"},
      {R"("data_base64":"")", ""},
      {R"("data":1,"data_base64":null)", "1"},
      {R"("datacontenttype":"text/json; charset=utf-8","data":1)", "1"},
      {R"("datacontenttype":"application/vnd.x+json","data":1)", "1"},
      {R"("datacontenttype":null,"time":null,"site":null,"data":1)", "1"},
  };
  for (const auto& [members, data] : cases) {
    const auto decoded = StructuredWith(members);
    EXPECT_EQ(Show(decoded.fault), "") << members;
    EXPECT_TRUE(decoded.envelope.has_site_event()) << members;
    EXPECT_EQ(decoded.envelope.site_event().data().plain(), data) << members;
  }
}

TEST(CloudEventsTest, StructuredEventsThatAreNoneAreRefused) {
  struct Case {
    std::string_view value;
    std::string_view fault;
  };
  const std::vector<Case> cases = {
      {"", "MALFORMED_JSON"},
      {"{", "MALFORMED_JSON"},
      {R"({"id":"1","id":"2"})", "MALFORMED_JSON"},
      {"{\"id\":\"\xff\"}", "MALFORMED_JSON"},
      {R"({"id":"\u0000"})", "MALFORMED_JSON"},
      {"[]", "MALFORMED_CLOUDEVENT event: expected a JSON object"},
      {"{}", "MALFORMED_CLOUDEVENT specversion: expected \"1.0\""},
      {R"({"specversion":"0.3","id":"1","source":"s","type":"t"})",
       "MALFORMED_CLOUDEVENT specversion"},
      {R"({"specversion":1.0,"id":"1","source":"s","type":"t"})",
       "MALFORMED_CLOUDEVENT specversion: expected a string"},
      {R"({"specversion":"1.0","source":"s","type":"t"})", "MALFORMED_CLOUDEVENT id: required"},
      {R"({"specversion":"1.0","id":"","source":"s","type":"t"})",
       "MALFORMED_CLOUDEVENT id: required"},
      {R"({"specversion":"1.0","id":null,"source":"s","type":"t"})",
       "MALFORMED_CLOUDEVENT id: required"},
      {R"({"specversion":"1.0","id":7,"source":"s","type":"t"})",
       "MALFORMED_CLOUDEVENT id: expected a string"},
      {R"({"specversion":"1.0","id":"1","type":"t"})", "MALFORMED_CLOUDEVENT source: required"},
      {R"({"specversion":"1.0","id":"1","source":"s","type":""})",
       "MALFORMED_CLOUDEVENT type: required"},
  };
  for (const auto& [value, expected] : cases) {
    const auto decoded = Structured(value);
    EXPECT_EQ(Show(decoded.fault).substr(0, expected.size()), expected) << value;
    ASSERT_TRUE(decoded.fault) << value;
    EXPECT_EQ(decoded.fault->stage, v1::DEAD_LETTER_STAGE_DECODE) << value;
  }
}

TEST(CloudEventsTest, AttributesAreChecked) {
  struct Case {
    std::string_view members;
    std::string_view fault;
  };
  const std::vector<Case> cases = {
      {R"("time":"yesterday")", "MALFORMED_CLOUDEVENT time: expected an RFC 3339 time"},
      {R"("time":1767225600)", "MALFORMED_CLOUDEVENT time: expected a string"},
      {R"("time":"1970-01-01T00:00:00Z")", "FIELD_INVALID time: expected a time between"},
      {R"("time":"1999-12-31T23:59:59Z")", "FIELD_INVALID time"},
      {R"("time":"2200-01-01T00:00:00Z")", "FIELD_INVALID time"},
      {R"("site":7)", "MALFORMED_CLOUDEVENT site: expected a string"},
      {R"("idempotencykey":true)", "MALFORMED_CLOUDEVENT idempotencykey: expected a string"},
      {R"("traceparent":{})", "MALFORMED_CLOUDEVENT traceparent: expected a string"},
      {R"("datacontenttype":"application/xml","data":"<a/>")",
       "MALFORMED_CLOUDEVENT datacontenttype: expected JSON"},
      {R"("datacontenttype":"application/jsonp","data":1)", "MALFORMED_CLOUDEVENT datacontenttype"},
      {R"("datacontenttype":"","data":1)", "MALFORMED_CLOUDEVENT datacontenttype"},
      {R"("datacontenttype":"application/octet-stream","data_base64":"AA==")",
       "MALFORMED_CLOUDEVENT datacontenttype"},
      {R"("data":1,"data_base64":"MQ==")", "MALFORMED_CLOUDEVENT data_base64: given beside data"},
      {R"("data_base64":7)", "MALFORMED_CLOUDEVENT data_base64: expected a string"},
      {R"("data_base64":"MQ")", "MALFORMED_CLOUDEVENT data_base64: expected base64"},
      {R"("data_base64":"MR==")", "MALFORMED_CLOUDEVENT data_base64"},  // Bits left over.
      {R"("data_base64":"M===")", "MALFORMED_CLOUDEVENT data_base64"},
      {R"("data_base64":"====")", "MALFORMED_CLOUDEVENT data_base64"},
      {R"("data_base64":"MQ==MQ==")", "MALFORMED_CLOUDEVENT data_base64"},
      {R"("data_base64":"M Q=")", "MALFORMED_CLOUDEVENT data_base64"},
      {R"("data_base64":"_-==")", "MALFORMED_CLOUDEVENT data_base64"},
      {R"("unknown":{"a":[1]},"comexample":7)", ""},
      {R"("subject":7)", ""},
  };
  for (const auto& [members, expected] : cases) {
    const auto decoded = StructuredWith(members);
    EXPECT_EQ(Show(decoded.fault).substr(0, expected.size()), expected) << members;
    EXPECT_EQ(decoded.fault.has_value(), !expected.empty()) << members << Show(decoded.fault);
  }
}

TEST(CloudEventsTest, AnInvalidTraceIsDroppedAndTheEventKept) {
  const auto invalid = StructuredWith(R"("traceparent":"00-xyz","tracestate":"v=1")");
  EXPECT_EQ(Show(invalid.fault), "");
  EXPECT_FALSE(invalid.envelope.has_trace());
  const auto state_alone = StructuredWith(R"("tracestate":"v=1")");
  EXPECT_FALSE(state_alone.envelope.has_trace());
  const std::string long_state(513, 'x');
  const auto too_long =
      BinaryWith({{"ce_traceparent", kTraceparent}, {"ce_tracestate", long_state}}, "1");
  EXPECT_EQ(Show(too_long.fault), "");
  EXPECT_EQ(too_long.envelope.trace().traceparent(), kTraceparent);
  EXPECT_EQ(too_long.envelope.trace().tracestate(), "");
}

TEST(CloudEventsTest, BinaryDataIsKeptAsItIs) {
  EXPECT_EQ(BinaryWith({}, " {\"a\" : 1 } ").envelope.site_event().data().plain(),
            " {\"a\" : 1 } ");
  const auto empty = BinaryWith({}, "");
  EXPECT_EQ(Show(empty.fault), "");
  EXPECT_TRUE(empty.envelope.has_site_event());
  EXPECT_FALSE(empty.envelope.site_event().has_data());
}

TEST(CloudEventsTest, BinaryHeadersAreChecked) {
  struct Case {
    std::vector<HeaderView> headers;
    std::string_view fault;
  };
  const std::vector<Case> cases = {
      {{{"ce_id", "2"}}, "MALFORMED_CLOUDEVENT id: its header occurs more than once"},
      {{{"CE_ID", "2"}}, "MALFORMED_CLOUDEVENT id: its header occurs more than once"},
      {{{"ce_site", "\xc0\xa0"}}, "MALFORMED_CLOUDEVENT site: expected UTF-8"},
      {{{"ce_time", "2026-01-01"}}, "MALFORMED_CLOUDEVENT time"},
      {{{"ce_time", ""}}, ""},
      {{{"ce_datacontenttype", "application/json"}},
       "MALFORMED_CLOUDEVENT datacontenttype: expected in the header content-type"},
      {{{"content-type", "application/avro"}},
       "MALFORMED_CLOUDEVENT datacontenttype: expected JSON"},
      {{{"content-type", ""}}, ""},
      {{{"ce_subject", "\xff"}, {"other", "\xff"}, {"ce_", "x"}}, ""},
  };
  for (const auto& [headers, expected] : cases) {
    const auto decoded = BinaryWith(headers, "1");
    EXPECT_EQ(Show(decoded.fault).substr(0, expected.size()), expected) << headers.front().name;
    EXPECT_EQ(decoded.fault.has_value(), !expected.empty()) << headers.front().name;
  }
  EXPECT_EQ(Show(Binary({{"ce_specversion", "1.0"}, {"ce_id", "1"}, {"ce_source", "s"}}, "1").fault)
                .substr(0, 36),
            "MALFORMED_CLOUDEVENT type: required,");
  EXPECT_EQ(Show(Binary({{"ce_specversion", "1.1"}}, "1").fault).substr(0, 32),
            "MALFORMED_CLOUDEVENT specversion");
}

TEST(CloudEventsTest, JsonMediaTypesAreRecognised) {
  for (const std::string_view type :
       {"application/json", "Application/JSON ; charset=utf-8", "text/json", "a/b+json",
        "application/problem+JSON;x=\"+xml\""}) {
    EXPECT_TRUE(IsJsonMediaType(type)) << type;
  }
  for (const std::string_view type : {"", "json", "/json", "application/+json", "application/xml",
                                      "application/json-seq", "application/xml; a=+json"}) {
    EXPECT_FALSE(IsJsonMediaType(type)) << type;
  }
}

}  // namespace
}  // namespace alertstream::schemas

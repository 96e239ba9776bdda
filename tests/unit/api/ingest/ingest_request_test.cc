// Bodies and headers of ingest requests: what becomes a record, and every way to be refused.
#include "api/ingest/ingest_request.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schemas/limits.h"
#include "tests/support/manual_clock.h"

namespace alertstream::api {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Fields = std::vector<std::pair<std::string, std::string>>;

constexpr std::string_view kTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const std::string kJson = "application/json";
const std::string kCloudEvent = "application/cloudevents+json; charset=utf-8";
const std::string kCloudEvents = "application/cloudevents-batch+json";

class IngestRequestTest : public ::testing::Test {
 protected:
  std::variant<IngestBody, http::ProblemDetails> Parse(const std::string& type, std::string body,
                                                       const Fields& fields = {}) {
    http::Request request;
    request.method = "POST";
    request.path = "/api/v1/ingest";
    request.body = std::move(body);
    if (!type.empty()) {
      request.headers.Add("Content-Type", type);
    }
    for (const auto& [name, value] : fields) {
      request.headers.Add(name, value);
    }
    return ParseIngest(request, {.key = key_, .now = clock_.Now(), .ids = ids_});
  }
  // The only event of a request that is fine.
  v1::Envelope Accepted(const std::string& type, const std::string& body,
                        const Fields& fields = {}) {
    auto parsed = Parse(type, body, fields);
    v1::Envelope envelope;
    const auto* got = std::get_if<IngestBody>(&parsed);
    if (got == nullptr || got->is_batch || got->events.size() != 1 || got->events[0].problem) {
      ADD_FAILURE() << "refused: "
                    << (got == nullptr ? std::get<http::ProblemDetails>(parsed).detail
                                       : got->events.at(0).problem->detail);
      return envelope;
    }
    hash_ = got->events[0].hash;
    EXPECT_TRUE(envelope.ParseFromString(got->events[0].value));
    EXPECT_EQ(envelope.body_sha256(), AsView(got->events[0].body_sha256));
    return envelope;
  }

  ManualClock clock_;
  http::RequestIds ids_{clock_};
  ApiKey key_ = {.id = "k1", .kind = KeyKind::kSecret, .tenant = "acme"};
  std::optional<IdempotencyHash> hash_;
};

TEST_F(IngestRequestTest, ANativeEventIsARecord) {
  const auto event = Accepted(kJson,
                              R"({"event_type":"order.paid","data":{"a": 1,"b":[2.0]},"id":"o-7",)"
                              R"("time":"2026-11-20T11:59:00Z","site":"shop.example"})",
                              {{"traceparent", std::string(kTrace)}, {"tracestate", "x=1"}});
  EXPECT_EQ(event.type(), "order.paid");
  EXPECT_EQ(event.site_event().data().plain(), R"({"a":1,"b":[2.0]})");
  EXPECT_EQ(event.id(), "o-7");
  EXPECT_EQ(event.event_time_us(), ToMicros(clock_.Now()) - 60'000'000);
  EXPECT_EQ(event.ingest_time_us(), ToMicros(clock_.Now()));
  EXPECT_EQ(event.site(), "shop.example");
  EXPECT_EQ(event.tenant(), "acme");
  EXPECT_EQ(event.routing_key(), "acme");
  EXPECT_EQ(event.source(), "api");
  EXPECT_EQ(event.trust(), v1::TRUST_SECRET);
  EXPECT_EQ(event.trace().traceparent(), kTrace);
  EXPECT_EQ(event.trace().tracestate(), "x=1");
  EXPECT_EQ(event.body_sha256(),
            AsView(Sha256::Of(std::string("order.paid\0{\"a\":1,\"b\":[2.0]}", 28))));
  EXPECT_TRUE(hash_.has_value());
}

TEST_F(IngestRequestTest, TrustFollowsTheKey) {
  key_.kind = KeyKind::kPublishable;
  EXPECT_EQ(Accepted("", R"({"event_type":"a","data":null})").trust(), v1::TRUST_PUBLISHABLE);
}

TEST_F(IngestRequestTest, AnEventWithoutAnIdGetsOneAndCannotBeRepeated) {
  const auto first = Accepted(kJson, R"({"event_type":"a","data":1})");
  EXPECT_FALSE(hash_.has_value());
  EXPECT_THAT(first.id(), SizeIs(36));
  EXPECT_NE(Accepted(kJson, R"({"event_type":"a","data":1})").id(), first.id());
}

TEST_F(IngestRequestTest, TheHeadersKeyWinsOverTheId) {
  const auto event =
      Accepted(kJson, R"({"event_type":"a","data":1,"id":"i"})", {{"Idempotency-Key", "\"k\""}});
  EXPECT_EQ(event.idempotency().key(), "k");
  const auto by_header = hash_;
  Accepted(kJson, R"({"event_type":"a","data":2,"id":"k"})");
  EXPECT_EQ(by_header, hash_);
  Accepted(kJson, R"({"event_type":"a","data":2,"id":"i"})");
  EXPECT_NE(by_header, hash_);
}

TEST_F(IngestRequestTest, TheSiteOfTheKeyIsTheEvents) {
  key_.site = "shop";
  EXPECT_EQ(Accepted(kJson, R"({"event_type":"a","data":1})").site(), "shop");
  EXPECT_EQ(Accepted(kJson, R"({"event_type":"a","data":1,"site":"shop"})").site(), "shop");
}

TEST_F(IngestRequestTest, AStructuredCloudEventIsARecord) {
  const auto event =
      Accepted(kCloudEvent,
               R"({"specversion":"1.0","id":"7","source":"/shop","type":"order.paid",)"
               R"("time":"2026-11-20T12:00:00+01:00","site":"s","subject":"ann",)"
               R"("idempotencykey":"k","data":{"n":1}})",
               {{"traceparent", std::string(kTrace)}});
  EXPECT_EQ(event.type(), "order.paid");
  EXPECT_EQ(event.source(), "/shop");
  EXPECT_EQ(event.id(), "7");
  EXPECT_EQ(event.site(), "s");
  EXPECT_EQ(event.trust(), v1::TRUST_SECRET);
  EXPECT_EQ(event.idempotency().key(), "k");
  EXPECT_EQ(event.trace().traceparent(), kTrace);
  EXPECT_EQ(event.site_event().data().plain(), R"({"n":1})");
}

TEST_F(IngestRequestTest, ABinaryCloudEventIsARecord) {
  const auto event = Accepted(kJson, R"({ "n": 1 })",
                              {{"CE-SpecVersion", "1.0"},
                               {"ce-id", "Euro%20%E2%82%AC"},
                               {"ce-source", "/shop"},
                               {"ce-type", "order.paid"},
                               {"ce-traceparent", std::string(kTrace)},
                               {"ce-unknown", "x"}});
  EXPECT_EQ(event.id(), "Euro \xE2\x82\xAC");
  EXPECT_EQ(event.type(), "order.paid");
  EXPECT_EQ(event.trust(), v1::TRUST_SECRET);
  EXPECT_EQ(event.trace().traceparent(), kTrace);
  EXPECT_EQ(event.site_event().data().plain(), R"({ "n": 1 })");
}

TEST_F(IngestRequestTest, ACloudEventMayHaveNoData) {
  const auto event = Accepted(
      "", "", {{"ce-specversion", "1.0"}, {"ce-id", "1"}, {"ce-source", "s"}, {"ce-type", "t"}});
  EXPECT_EQ(event.site_event().data().plain(), "");
}

TEST_F(IngestRequestTest, TheSameEventInAnyFormIsTheSameBody) {
  const auto digest = [](const v1::Envelope& event) { return event.body_sha256(); };
  const std::string native = digest(Accepted(kJson, R"({"event_type":"t","data":{"a": 1}})"));
  EXPECT_EQ(native, digest(Accepted(kCloudEvent, R"({"specversion":"1.0","id":"1","source":"s",)"
                                                 R"("type":"t","data":{"a":1}})")));
  EXPECT_NE(native, digest(Accepted(kJson, R"({"event_type":"t","data":{"a": 2}})")));
  EXPECT_NE(native, digest(Accepted(kJson, R"({"event_type":"u","data":{"a": 1}})")));
}

struct Refused {
  std::string type;
  std::string body;
  Fields fields;
  int status;
  std::string code;
  std::string pointer;  // "none": the problem has no errors.
  std::string detail;
};

TEST_F(IngestRequestTest, WhatIsWrongIsNamedWithItsPlace) {
  key_.site = "shop";
  const Fields binary = {{"ce-specversion", "1.0"}, {"ce-id", "1"}, {"ce-source", "s"}};
  const auto with = [&](const std::string& name, const std::string& value) {
    Fields fields = binary;
    fields.emplace_back(name, value);
    return fields;
  };
  const std::string deep = std::string(40, '[') + std::string(40, ']');
  const std::string v = "validation_failed";
  const std::string m = "malformed_request";
  const std::vector<Refused> cases = {
      // Of the whole request.
      {"text/plain", "{}", {}, 415, "unsupported_media_type", "none", "application/json"},
      {"application/cloudevents+protobuf",
       "",
       {},
       415,
       "unsupported_media_type",
       "none",
       "application/cloudevents+json"},
      {"application/cloudevents-batch", "[]", {}, 415, "unsupported_media_type", "none", "batch"},
      {kJson, "{}", {{"Content-Type", kJson}}, 400, m, "none", "Content-Type: given more"},
      {kJson, std::string((1 << 20) + 1, ' '), {}, 413, "too_large", "none", "1048576"},
      {kJson, "", {}, 400, m, "none", "not JSON"},
      {kJson, "{\"event_type\":\"a\"", {}, 400, m, "none", "not JSON"},
      {kJson, R"({"event_type":"a","data":1,"data":2})", {}, 400, m, "none", "not JSON"},
      {kJson, "{\"event_type\":\"a\",\"data\":\"\xC0\xA0\"}", {}, 400, m, "none", "not JSON"},
      {kJson, R"({"event_type":"a","data":)" + deep + "}", {}, 400, m, "none", "not JSON"},
      {kJson,
       R"({"event_type":"a","data":1})",
       {{"Idempotency-Key", "a b"}},
       400,
       m,
       "none",
       "Idempotency-Key"},
      {kJson, R"({"events":[]})", {{"Idempotency-Key", "a"}}, 400, m, "none", "not for batches"},
      {kCloudEvents, "[]", {{"Idempotency-Key", "a"}}, 400, m, "none", "not for batches"},
      {kJson, R"({"events":[],"x":1})", {}, 422, v, "#/x", "unknown member"},
      {kJson, R"({"events":{}})", {}, 422, v, "#/events", "expected an array"},
      {kCloudEvents, "{}", {}, 422, v, "#", "expected an array"},
      // Native.
      {kJson, "[]", {}, 422, v, "#", "expected a JSON object"},
      {kJson, R"({"data":1})", {}, 422, v, "#/event_type", "missing"},
      {kJson, R"({"event_type":7,"data":1})", {}, 422, v, "#/event_type", "expected a string"},
      {kJson, R"({"event_type":"","data":1})", {}, 422, v, "#/event_type", "not empty"},
      {kJson, R"({"event_type":"a b","data":1})", {}, 422, v, "#/event_type", "only letters"},
      {kJson,
       R"({"event_type":")" + std::string(129, 'a') + R"(","data":1})",
       {},
       422,
       v,
       "#/event_type",
       "longer than 128"},
      {kJson, R"({"event_type":"a"})", {}, 422, v, "#/data", "missing"},
      {kJson, R"({"event_type":"a","data":1,"a/b":2})", {}, 422, v, "#/a~1b", "unknown member"},
      {kJson, R"({"event_type":"a","data":1,"events":[]})", {}, 422, v, "#/events", "unknown"},
      {kJson, R"({"event_type":"a","data":1,"tenant":"other"})", {}, 422, v, "#/tenant", "unknown"},
      {kJson, R"({"event_type":"a","data":1,"id":5})", {}, 422, v, "#/id", "expected a string"},
      {kJson, R"({"event_type":"a","data":1,"id":"x\ny"})", {}, 422, v, "#/id", "control"},
      {kJson, R"({"event_type":"a","data":1,"time":"now"})", {}, 422, v, "#/time", "RFC 3339"},
      {kJson,
       R"({"event_type":"a","data":1,"time":"1970-01-01T00:00:00Z"})",
       {},
       422,
       v,
       "#/time",
       "between the years"},
      {kJson,
       R"({"event_type":"a","data":1,"site":"other"})",
       {},
       403,
       "forbidden",
       "#/site",
       "another site"},
      // Structured.
      {kCloudEvent, "[]", {}, 422, v, "#", "expected a JSON object"},
      {kCloudEvent, R"({"id":"1","source":"s","type":"t"})", {}, 422, v, "#/specversion", "1.0"},
      {kCloudEvent,
       R"({"specversion":"1.0","source":"s","type":"t"})",
       {},
       422,
       v,
       "#/id",
       "required"},
      {kCloudEvent,
       R"({"specversion":"1.0","id":"1","source":"s","type":"a b"})",
       {},
       422,
       v,
       "#/type",
       "only letters"},
      {kCloudEvent,
       R"({"specversion":"1.0","id":"1","source":"s","type":"t","time":"x"})",
       {},
       422,
       v,
       "#/time",
       "RFC 3339"},
      {kCloudEvent,
       R"({"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"e30="})",
       {},
       0,
       "",
       "",
       ""},
      {kCloudEvent,
       R"({"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"e3s="})",
       {},
       422,
       v,
       "#/data_base64",
       "data: "},
      {kCloudEvent,
       R"({"specversion":"1.0","id":"1","source":"s","type":"t","datacontenttype":"text/xml"})",
       {},
       422,
       v,
       "#/datacontenttype",
       "expected JSON"},
      {kCloudEvent,
       R"({"specversion":"1.0","id":"1","source":"s","type":"t","site":"b"})",
       {},
       403,
       "forbidden",
       "#/site",
       "another site"},
      // Binary.
      {kJson, "1", binary, 422, v, "", "ce-type: required"},
      {kJson, "1", with("ce-type", "a b"), 422, v, "", "ce-type: only letters"},
      {kJson, "1", with("ce-type", "%C0%A0"), 400, m, "none", "ce-type: expected UTF-8"},
      {kJson, "{", with("ce-type", "t"), 422, v, "#", "data: "},
      {"text/xml", "<a/>", with("ce-type", "t"), 415, "unsupported_media_type", "none",
       "Content-Type: expected JSON"},
  };
  for (const Refused& each : cases) {
    SCOPED_TRACE(each.type + " " + each.body.substr(0, 120) + " expecting " + each.detail);
    auto parsed = Parse(each.type, each.body, each.fields);
    std::optional<http::ProblemDetails> problem;
    if (const auto* whole = std::get_if<http::ProblemDetails>(&parsed)) {
      problem = *whole;
    } else {
      ASSERT_THAT(std::get<IngestBody>(parsed).events, SizeIs(1));
      problem = std::get<IngestBody>(parsed).events[0].problem;
    }
    if (each.status == 0) {
      EXPECT_FALSE(problem.has_value());
      continue;
    }
    ASSERT_TRUE(problem.has_value());
    EXPECT_EQ(problem->status, each.status);
    EXPECT_EQ(problem->code, each.code);
    EXPECT_THAT(problem->detail, HasSubstr(each.detail));
    if (each.pointer == "none") {
      EXPECT_THAT(problem->errors, IsEmpty());
    } else {
      ASSERT_THAT(problem->errors, SizeIs(1));
      EXPECT_EQ(problem->errors[0].pointer, each.pointer);
    }
  }
}

TEST_F(IngestRequestTest, ABatchIsJudgedItemByItem) {
  const auto parsed = Parse(kJson, R"({"events":[{"event_type":"a","data":1,"id":"1"},)"
                                   R"({"event_type":"a"},3,{"event_type":"b","data":2}]})");
  const auto* body = std::get_if<IngestBody>(&parsed);
  ASSERT_NE(body, nullptr);
  EXPECT_TRUE(body->is_batch);
  ASSERT_THAT(body->events, SizeIs(4));
  EXPECT_FALSE(body->events[0].problem);
  EXPECT_TRUE(body->events[0].hash);
  EXPECT_EQ(body->events[1].problem->errors.at(0).pointer, "#/events/1/data");
  EXPECT_EQ(body->events[2].problem->errors.at(0).pointer, "#/events/2");
  EXPECT_FALSE(body->events[3].problem);
  v1::Envelope last;
  ASSERT_TRUE(last.ParseFromString(body->events[3].value));
  EXPECT_EQ(last.type(), "b");
  EXPECT_EQ(last.site_event().data().plain(), "2");
}

TEST_F(IngestRequestTest, ABatchOfCloudEventsIsJudgedItemByItem) {
  const auto parsed = Parse(kCloudEvents, R"([{"specversion":"1.0","id":"1","source":"s",)"
                                          R"("type":"t","data":1},{"specversion":"1.0"}])");
  const auto* body = std::get_if<IngestBody>(&parsed);
  ASSERT_NE(body, nullptr);
  ASSERT_THAT(body->events, SizeIs(2));
  EXPECT_FALSE(body->events[0].problem);
  EXPECT_EQ(body->events[1].problem->errors.at(0).pointer, "#/1/id");
}

TEST_F(IngestRequestTest, ABatchHasAtMostAThousandEvents) {
  const auto batch = [](std::size_t events) {
    std::string body = R"({"events":[)";
    for (std::size_t i = 0; i < events; ++i) {
      body += i == 0 ? "1" : ",1";
    }
    return body + "]}";
  };
  const auto most = Parse(kJson, batch(kBatchEventsMax));
  EXPECT_THAT(std::get<IngestBody>(most).events, SizeIs(kBatchEventsMax));
  const auto more = Parse(kJson, batch(kBatchEventsMax + 1));
  EXPECT_THAT(std::get<http::ProblemDetails>(more).detail, HasSubstr("at most 1000"));
  EXPECT_EQ(std::get<http::ProblemDetails>(more).errors.at(0).pointer, "#/events");
  EXPECT_THAT(std::get<IngestBody>(Parse(kCloudEvents, "[]")).events, IsEmpty());
}

TEST_F(IngestRequestTest, EachPartOfTheScopeSeparatesKeys) {
  const IdempotencyKey key = {"acme", v1::TRUST_SECRET, "shop", "api", "k"};
  std::vector<IdempotencyKey> others(6, key);
  others[0].tenant = "acm";
  others[1].trust = v1::TRUST_PUBLISHABLE;
  others[2].site = "";
  others[3].source = "/s";
  others[4].key = "l";
  others[5].site = "shopa";
  others[5].source = "pi";
  for (const IdempotencyKey& other : others) {
    EXPECT_NE(HashOf(key), HashOf(other));
  }
  EXPECT_EQ(HashOf(key), HashOf(key));
  // Stored: it may never change.
  EXPECT_EQ(ToHex(AsView(HashOf(key))), "3fe0a8f670317115d657e3ab936a1853");
}

}  // namespace
}  // namespace alertstream::api

#include "api/ingest/request_fields.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream::api {
namespace {

using ::testing::HasSubstr;

http::Headers With(std::string_view name, const std::vector<std::string>& values) {
  http::Headers headers;
  for (const std::string& value : values) {
    headers.Add(name, value);
  }
  return headers;
}

TEST(RequestFieldsTest, AnIdempotencyKeyIsAStringOrAToken) {
  const std::string longest(255, 'k');
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"("8e03978e-40d5-43dd-bc93-6894a57f9324")", "8e03978e-40d5-43dd-bc93-6894a57f9324"},
      {"8e03978e-40d5", "8e03978e-40d5"},
      {R"("a b, \"c\" \\d")", R"(a b, "c" \d)"},
      {"order:7/try_1", "order:7/try_1"},
      {longest, longest},
      {"\"" + longest + "\"", longest},
  };
  for (const auto& [field, key] : cases) {
    const auto parsed = IdempotencyKeyField(With("idempotency-key", {field}));
    ASSERT_TRUE(parsed.ok()) << field;
    EXPECT_EQ(parsed.value(), key);
  }
  EXPECT_EQ(IdempotencyKeyField({}).value(), std::nullopt);
}

TEST(RequestFieldsTest, AnotherIdempotencyKeyIsRefused) {
  struct Case {
    std::vector<std::string> fields;
    std::string message;
  };
  const std::vector<Case> cases = {
      {{"a", "b"}, "more than once"},          {{""}, "expected a string"},
      {{R"("")"}, "expected a string"},        {{R"("open)"}, "expected a string"},
      {{R"(")"}, "expected a string"},         {{R"("a"b")"}, "expected a string"},
      {{R"("a\n")"}, "expected a string"},     {{R"("a";p=1)"}, "expected a string"},
      {{"a b"}, "expected a string"},          {{"a,b"}, "expected a string"},
      {{"\"\xC3\xA4\""}, "expected a string"}, {{std::string(256, 'k')}, "longer than 255 bytes"},
  };
  for (const Case& each : cases) {
    const auto parsed = IdempotencyKeyField(With("Idempotency-Key", each.fields));
    ASSERT_FALSE(parsed.ok()) << each.fields.front();
    EXPECT_EQ(parsed.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(parsed.error().message(), HasSubstr(each.message));
  }
}

TEST(RequestFieldsTest, AWaitIsSecondsUpToTen) {
  const std::vector<std::pair<std::vector<std::string>, int>> cases = {
      {{"wait=5"}, 5},
      {{"Wait = 3 ; x=1"}, 3},
      {{"respond-async, wait=\"2\""}, 2},
      {{"return=minimal", "wait=1"}, 1},
      {{"wait=0"}, 0},
      {{"wait=11"}, 10},
      {{"wait=4294967295"}, 10},
      {{"wait=99999999999"}, 0},
      {{"wait=-1"}, 0},
      {{"wait=2.5"}, 0},
      {{"wait"}, 0},
      {{"wait="}, 0},
      {{"waiting=2"}, 0},
      {{}, 0},
  };
  for (const auto& [fields, seconds] : cases) {
    EXPECT_EQ(PreferredWait(With("Prefer", fields)).count(), seconds)
        << (fields.empty() ? "" : fields.front());
  }
}

constexpr std::string_view kTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(RequestFieldsTest, AValidTraceIsTakenOver) {
  http::Headers headers = With("traceparent", {std::string(kTrace)});
  headers.Add("tracestate", "a=1,b=2");
  const auto trace = TraceOf(headers);
  ASSERT_TRUE(trace.has_value());
  EXPECT_EQ(trace->traceparent(), kTrace);
  EXPECT_EQ(trace->tracestate(), "a=1,b=2");
  // What it begins with is all we know of a later version.
  const std::string later = "cc" + std::string(kTrace.substr(2)) + "-more";
  EXPECT_EQ(TraceOf(With("traceparent", {later}))->traceparent(), kTrace);
}

TEST(RequestFieldsTest, ATraceThatIsNotValidIsNone) {
  const std::string good(kTrace);
  const std::vector<std::vector<std::string>> cases = {
      {},
      {good, good},
      {""},
      {"00-00000000000000000000000000000000-00f067aa0ba902b7-01"},
      {"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"},
      {"ff" + good.substr(2)},
      {"0g" + good.substr(2)},
      {"CC" + good.substr(2)},
      {"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"},
      {good + "-more"},
      {"cc" + good.substr(2) + "more"},
      {good.substr(0, 54)},
  };
  for (const auto& fields : cases) {
    EXPECT_FALSE(TraceOf(With("traceparent", fields)).has_value())
        << (fields.empty() ? "" : fields.front());
  }
}

TEST(RequestFieldsTest, ATracestateThatIsTooLongIsLeftOut) {
  http::Headers headers = With("traceparent", {std::string(kTrace)});
  headers.Add("tracestate", "a=" + std::string(511, 'x'));
  EXPECT_EQ(TraceOf(headers)->tracestate(), "");
}

TEST(RequestFieldsTest, CloudEventsFieldsAreDecodedOnce) {
  EXPECT_EQ(CloudEventsFieldValue("Euro%20%E2%82%AC%20%F0%9F%98%80"),
            "Euro \xE2\x82\xAC \xF0\x9F\x98\x80");
  EXPECT_EQ(CloudEventsFieldValue("plain/value"), "plain/value");
  EXPECT_EQ(CloudEventsFieldValue(R"("quoted \" one")"), "quoted \" one");
  EXPECT_EQ(CloudEventsFieldValue("%2541"), "%41");
  for (const auto* bad : {"%C0%A0", "%", "%4", "%zz", "\"open", "%00"}) {
    EXPECT_EQ(CloudEventsFieldValue(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace alertstream::api

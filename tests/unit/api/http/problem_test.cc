// Problem documents and request ids.
#include "api/http/problem.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/http/request_id.h"
#include "schemas/json.h"
#include "tests/support/manual_clock.h"

namespace alertstream::http {
namespace {

using ::testing::MatchesRegex;

TEST(ProblemTest, HasEveryMemberInItsPlace) {
  const Response response = Problem({.status = 422,
                                     .code = "validation_failed",
                                     .detail = "one \"fault\"\n",
                                     .errors = {{"missing", "#/event_type"}, {"x", "#"}}});
  EXPECT_EQ(response.status, 422);
  EXPECT_EQ(response.headers.Find("Content-Type"), "application/problem+json");
  EXPECT_EQ(response.body,
            R"({"type":"about:blank","title":"Unprocessable Content","status":422,)"
            R"("code":"validation_failed","detail":"one \"fault\"\n","errors":[)"
            R"({"detail":"missing","pointer":"#/event_type"},{"detail":"x","pointer":"#"}]})");
  schemas::JsonDocument document;
  EXPECT_TRUE(document.Parse(response.body).ok());
}

TEST(ProblemTest, AStatusHasItsCode) {
  for (const auto& [status, code] : std::vector<std::pair<int, std::string>>{
           {400, "malformed_request"},
           {401, "unauthenticated"},
           {403, "forbidden"},
           {404, "not_found"},
           {405, "method_not_allowed"},
           {409, "conflict"},
           {412, "precondition_failed"},
           {413, "too_large"},
           {415, "unsupported_media_type"},
           {418, "malformed_request"},
           {422, "validation_failed"},
           {429, "rate_limited"},
           {431, "headers_too_large"},
           {500, "internal"},
           {503, "unavailable"},
           {505, "version_not_supported"},
           {599, "internal"},
       }) {
    EXPECT_EQ(ProblemCodeOf(status), code) << status;
  }
}

TEST(ProblemTest, APointerIsAFragment) {
  EXPECT_EQ(PointerTo("event_type"), "#/event_type");
  EXPECT_EQ(PointerTo("a/b~c"), "#/a~1b~0c");
  EXPECT_EQ(PointerTo("a b\"\xC3\xA4%"), "#/a%20b%22%C3%A4%25");
  EXPECT_EQ(PointerTo(""), "#/");
}

TEST(RequestIdTest, PrintableTextOfAtMost128CharactersIsKept) {
  EXPECT_TRUE(IsRequestId("a"));
  EXPECT_TRUE(IsRequestId("order 7, \"try\" 2~"));
  EXPECT_TRUE(IsRequestId(std::string(128, 'x')));
  EXPECT_FALSE(IsRequestId(""));
  EXPECT_FALSE(IsRequestId(std::string(129, 'x')));
  EXPECT_FALSE(IsRequestId("a\tb"));
  EXPECT_FALSE(IsRequestId("\xC3\xA4"));
  EXPECT_FALSE(IsRequestId("a\x7F"));
}

TEST(RequestIdTest, MadeOnesAreUuidsThatAscend) {
  ManualClock clock(FromMicros(1'700'000'000'123'456));
  RequestIds ids(clock);
  RequestIds others(clock);
  std::vector<std::string> made;
  made.reserve(5'001);
  for (int i = 0; i < 5'000; ++i) {
    made.push_back(ids.Next());
  }
  clock.Advance(std::chrono::milliseconds(1));
  made.push_back(ids.Next());
  EXPECT_THAT(made.front(),
              MatchesRegex("018bcfe5-687b-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
  EXPECT_TRUE(std::is_sorted(made.begin(), made.end()));
  EXPECT_EQ(std::adjacent_find(made.begin(), made.end()), made.end());
  EXPECT_NE(others.Next(), made.front());
}

}  // namespace
}  // namespace alertstream::http

// What the bodies of identity's requests may be, and where a fault lies.
#include "api/identity/request_bodies.h"

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/manual_clock.h"

namespace alertstream::api {
namespace {

constexpr LogTime kNow = ManualClock::kNoon;

template <typename T>
std::string FirstPointer(const Parsed<T>& parsed) {
  const auto* problem = std::get_if<http::ProblemDetails>(&parsed);
  if (problem == nullptr) {
    return "taken";
  }
  return std::to_string(problem->status) + " " + problem->errors.front().pointer;
}

struct Case {
  std::string body;
  std::string expected;  // "taken", or the status and the first fault's pointer.
};

void Check(const std::vector<Case>& cases,
           const std::function<std::string(std::string_view)>& parse) {
  for (const Case& c : cases) {
    EXPECT_EQ(parse(c.body), c.expected) << c.body;
  }
}

TEST(RequestBodiesTest, RegisteringNeedsAnAddressAndAPassword) {
  Check(
      {
          {R"({"email":"a@b.example","password":"0123456789"})", "taken"},
          {R"({"email":"a@b.example","password":"0123456789","tenant_name":"T","device":"d"})",
           "taken"},
          {R"({"password":"0123456789"})", "422 #/email"},
          {R"({"email":"a@b.example"})", "422 #/password"},
          {R"({"email":"a@b.example","password":"012345678"})", "422 #/password"},
          {R"({"email":"nobody","password":"0123456789"})", "422 #/email"},
          {R"({"email":["a@b.example"],"password":"0123456789"})", "422 #/email"},
          {R"({"email":"a@b.example","password":"0123456789","role":"owner"})", "422 #/role"},
          {R"({"email":"a@b.example","password":"0123456789","tenant_name":"a\nb"})",
           "422 #/tenant_name"},
          {R"({"email":"a@b.example","email":"a@b.example","password":"0123456789"})", "400 #"},
          {"[]", "422 #"},
          {"{", "400 #"},
          {"", "400 #"},
      },
      [](std::string_view body) { return FirstPointer(ParseRegister(body)); });
}

TEST(RequestBodiesTest, AnAddressIsTakenInLowerCase) {
  EXPECT_EQ(NormalEmail("Jane@Shop.Example"), "jane@shop.example");
  for (const std::string text :
       {"", "@", "a@", "@b", "a@b@c", "a b@c", "a@b\n", "<a@b>", "a,b@c", "\xc3\xa4@b.example"}) {
    EXPECT_EQ(NormalEmail(text), std::nullopt) << text;
  }
  EXPECT_EQ(NormalEmail(std::string(250, 'a') + "@b.ex"), std::nullopt);
}

TEST(RequestBodiesTest, LoggingInTakesAnyPassword) {
  Check({{R"({"email":"a@b","password":"x"})", "taken"},
         {R"({"email":"a@b","password":"x","tenant":"acme"})", "taken"},
         {R"({"email":"a@b","password":"x","tenant":"A C"})", "422 #/tenant"},
         {R"({"email":"a@b"})", "422 #/password"}},
        [](std::string_view body) { return FirstPointer(ParseLogin(body)); });
}

TEST(RequestBodiesTest, ARefreshTokenHasItsPrefix) {
  Check({{R"({"refresh_token":"rt_x"})", "taken"},
         {R"({"refresh_token":"rt_x","tenant":"acme"})", "taken"},
         {R"({"refresh_token":"as_sk_x"})", "422 #/refresh_token"},
         {R"({})", "422 #/refresh_token"}},
        [](std::string_view body) { return FirstPointer(ParseRefresh(body)); });
  Check({{R"({"refresh_token":"rt_x"})", "taken"},
         {R"({"refresh_token":"rt_x","tenant":"acme"})", "422 #/tenant"}},
        [](std::string_view body) { return FirstPointer(ParseLogout(body)); });
}

TEST(RequestBodiesTest, AWebsiteIsNamedByItsHost) {
  Check({{R"({"url":"https://shop.example"})", "taken"},
         {R"({"url":"http://shop.example:8080/a?b"})", "taken"},
         {R"({"url":"ftp://shop.example"})", "422 #/url"},
         {R"({"url":"https://"})", "422 #/url"},
         {R"({"url":"https://sh op"})", "422 #/url"},
         {R"({"url":"https://shop.example","id":"a b"})", "422 #/id"},
         {R"({"name":"x"})", "422 #/url"}},
        [](std::string_view body) { return FirstPointer(ParseWebsite(body)); });
  const auto named = std::get<WebsiteAsk>(ParseWebsite(R"({"url":"https://shop.example:1/x"})"));
  EXPECT_EQ(named.id, "shop.example");
  EXPECT_EQ(named.name, "shop.example");
}

TEST(RequestBodiesTest, AKeyHasAKindAndItsLimits) {
  Check(
      {
          {R"({"kind":"secret"})", "taken"},
          {R"({"kind":"publishable","origins":["https://a.example","*"]})", "taken"},
          {R"({"kind":"operator"})", "422 #/kind"},
          {R"({})", "422 #/kind"},
          {R"({"kind":"secret","origins":["https://a.example"]})", "422 #/origins"},
          {R"({"kind":"publishable","origins":["https://a.example/x"]})", "422 #/origins"},
          {R"({"kind":"publishable","origins":["a\nb"]})", "422 #/origins"},
          {R"({"kind":"publishable","origins":"*"})", "422 #/origins"},
          {R"({"kind":"secret","networks":["10.0.0.0/8","::1"]})", "taken"},
          {R"({"kind":"secret","networks":["10.0.0.1/8"]})", "422 #/networks"},
          {R"({"kind":"secret","events_per_second":0})", "422 #/events_per_second"},
          {R"({"kind":"secret","burst":5})", "422 #/burst"},
          {R"({"kind":"secret","expires_at":"2026-11-20T12:00:01Z"})", "taken"},
          {R"({"kind":"secret","expires_at":"2026-11-20T12:00:00Z"})", "422 #/expires_at"},
          {R"({"kind":"secret","expires_at":"soon"})", "422 #/expires_at"},
          {R"({"kind":"secret","site":"shop"})", "422 #/site"},
      },
      [](std::string_view body) { return FirstPointer(ParseKey(body, kNow)); });
}

TEST(RequestBodiesTest, ARotationNeedsNoMoreThanABody) {
  Check({{"{}", "taken"},
         {R"({"what":"signing_secret","overlap_seconds":0})", "taken"},
         {R"({"what":"site"})", "422 #/what"},
         {R"({"overlap_seconds":2592001})", "422 #/overlap_seconds"}},
        [](std::string_view body) { return FirstPointer(ParseRotate(body)); });
  EXPECT_EQ(std::get<RotateAsk>(ParseRotate("{}")).overlap, std::chrono::hours(24));
  const auto empty = ParseRotate("");
  ASSERT_TRUE(std::holds_alternative<http::ProblemDetails>(empty));
  EXPECT_EQ(std::get<http::ProblemDetails>(empty).status, 400);
  EXPECT_EQ(std::get<http::ProblemDetails>(empty).code, "malformed_request");
}

}  // namespace
}  // namespace alertstream::api

// Which route a method and a path mean.
#include "api/http/router.h"

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream::http {
namespace {

using ::testing::HasSubstr;

const std::vector<std::pair<std::string, std::string>> kRoutes = {
    {"GET", "/"},
    {"GET", "/triggers"},
    {"POST", "/triggers"},
    {"GET", "/triggers/{id}"},
    {"DELETE", "/triggers/{id}"},
    {"GET", "/triggers/mine"},
    {"POST", "/webhooks/{provider}/{account}/status"},
    {"HEAD", "/probe"},
    {"GET", "/probe"},
    {"GET", "/{kind}/mine/all"},
};

Router MakeRouter() {
  Router router;
  for (const auto& [method, pattern] : kRoutes) {
    EXPECT_TRUE(router.Add(method, pattern).ok()) << pattern;
  }
  return router;
}

struct Case {
  std::string method;
  std::string path;
  std::string expected;  // The pattern and its values, "404", or the Allow field.
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.method << " " << c.path; }

std::string Describe(const RouteMatch& match) {
  switch (match.outcome) {
    case RouteOutcome::kNotFound:
      return "404";
    case RouteOutcome::kMethodNotAllowed:
      return "405 " + match.allow;
    case RouteOutcome::kFound:
      break;
  }
  std::string text = kRoutes[match.route].first + " " + kRoutes[match.route].second;
  for (const auto* name : {"id", "provider", "account", "kind"}) {
    if (!match.params.Get(name).empty()) {
      text += std::string(" ") + name + "=" + std::string(match.params.Get(name));
    }
  }
  return text;
}

class RouterTest : public ::testing::TestWithParam<Case> {};

TEST_P(RouterTest, Finds) {
  static const Router router = MakeRouter();
  EXPECT_EQ(Describe(router.Match(GetParam().method, GetParam().path)), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Table, RouterTest,
    ::testing::Values(
        Case{"GET", "/", "GET /"}, Case{"GET", "/triggers", "GET /triggers"},
        Case{"POST", "/triggers", "POST /triggers"},
        Case{"GET", "/triggers/trg_1", "GET /triggers/{id} id=trg_1"},
        Case{"DELETE", "/triggers/trg_1", "DELETE /triggers/{id} id=trg_1"},
        Case{"POST", "/webhooks/twilio/main/status",
             "POST /webhooks/{provider}/{account}/status provider=twilio account=main"},
        // A literal wins, and the search comes back where it leads nowhere.
        Case{"GET", "/triggers/mine", "GET /triggers/mine"},
        Case{"GET", "/triggers/mine/all", "GET /{kind}/mine/all kind=triggers"},
        // HEAD.
        Case{"HEAD", "/triggers", "GET /triggers"}, Case{"HEAD", "/probe", "HEAD /probe"},
        // Escapes.
        Case{"GET", "/triggers/a%20b", "GET /triggers/{id} id=a b"},
        Case{"GET", "/triggers/a%2Fb", "GET /triggers/{id} id=a/b"},
        Case{"GET", "/%74riggers", "GET /triggers"}, Case{"GET", "/triggers/%", "404"},
        Case{"GET", "/triggers/%zz", "404"}, Case{"GET", "/triggers/%00", "404"},
        Case{"GET", "/triggers/%0a", "404"},
        // Slashes.
        Case{"GET", "/triggers/", "404"}, Case{"GET", "//triggers", "404"},
        Case{"GET", "/triggers//mine", "404"}, Case{"GET", "", "404"}, Case{"OPTIONS", "*", "404"},
        Case{"GET", "/Triggers", "404"}, Case{"GET", "/webhooks/twilio/main", "404"},
        // Methods.
        Case{"PUT", "/triggers", "405 GET, HEAD, POST"}, Case{"get", "/", "405 GET, HEAD"},
        Case{"HEAD", "/webhooks/a/b/status", "405 POST"}, Case{"PUT", "/probe", "405 GET, HEAD"},
        Case{"DELETE", "/triggers/mine", "405 GET, HEAD"}));

TEST(RouterTest, AVeryDeepPathIsNotFound) {
  std::string path;
  for (int i = 0; i < 100'000; ++i) {
    path += "/a";
  }
  EXPECT_EQ(MakeRouter().Match("GET", path).outcome, RouteOutcome::kNotFound);
}

TEST(RouterTest, RefusesWhatIsNoRoute) {
  struct Bad {
    std::string_view method;
    std::string_view pattern;
    ErrorCode code;
    std::string_view message;
  };
  const std::vector<Bad> cases = {
      {"get", "/a", ErrorCode::kInvalid, "capitals"},
      {"", "/a", ErrorCode::kInvalid, "capitals"},
      {"GET", "a", ErrorCode::kInvalid, "a path"},
      {"GET", "/a/", ErrorCode::kInvalid, "a segment is"},
      {"GET", "/a{b}", ErrorCode::kInvalid, "a segment is"},
      {"GET", "/{}", ErrorCode::kInvalid, "a segment is"},
      {"GET", "/a%20b", ErrorCode::kInvalid, "a segment is"},
      {"GET", "/triggers/{other}", ErrorCode::kConflict, "is there already"},
  };
  for (const Bad& bad : cases) {
    Router router = MakeRouter();
    const auto added = router.Add(bad.method, bad.pattern);
    ASSERT_FALSE(added.ok()) << bad.pattern;
    EXPECT_EQ(added.error().code(), bad.code) << bad.pattern;
    EXPECT_THAT(added.error().message(), HasSubstr(bad.message));
  }
}

TEST(RouterTest, TheNumberOfRoutesHasALimit) {
  Router router;
  for (std::size_t i = 0; i < kRoutesMax; ++i) {
    ASSERT_EQ(router.Add("GET", "/" + std::to_string(i)).value(), i);
  }
  const auto added = router.Add("GET", "/one-more");
  ASSERT_FALSE(added.ok());
  EXPECT_EQ(added.error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(added.error().message(), HasSubstr("more than"));
}

}  // namespace
}  // namespace alertstream::http

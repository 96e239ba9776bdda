// From handler to bytes: routes, responders, the encoding of answers, queries.
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/http/encode.h"
#include "api/http/responder.h"
#include "api/http/routes.h"
#include "api/http/uri.h"

namespace alertstream::http {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;

struct Sink : AnswerSink {
  void Answer(std::uint64_t request, Response response) override {
    requests.push_back(request);
    responses.push_back(std::move(response));
  }
  std::vector<std::uint64_t> requests;
  std::vector<Response> responses;
};

TEST(ResponderTest, AnswersOnceWhatItWasTold) {
  const auto sink = std::make_shared<Sink>();
  {
    Responder first(sink, 7);
    Responder second = std::move(first);
    second.Send({.status = 202});
  }
  EXPECT_THAT(sink->requests, ElementsAre(7U));
  ASSERT_THAT(sink->responses, SizeIs(1));
  EXPECT_EQ(sink->responses[0].status, 202);
}

TEST(ResponderTest, WithoutAnAnswerItIsA500) {
  const auto sink = std::make_shared<Sink>();
  { const Responder dropped(sink, 7); }
  ASSERT_THAT(sink->responses, SizeIs(1));
  EXPECT_EQ(sink->responses[0].status, 500);
}

TEST(ResponderTest, OneThatIsReplacedIsAnswered) {
  const auto sink = std::make_shared<Sink>();
  Responder responder(sink, 1);
  responder = Responder(sink, 2);
  EXPECT_THAT(sink->requests, ElementsAre(1U));
  responder.Send({});
  EXPECT_THAT(sink->requests, ElementsAre(1U, 2U));
}

class RoutesTest : public ::testing::Test {
 protected:
  RoutesTest() {
    EXPECT_TRUE(routes_
                    .Add("GET", "/hello/{name}",
                         [](const Request& /*request*/, const RouteParams& params) {
                           Response response;
                           response.body = params.Get("name");
                           return response;
                         })
                    .ok());
    EXPECT_TRUE(routes_
                    .AddParking("POST", "/park",
                                [this](Request request, const RouteParams& /*params*/,
                                       Responder responder) {
                                  parked_body_ = std::move(request.body);
                                  parked_.emplace(std::move(responder));
                                })
                    .ok());
  }
  void Handle(const std::string& method, const std::string& path) {
    Request request;
    request.method = method;
    request.path = path;
    request.body = "b";
    routes_.Handle(std::move(request), Responder(sink_, 1));
  }

  std::shared_ptr<Sink> sink_ = std::make_shared<Sink>();
  Routes routes_;
  std::optional<Responder> parked_;
  std::string parked_body_;
};

TEST_F(RoutesTest, APureHandlerAnswersAtOnce) {
  Handle("GET", "/hello/you");
  ASSERT_THAT(sink_->responses, SizeIs(1));
  EXPECT_EQ(sink_->responses[0].body, "you");
}

TEST_F(RoutesTest, AParkedRequestIsAnsweredLater) {
  Handle("POST", "/park");
  EXPECT_THAT(sink_->responses, IsEmpty());
  EXPECT_EQ(parked_body_, "b");
  parked_->Send({.status = 202});
  ASSERT_THAT(sink_->responses, SizeIs(1));
  EXPECT_EQ(sink_->responses[0].status, 202);
}

TEST_F(RoutesTest, AnUnknownPathIsAProblem) {
  Handle("GET", "/nothing");
  ASSERT_THAT(sink_->responses, SizeIs(1));
  EXPECT_EQ(sink_->responses[0].status, 404);
  EXPECT_EQ(sink_->responses[0].headers.Find("content-type"), "application/problem+json");
  EXPECT_EQ(sink_->responses[0].body,
            R"({"type":"about:blank","title":"Not Found","status":404,)"
            R"("code":"not_found","detail":"There is nothing at this path."})");
}

TEST_F(RoutesTest, AnotherMethodIsToldWhichAreTaken) {
  Handle("PUT", "/hello/you");
  ASSERT_THAT(sink_->responses, SizeIs(1));
  EXPECT_EQ(sink_->responses[0].status, 405);
  EXPECT_EQ(sink_->responses[0].headers.Find("Allow"), "GET, HEAD");
}

TEST_F(RoutesTest, ARouteTwiceIsAnError) {
  const Status status =
      routes_.Add("GET", "/hello/{x}", [](const auto&, const auto&) { return Response{}; });
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), ErrorCode::kConflict);
  Handle("GET", "/hello/you");
  EXPECT_EQ(sink_->responses.at(0).body, "you");
}

// 1994-11-06 08:49:37 UTC, the RFC's own example.
constexpr LogTime kDate = FromMicros(784'111'777'000'000);

std::string Encoded(const Response& response, EncodeOptions options = {}) {
  options.date = kDate;
  std::string out;
  AppendResponse(response, options, &out);
  return out;
}

TEST(EncodeTest, WritesAWholeResponse) {
  Response response;
  response.headers.Add("Content-Type", "text/plain");
  response.body = "hi";
  EXPECT_EQ(Encoded(response),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n"
            "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
            "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
            "Referrer-Policy: no-referrer\r\n"
            "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: keep-alive\r\n\r\nhi");
}

TEST(EncodeTest, AResponseMayHaveItsOwnPolicies) {
  Response response;
  response.headers.Add("content-security-policy", "default-src 'self'");
  response.headers.Add("Cache-Control", "no-cache");
  const std::string text = Encoded(response);
  EXPECT_THAT(text, HasSubstr("content-security-policy: default-src 'self'\r\n"));
  EXPECT_THAT(text, Not(HasSubstr("default-src 'none'")));
  EXPECT_THAT(text, Not(HasSubstr("no-store")));
  EXPECT_THAT(text, HasSubstr("Referrer-Policy: no-referrer\r\n"));
}

TEST(EncodeTest, TheAnswerToHeadHasTheLengthOnly) {
  const std::string text = Encoded({.body = "hi"}, {.is_head = true});
  EXPECT_THAT(text, HasSubstr("Content-Length: 2\r\n"));
  EXPECT_TRUE(text.ends_with("\r\n\r\n"));
}

TEST(EncodeTest, TheLastAnswerSaysSo) {
  EXPECT_THAT(Encoded({}, {.keep_alive = false}), HasSubstr("Connection: close\r\n"));
}

TEST(EncodeTest, NoContentHasNoLength) {
  const std::string text = Encoded({.status = 204, .body = "hi"});
  EXPECT_THAT(text, Not(HasSubstr("Content-Length")));
  EXPECT_TRUE(text.ends_with("\r\n\r\n"));
}

TEST(EncodeTest, TheServersOwnFieldsAreNotSentTwice) {
  Response response;
  response.headers.Add("content-length", "5");
  response.headers.Add("Transfer-Encoding", "chunked");
  response.headers.Add("Connection", "x");
  response.headers.Add("Date", "today");
  response.headers.Add("X-Request-Id", "forged");
  const std::string text = Encoded(response);
  EXPECT_THAT(text, Not(HasSubstr("content-length: 5")));
  EXPECT_THAT(text, Not(HasSubstr("chunked")));
  EXPECT_THAT(text, Not(HasSubstr("Connection: x")));
  EXPECT_THAT(text, Not(HasSubstr("today")));
  EXPECT_THAT(text, Not(HasSubstr("forged")));
}

TEST(EncodeTest, AnAnswerNamesItsRequest) {
  const std::string text = Encoded({.body = "{}"}, {.request_id = "r-1"});
  EXPECT_THAT(text, HasSubstr("\r\nX-Request-Id: r-1\r\n"));
  EXPECT_TRUE(text.ends_with("\r\n\r\n{}"));
}

TEST(EncodeTest, AProblemNamesItsRequestAndHasTheRightLength) {
  const Response problem = Problem(404, "No.");
  const std::string text = Encoded(problem, {.request_id = "a\"b"});
  const std::string body = R"({"type":"about:blank","title":"Not Found","status":404,)"
                           R"("code":"not_found","detail":"No.","request_id":"a\"b"})";
  EXPECT_TRUE(text.ends_with("\r\n\r\n" + body)) << text;
  EXPECT_THAT(text, HasSubstr("Content-Length: " + std::to_string(body.size()) + "\r\n"));
}

TEST(EncodeTest, AHandlerMayLetAnAnswerBeCached) {
  Response response;
  response.headers.Add("cache-control", "max-age=60");
  const std::string text = Encoded(response);
  EXPECT_THAT(text, HasSubstr("cache-control: max-age=60\r\n"));
  EXPECT_THAT(text, Not(HasSubstr("no-store")));
}

TEST(EncodeTest, WhatMayNotBeSentIsA500) {
  const auto with = [](std::string_view name, std::string_view value) {
    Response response;
    response.headers.Add(name, value);
    return response;
  };
  const std::vector<Response> cases = {
      with("X", "a\r\nSet-Cookie: b"),
      with("X", std::string("a\0b", 3)),
      with("X: a\r\nY", "b"),
      with("", "b"),
      {.status = 100},
      {.status = 600},
  };
  for (const Response& response : cases) {
    const std::string text = Encoded(response);
    EXPECT_TRUE(text.starts_with("HTTP/1.1 500 Internal Server Error\r\n")) << text;
    EXPECT_THAT(text, Not(HasSubstr("Set-Cookie")));
  }
}

TEST(EncodeTest, DatesAreUtc) {
  EXPECT_EQ(HttpDate(FromMicros(0)), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(HttpDate(FromMicros(1'709'251'199'999'999)), "Thu, 29 Feb 2024 23:59:59 GMT");
}

TEST(UriTest, AQueryIsPairs) {
  EXPECT_THAT(
      *ParseQuery("a=1&b=%41+b%2B&c&=d&&a=2"),
      ElementsAre(Pair("a", "1"), Pair("b", "A b+"), Pair("c", ""), Pair("", "d"), Pair("a", "2")));
  EXPECT_THAT(*ParseQuery(""), IsEmpty());
  EXPECT_THAT(*ParseQuery("a=b=c"), ElementsAre(Pair("a", "b=c")));
}

TEST(UriTest, ABadQueryIsNone) {
  for (const auto* query : {"a=%", "a=%4", "%zz=1", "a=%00"}) {
    EXPECT_EQ(ParseQuery(query), std::nullopt) << query;
  }
  std::string many;
  for (std::size_t i = 0; i < kQueryParametersMax; ++i) {
    many += "a&";
  }
  EXPECT_THAT(*ParseQuery(many), SizeIs(kQueryParametersMax));
  EXPECT_EQ(ParseQuery(many + "a"), std::nullopt);
}

TEST(MessageTest, TokensAreFoundInLists) {
  EXPECT_TRUE(HasToken("close", "CLOSE"));
  EXPECT_TRUE(HasToken("a , Close", "close"));
  EXPECT_FALSE(HasToken("closed", "close"));
  EXPECT_FALSE(HasToken("", "close"));
}

}  // namespace
}  // namespace alertstream::http

#include "ops/cli/control_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "api/http/server.h"
#include "schemas/json.h"
#include "schemas/topics.h"
#include "tests/unit/ops/cli/scratch_directory.h"

namespace alertstream::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(ControlAnswerTest, EveryMemberIsRead) {
  const auto results = ParseControlAnswer(
      R"({"results":[{"status":"rejected","kind":"site","id":"shop","version":3,)"
      R"("reason":"version_mismatch","detail":"it is 3",)"
      R"("position":{"topic":"account-changes","partition":2,"offset":17}},)"
      R"({"status":"unchanged","kind":"site","id":null,"version":null,"reason":null,)"
      R"("detail":null,"position":null}]})");
  ASSERT_TRUE(results.ok());
  ASSERT_THAT(results.value(), SizeIs(2));
  const ControlResult& first = results.value()[0];
  EXPECT_EQ(first.status, "rejected");
  EXPECT_EQ(first.id, "shop");
  EXPECT_EQ(first.version, 3U);
  EXPECT_EQ(first.reason, "version_mismatch");
  EXPECT_EQ(first.detail, "it is 3");
  EXPECT_EQ(first.position.topic(), static_cast<std::uint32_t>(schemas::Topic::kAccountChanges));
  EXPECT_EQ(first.position.partition(), 2U);
  EXPECT_EQ(first.position.offset(), 17);
  EXPECT_EQ(results.value()[1].status, "unchanged");
  EXPECT_EQ(results.value()[1].position.topic(), 0U);
}

TEST(ControlAnswerTest, AnotherAnswerIsNone) {
  for (const char* body : {"", "[]", "{}", R"({"results":1})"}) {
    const auto results = ParseControlAnswer(body);
    ASSERT_FALSE(results.ok()) << body;
    EXPECT_EQ(results.error().code(), ErrorCode::kUnavailable);
  }
}

// Answers every event with `accepted`.
class ControlClientTest : public ::testing::Test {
 protected:
  ControlClientTest()
      : server_(
            {},
            [this](http::Request request, http::Responder responder) {
              schemas::JsonDocument body;
              EXPECT_TRUE(body.Parse(request.body).ok());
              std::string answer = R"({"results":[)";
              std::size_t events = body.root().Find("events")->size();
              events -= seen_.size() >= left_out_after_ ? left_out_ : 0;
              for (std::size_t i = 0; i < events; ++i) {
                answer += std::string(i > 0 ? "," : "") + R"({"status":"accepted"})";
              }
              {
                const std::scoped_lock lock(mutex_);
                seen_.push_back(std::move(request));
              }
              responder.Send({.status = 200, .body = answer + "]}"});
            },
            SystemClock()) {
    EXPECT_TRUE(server_.Start().ok());
  }

  ControlClient Client() {
    ApiTarget target;
    target.api_url = "http://127.0.0.1:" + std::to_string(server_.port());
    target.operator_key = Redacted<std::string>("as_op_x");
    auto api = ApiClient::Create(std::move(target), SystemClock());
    EXPECT_TRUE(api.ok());
    return {std::move(api).value(), "jane"};
  }

  std::vector<http::Request> Seen() {
    const std::scoped_lock lock(mutex_);
    return seen_;
  }
  void Forget() {
    const std::scoped_lock lock(mutex_);
    seen_.clear();
  }

  std::mutex mutex_;
  std::vector<http::Request> seen_;
  std::size_t left_out_ = 0;  // Of an answer's events, after so many requests.
  std::size_t left_out_after_ = 0;
  http::Server server_;
};

TEST_F(ControlClientTest, SaysWhoActsAndHowLongItWaits) {
  auto client = Client();
  ASSERT_TRUE(
      client.Send("acme", {R"({"kind":"a"})", R"({"kind":"b"})"}, ControlPort::Wait::kForVerdicts)
          .ok());
  ASSERT_TRUE(client.Send("", {R"({"kind":"a"})"}, ControlPort::Wait::kForPositions).ok());
  ASSERT_THAT(Seen(), SizeIs(2));
  EXPECT_EQ(Seen()[0].path, "/api/v1/control/events");
  EXPECT_EQ(Seen()[0].body, R"({"tenant":"acme","events":[{"kind":"a"},{"kind":"b"}]})");
  EXPECT_EQ(Seen()[0].headers.Find("X-API-Key"), "as_op_x");
  EXPECT_EQ(Seen()[0].headers.Find("X-Actor"), "jane");
  EXPECT_EQ(Seen()[0].headers.Find("Prefer"), "wait=10");
  EXPECT_EQ(Seen()[1].body, R"({"events":[{"kind":"a"}]})");
  EXPECT_EQ(Seen()[1].headers.Find("Prefer"), "wait=0");
}

TEST_F(ControlClientTest, LargeSetsLeaveInGroups) {
  auto client = Client();
  const auto many = client.Send("", std::vector<std::string>(2'500, R"({"kind":"a"})"),
                                ControlPort::Wait::kForVerdicts);
  ASSERT_TRUE(many.ok());
  EXPECT_THAT(many.value(), SizeIs(2'500));
  EXPECT_THAT(Seen(), SizeIs(3));
  Forget();
  const std::string large = R"({"kind":")" + std::string(300'000, 'x') + R"("})";
  const auto few =
      client.Send("", std::vector<std::string>(5, large), ControlPort::Wait::kForVerdicts);
  ASSERT_TRUE(few.ok());
  EXPECT_THAT(few.value(), SizeIs(5));
  EXPECT_THAT(Seen(), SizeIs(3));
}

TEST_F(ControlClientTest, AnAnswerThatLeavesChangesOutIsAnError) {
  left_out_ = 1;
  auto client = Client();
  const auto results =
      client.Send("", {R"({"kind":"a"})", R"({"kind":"b"})"}, ControlPort::Wait::kForVerdicts);
  ASSERT_FALSE(results.ok());
  EXPECT_EQ(results.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(results.error().message(), HasSubstr("answered 1 of 2 changes"));
}

TEST_F(ControlClientTest, WhatWasAnsweredBeforeAGroupFailedIsKept) {
  left_out_ = 1;
  left_out_after_ = 1;
  auto client = Client();
  const auto results = client.Send("", std::vector<std::string>(2'500, R"({"kind":"a"})"),
                                   ControlPort::Wait::kForVerdicts);
  ASSERT_TRUE(results.ok()) << results.error().message();
  ASSERT_THAT(results.value(), SizeIs(2'500));
  EXPECT_EQ(results.value()[999].status, "accepted");
  EXPECT_EQ(results.value()[1'000].status, kUnsent);
  EXPECT_EQ(results.value()[2'499].status, kUnsent);
  EXPECT_THAT(results.value()[1'000].detail,
              HasSubstr("1000 of 2500 changes were answered, then: the server answered 999"));
  EXPECT_THAT(Seen(), SizeIs(2));
}

}  // namespace
}  // namespace alertstream::cli

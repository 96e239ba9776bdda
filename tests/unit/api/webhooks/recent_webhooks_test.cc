#include "api/webhooks/recent_webhooks.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace alertstream::api {
namespace {

using Seen = RecentWebhooks::Seen;

struct Sink : http::AnswerSink {
  void Answer(std::uint64_t request, http::Response response) override {
    answers.emplace_back(request, response.status);
  }
  std::vector<std::pair<std::uint64_t, int>> answers;
};

class RecentWebhooksTest : public ::testing::Test {
 protected:
  Seen Begin(RecentWebhooks* recent, const std::string& key, std::uint64_t request = 1) {
    http::Responder responder(sink_, request);
    const Seen seen = recent->Begin(key, &responder);
    if (seen != Seen::kUnderWay) {
      responder.Send({.status = 299});
    }
    return seen;
  }
  const std::shared_ptr<Sink> sink_ = std::make_shared<Sink>();
};

TEST_F(RecentWebhooksTest, WhatWasAppendedIsKnown) {
  RecentWebhooks recent;
  EXPECT_EQ(Begin(&recent, "a"), Seen::kNew);
  EXPECT_TRUE(recent.End("a", true).empty());
  EXPECT_EQ(Begin(&recent, "a"), Seen::kAppended);
  EXPECT_EQ(Begin(&recent, "b"), Seen::kNew);
}

TEST_F(RecentWebhooksTest, WhatFailedIsNewAgain) {
  RecentWebhooks recent;
  EXPECT_EQ(Begin(&recent, "a"), Seen::kNew);
  EXPECT_TRUE(recent.End("a", false).empty());
  EXPECT_EQ(Begin(&recent, "a"), Seen::kNew);
}

TEST_F(RecentWebhooksTest, WhoComesMeanwhileIsGivenBackWithTheEnd) {
  RecentWebhooks recent;
  EXPECT_EQ(Begin(&recent, "a", 1), Seen::kNew);
  EXPECT_EQ(Begin(&recent, "a", 2), Seen::kUnderWay);
  EXPECT_EQ(Begin(&recent, "a", 3), Seen::kUnderWay);
  auto others = recent.End("a", true);
  ASSERT_EQ(others.size(), 2U);
  sink_->answers.clear();
  others[0].Send({.status = 204});
  others[1].Send({.status = 205});
  EXPECT_EQ(sink_->answers, (std::vector<std::pair<std::uint64_t, int>>{{2U, 204}, {3U, 205}}));
}

TEST_F(RecentWebhooksTest, TheOldestIsForgottenFirst) {
  RecentWebhooks recent(2);
  for (const std::string key : {"a", "b", "c"}) {
    EXPECT_EQ(Begin(&recent, key), Seen::kNew);
    recent.End(key, true);
  }
  EXPECT_EQ(Begin(&recent, "b"), Seen::kAppended);
  EXPECT_EQ(Begin(&recent, "c"), Seen::kAppended);
  EXPECT_EQ(Begin(&recent, "a"), Seen::kNew);
}

}  // namespace
}  // namespace alertstream::api

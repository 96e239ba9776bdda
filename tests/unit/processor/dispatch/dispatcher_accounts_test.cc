#include "processor/dispatch/dispatcher.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/processor/dispatch/dispatch_story.h"

namespace alertstream::dispatch {
namespace {

using schemas::Topic;
using std::chrono::milliseconds;
using ::testing::AnyOf;
using ::testing::ElementsAre;

TEST(DispatcherAccountsTest, FailuresOpenTheBreakerAndUseUpNoAttempt) {
  DispatchStory story;
  story.provider.AnswerWith(500, R"({"code":20500,"status":500})");
  auto options = story.Options();
  options.breaker.failures_in_row = 2;
  options.in_flight_max = 1;
  const auto dispatcher = story.Start(std::move(options));
  story.journal.Batch({story.Sms(1), story.Sms(2), story.Sms(3), story.Sms(4)});
  ASSERT_TRUE(story.AwaitAttempts(4));
  ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].waiting == 2; }));
  ASSERT_EQ(dispatcher->Breakers().size(), 1U);
  EXPECT_EQ(dispatcher->Breakers()[0].state, CircuitState::kOpen);
  EXPECT_EQ(dispatcher->Breakers()[0].code, "20500");
  EXPECT_EQ(story.provider.count(), 2);
  // The probe finds it well.
  story.provider.AnswerWith(201, "");
  story.story.clock.Advance(std::chrono::seconds(2));
  ASSERT_TRUE(story.AwaitAttempts(8));
  EXPECT_EQ(dispatcher->Breakers()[0].state, CircuitState::kClosed);
}

TEST(DispatcherAccountsTest, ASuspendedAccountWaitsForAPersonOrOtherCredentials) {
  for (const bool by_person : {true, false}) {
    DispatchStory story;
    story.provider.AnswerWith(401, R"({"code":20003,"status":401})");
    const auto dispatcher = story.Start();
    story.journal.Batch({story.Sms(1)});
    ASSERT_TRUE(story.AwaitAttempts(2));
    story.journal.Batch({story.Sms(2)});
    ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].waiting == 1; }));
    EXPECT_EQ(dispatcher->Breakers()[0].state, CircuitState::kSuspended);
    story.story.clock.Advance(std::chrono::seconds(200));
    story.provider.AnswerWith(201, "");
    EXPECT_EQ(story.provider.count(), 1);
    if (by_person) {
      EXPECT_TRUE(dispatcher->ResetBreaker("twilio", "main"));
      EXPECT_FALSE(dispatcher->ResetBreaker("twilio", "other"));
    } else {
      story.accounts.Change([](ProviderAccount* account) {
        account->auth_tokens = {Redacted<std::string>(std::string(32, 'c'))};
      });
    }
    ASSERT_TRUE(story.AwaitAttempts(4));
    EXPECT_EQ(story.Attempts().back(), "2 result accepted");
  }
}

TEST(DispatcherAccountsTest, WhatWaitsLongBehindAnOpenBreakerIsGivenBack) {
  DispatchStory story;
  story.provider.AnswerWith(401, R"({"code":20003,"status":401})");
  const auto dispatcher = story.Start();
  story.journal.Batch({story.Sms(1)});
  ASSERT_TRUE(story.AwaitAttempts(2));
  story.journal.Batch({story.Sms(2)});
  ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].waiting == 1; }));
  story.story.clock.Advance(std::chrono::seconds(301));
  ASSERT_TRUE(story.AwaitAttempts(3));
  EXPECT_EQ(story.Attempts().back(), "2 result suspend circuit_open");
  EXPECT_EQ(story.provider.count(), 1);
}

TEST(DispatcherAccountsTest, AThrottlePausesTheAccountAndDoesNotOpenTheBreaker) {
  DispatchStory story;
  story.provider.AnswerWith(429, R"({"code":20429,"status":429})", "Retry-After: 30\r\n");
  const auto dispatcher = story.Start();
  story.journal.Batch({story.Sms(1)});
  ASSERT_TRUE(story.AwaitAttempts(2));
  EXPECT_EQ(story.Envelopes()[1].delivery_attempt().retry_after_us(), 30'000'000);
  story.provider.AnswerWith(201, "");
  story.journal.Batch({story.Sms(2)});
  ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].waiting == 1; }));
  EXPECT_EQ(dispatcher->Breakers()[0].state, CircuitState::kClosed);
  story.story.clock.Advance(std::chrono::seconds(29));
  SystemClock().SleepFor(milliseconds(50));
  EXPECT_EQ(story.provider.count(), 1);
  story.story.clock.Advance(std::chrono::seconds(2));
  EXPECT_TRUE(story.AwaitAttempts(4));
}

TEST(DispatcherAccountsTest, ThePaceKeepsTheOrder) {
  DispatchStory story;
  story.accounts.Change([](ProviderAccount* account) {
    account->sends_per_second = 1;
    account->burst = 1;
  });
  const auto dispatcher = story.Start();
  std::vector<v1::NotificationCommand> commands;
  for (std::uint32_t n = 1; n <= 5; ++n) {
    commands.push_back(story.Sms(n));
  }
  story.journal.Batch(commands);
  for (int n = 1; n <= 5; ++n) {
    ASSERT_TRUE(story.provider.AwaitCount(n));
    EXPECT_EQ(story.provider.count(), n);
    story.story.clock.Advance(std::chrono::seconds(1));
  }
  EXPECT_THAT(story.provider.order(), ElementsAre("1", "2", "3", "4", "5"));
}

// What exceeds it goes back to the fold, the newest first.
TEST(DispatcherAccountsTest, KeepsNoMoreThanItsRoomHolds) {
  DispatchStory story;
  auto options = story.Options();
  options.waiting_max = 8;
  options.in_flight_max = 2;
  story.provider.Hold();
  const auto dispatcher = story.Start(std::move(options));
  for (std::uint32_t n = 1; n <= 40; ++n) {
    story.journal.Batch({story.Sms(n)});
  }
  ASSERT_TRUE(story.provider.AwaitCount(2));
  ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].seq == 40; }));
  EXPECT_LE(dispatcher->Status()[0].waiting, 8U);
  story.provider.LetGo();
  const auto given_back = [&] {
    const auto lines = story.Attempts();
    return static_cast<int>(std::count_if(lines.begin(), lines.end(), [](const auto& line) {
      return line.find(" result throttle queue_full") != std::string::npos;
    }));
  };
  ASSERT_TRUE(story.Await([&] { return story.provider.count() + given_back() == 40; }));
  EXPECT_GE(given_back(), 30);
  EXPECT_THAT(story.provider.order().front(), AnyOf("1", "2"));  // On two connections at once.
}

// A slow account, or one that its provider pauses for an hour, fills the room.
TEST(DispatcherAccountsTest, AnAccountThatMayNotSendKeepsNobodyElseWaiting) {
  for (const bool paused : {false, true}) {
    DispatchStory story;
    story.accounts.Change([](ProviderAccount* account) {
      account->sends_per_second = 0.5;
      account->burst = 1;
    });
    if (paused) {
      story.provider.AnswerWith(429, R"({"code":20429,"status":429})", "Retry-After: 3000\r\n");
    }
    auto options = story.Options();
    options.waiting_max = 40;
    const auto dispatcher = story.Start(std::move(options));
    story.journal.Batch({story.Sms(1)});
    ASSERT_TRUE(story.AwaitAttempts(2));
    story.provider.AnswerWith(201, "");
    for (std::uint32_t n = 2; n <= 200; ++n) {
      story.journal.Batch({story.Sms(n)});
    }
    auto other = story.Sms(300);
    other.set_account("other");
    story.journal.Batch({other});
    ASSERT_TRUE(story.Await([&] { return story.provider.messages().contains("300"); }));
    EXPECT_EQ(story.provider.count(), 2);
    for (const auto& record : story.Envelopes()) {
      const auto& attempt = record.delivery_attempt();
      if (attempt.error_code() == "queue_full") {
        EXPECT_EQ(attempt.result(), v1::ATTEMPT_CLASS_THROTTLE);
        // When those before it may have been sent, or the pause is over.
        EXPECT_GE(attempt.retry_after_us(), paused ? 3'000'000'000 : 20'000'000);
        EXPECT_LE(attempt.retry_after_us(), paused ? 3'000'000'000 : 80'000'000);
      }
    }
    // Those that it kept go back as well when they have waited for long.
    story.story.clock.Advance(std::chrono::seconds(301));
    ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].waiting == 0; }));
    ASSERT_TRUE(story.Await([&] {
      const auto lines = story.Attempts();
      return std::any_of(lines.begin(), lines.end(), [](const auto& line) {
        return line.find("result throttle account_busy") != std::string::npos;
      });
    }));
  }
}

// One transaction has its limit, however much there is to be given back.
TEST(DispatcherAccountsTest, GivesBackInTransactionsOfLimitedSize) {
  DispatchStory story;
  story.accounts.Change([](ProviderAccount* account) {
    account->sends_per_second = 0.5;
    account->burst = 1;
  });
  const auto dispatcher = story.Start();
  constexpr std::uint32_t kCommands = 1300;
  std::vector<v1::NotificationCommand> commands;
  for (std::uint32_t n = 1; n <= kCommands; ++n) {
    commands.push_back(story.Sms(n));
  }
  story.journal.Batch(commands);
  ASSERT_TRUE(story.AwaitAttempts(2));
  story.story.clock.Advance(std::chrono::seconds(301));
  ASSERT_TRUE(story.Await([&] { return story.Attempts().size() >= kCommands + 2; }));
  EXPECT_EQ(story.provider.count(), 2);
  EXPECT_EQ(dispatcher->Status()[0].waiting, 0U);
  // A transaction ends with a marker, which takes an offset.
  const log::ReadFrom from{{Topic::kDeliveryAttempts, 0}, 1};
  auto reader = story.story.log.OpenReader(std::span(&from, 1));
  log::Fetched fetched;
  ASSERT_TRUE(reader.value()->Fetch(0, {100'000, std::size_t{1} << 30}, &fetched).ok());
  std::size_t longest = 0;
  std::size_t run = 0;
  for (std::size_t i = 0; i < fetched.records.size(); ++i) {
    const bool goes_on = i > 0 && fetched.records[i].offset == fetched.records[i - 1].offset + 1;
    run = goes_on ? run + 1 : 1;
    longest = std::max(longest, run);
  }
  EXPECT_GE(longest, 400U);
  EXPECT_LE(longest, 510U);
}

// It was not the account that they waited for.
TEST(DispatcherAccountsTest, WhatWaitedForPermissionsIsNotGivenBack) {
  DispatchStory story;
  const auto dispatcher = story.Start();
  story.journal.Batch({story.Sms(1)});
  ASSERT_TRUE(story.AwaitAttempts(2));
  story.story.log.FailReads(Topic::kOptOuts, true);
  constexpr std::uint32_t kCommands = 400;  // More than start at once.
  std::vector<v1::NotificationCommand> commands;
  for (std::uint32_t n = 2; n <= kCommands; ++n) {
    commands.push_back(story.Sms(n));
  }
  story.journal.Batch(commands);
  ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].waiting == kCommands - 1; }));
  story.story.clock.Advance(std::chrono::seconds(301));
  SystemClock().SleepFor(milliseconds(250));  // A step sees the time.
  story.story.log.FailReads(Topic::kOptOuts, false);
  ASSERT_TRUE(story.AwaitAttempts(2 * kCommands));
  EXPECT_EQ(story.provider.messages().size(), kCommands);
}

}  // namespace
}  // namespace alertstream::dispatch

#include "processor/dispatch/dispatcher.h"

#include <chrono>
#include <future>
#include <map>
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
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

TEST(DispatcherTest, StartsCallsAndWritesTheResult) {
  DispatchStory story;
  const auto dispatcher = story.Start();
  story.journal.Batch({});
  story.journal.Batch({story.Sms(1), story.Sms(2)});
  ASSERT_TRUE(story.AwaitAttempts(4));
  EXPECT_THAT(story.Attempts(), UnorderedElementsAre("1 started", "2 started", "1 result accepted",
                                                     "2 result accepted"));
  const auto records = story.Envelopes();
  EXPECT_EQ(records[0].tenant(), "acme");
  EXPECT_EQ(records[0].type(), "delivery.attempt");
  EXPECT_EQ(records[0].source(), "dispatcher");
  EXPECT_EQ(records[0].trust(), v1::TRUST_SYSTEM);
  EXPECT_EQ(records[0].delivery_attempt().account(), "main");
  EXPECT_THAT(records[3].delivery_attempt().provider_message_id(), HasSubstr("SM"));
  EXPECT_TRUE(dispatcher->Ready());
}

TEST(DispatcherTest, NothingIsCalledBeforeItsStartIsCommitted) {
  DispatchStory story;
  story.story.log.InjectCommitFault(story.TransactionalId("a"), log::CommitFault::kUnavailable);
  story.journal.Batch({story.Sms(1)});
  std::promise<void> failed;
  auto options = story.Options();
  options.on_error = [&](std::int32_t, const Error&) {
    EXPECT_EQ(story.provider.count(), 0);
    failed.set_value();
  };
  const auto dispatcher = story.Start(std::move(options));
  failed.get_future().wait();
  ASSERT_TRUE(story.AwaitAttempts(2));
  EXPECT_THAT(story.Attempts(), ElementsAre("1 started", "1 result accepted"));
  EXPECT_EQ(story.provider.count(), 1);
}

// The start was committed, and nobody knows whether the call was made.
TEST(DispatcherTest, AStartWithoutAResultIsAmbiguousForTheNextOwner) {
  DispatchStory story;
  story.provider.Hold();
  story.journal.Batch({story.Sms(1)});
  {
    auto first = story.Start();
    ASSERT_TRUE(story.provider.AwaitCount(1));
    // The owner is gone: what it still writes must not count.
    auto second = story.Start();
    ASSERT_TRUE(story.AwaitAttempts(2));
    EXPECT_THAT(story.Attempts(), ElementsAre("1 started", "1 result ambiguous owner_lost"));
    story.provider.LetGo();
    story.journal.Batch({story.Sms(2)});
    ASSERT_TRUE(story.AwaitAttempts(4));
    ASSERT_TRUE(story.Await([&] { return first->Status()[0].phase == "stopped"; }));
    EXPECT_THAT(first->Status()[0].error, HasSubstr("taken over"));
    EXPECT_FALSE(first->Ready());
  }
  EXPECT_THAT(story.Attempts(), ElementsAre("1 started", "1 result ambiguous owner_lost",
                                            "2 started", "2 result accepted"));
  EXPECT_THAT(story.provider.messages(),
              UnorderedElementsAre(std::pair("1", 1), std::pair("2", 1)));
}

// In the same process the call's end is still awaited: it is known after all.
TEST(DispatcherTest, OwnCallsSurviveAFailedCommit) {
  const std::pair<log::CommitFault, bool> faults[] = {
      {log::CommitFault::kUnavailable, false},
      {log::CommitFault::kUnknownApplied, true},
      {log::CommitFault::kUnknownNotApplied, false},
      {log::CommitFault::kUnknownAppliedLater, true},
      {log::CommitFault::kUnknownAbortedLater, false}};
  for (const auto& [fault, applied] : faults) {
    DispatchStory story;
    story.provider.Hold();
    const auto dispatcher = story.Start();
    story.journal.Batch({story.Sms(1)});
    ASSERT_TRUE(story.provider.AwaitCount(1));
    story.story.log.InjectCommitFault(story.TransactionalId("b"),
                                      fault);  // The second transaction: another start.
    story.journal.Batch({story.Sms(2, "+254712345679")});
    ASSERT_TRUE(story.Await([&] {
      const std::lock_guard lock(story.errors_mutex);
      return !story.errors.empty();
    }));
    story.provider.LetGo();
    ASSERT_TRUE(story.AwaitAttempts(4));
    // Of the second nobody can know whether its call was made before the start was known.
    const auto second = applied ? "2 result ambiguous owner_lost" : "2 result accepted";
    EXPECT_THAT(story.Attempts(),
                UnorderedElementsAre("1 started", "1 result accepted", "2 started", second));
    EXPECT_EQ(story.provider.messages()["1"], 1);
    EXPECT_EQ(story.provider.messages()["2"], applied ? 0 : 1);
  }
}

TEST(DispatcherTest, ANewOwnerGoesOnFromTheNewestCheckpoint) {
  DispatchStory story;
  {
    const auto first = story.Start();
    for (std::uint32_t n = 1; n <= 20; ++n) {
      story.journal.Batch({story.Sms(n)});
      ASSERT_TRUE(story.AwaitAttempts(std::size_t{2} * n));
    }
  }
  std::uint64_t done_to = 0;
  for (const auto& record : story.Envelopes()) {
    done_to = std::max(done_to, record.delivery_attempt().done_to());
  }
  EXPECT_GE(done_to, 18U);
  // What lies before it is not needed any more.
  story.story.log.Corrupt({Topic::kNotificationCommands, 0}, 2);
  story.journal.Batch({story.Sms(21)});
  const auto second = story.Start();
  ASSERT_TRUE(story.AwaitAttempts(42));
  EXPECT_EQ(story.provider.count(), 21);
  EXPECT_EQ(story.provider.messages().size(), 21U);
}

// What the first owner has sent lies behind a command that it could not end, and the second one
// notes how far it has read before it has read all of that.
TEST(DispatcherTest, ACheckpointOnTheWayKeepsTheAttemptsOfAnEarlierOwner) {
  DispatchStory story;
  constexpr std::uint32_t kCommands = 200;  // More batches than are read in one step.
  const auto offset = story.story.writer.Inbound("acme", "thank you").offset;
  for (std::uint32_t n = 1; n <= kCommands; ++n) {
    story.journal.Batch({story.Sms(n, n == 1 ? "+254712345678" : "+254712345679")});
  }
  auto options = story.Options();
  {
    const auto first = story.Start(options);
    ASSERT_TRUE(story.AwaitAttempts(std::size_t{2} * (kCommands - 1)));
    ASSERT_EQ(first->Status()[0].held, 1U);
  }
  options.checkpoint_every = std::chrono::hours(1);  // Notes the first one, and no other.
  {
    const auto second = story.Start(options);
    ASSERT_TRUE(story.Await([&] { return second->Status()[0].seq >= kCommands; }));
    story.journal.Batch({}, {{Topic::kInboundMessages, offset + 1}});
    ASSERT_TRUE(story.AwaitAttempts(2 * kCommands));
  }
  std::uint64_t done_to = 0;
  for (const auto& record : story.Envelopes()) {
    done_to = std::max(done_to, record.delivery_attempt().done_to());
  }
  ASSERT_GT(done_to, 0U);
  ASSERT_LT(done_to, kCommands);
  const auto third = story.Start(options);
  story.journal.Batch({story.Sms(kCommands + 1)});
  ASSERT_TRUE(story.AwaitAttempts(2 * (kCommands + 1)));
  for (const auto& [n, sends] : story.provider.messages()) {
    EXPECT_EQ(sends, 1) << n;
  }
}

// The log takes back what lies far before; nothing is started until that is read.
TEST(DispatcherTest, AStartReadsOnBeforeItSendsWhatIsTakenBackLater) {
  DispatchStory story;
  story.journal.Batch({story.Sms(1), story.Sms(2)});
  for (int i = 0; i < 300; ++i) {  // More batches than one step reads.
    story.journal.Batch({});
  }
  story.journal.Batch({CancelCommand(1)});
  const auto dispatcher = story.Start();
  ASSERT_TRUE(story.AwaitAttempts(3));
  EXPECT_THAT(story.Attempts(),
              UnorderedElementsAre("1 cancelled", "2 started", "2 result accepted"));
}

TEST(DispatcherTest, StopWaitsForCallsInFlightAndStartsNoMore) {
  DispatchStory story;
  auto options = story.Options();
  options.in_flight_max = 1;
  story.provider.Hold();
  const auto dispatcher = story.Start(std::move(options));
  story.journal.Batch({story.Sms(1), story.Sms(2)});
  ASSERT_TRUE(story.provider.AwaitCount(1));
  auto stopped = std::async(std::launch::async, [&] { dispatcher->Stop(kPatience); });
  ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].phase == "draining"; }));
  story.provider.LetGo();
  stopped.get();
  EXPECT_THAT(story.Attempts(), ElementsAre("1 started", "1 result accepted"));
  EXPECT_EQ(dispatcher->Status()[0].phase, "stopped");
}

TEST(DispatcherTest, StopEndsCallsThatTakeTooLong) {
  DispatchStory story;
  story.provider.Hold();
  const auto dispatcher = story.Start();
  story.journal.Batch({story.Sms(1)});
  ASSERT_TRUE(story.provider.AwaitCount(1));
  dispatcher->Stop(milliseconds(20));
  EXPECT_THAT(story.Attempts(), ElementsAre("1 started", "1 result ambiguous closed_after_sent"));
}

// A result that could not be committed is written before the process ends.
TEST(DispatcherTest, StopWritesTheResultsOfAFailedCommit) {
  DispatchStory story;
  auto options = story.Options();
  std::promise<void> failed;
  options.on_error = [&](std::int32_t, const Error&) { failed.set_value(); };
  story.provider.Hold();
  const auto dispatcher = story.Start(std::move(options));
  story.journal.Batch({story.Sms(1)});
  ASSERT_TRUE(story.provider.AwaitCount(1));
  story.story.log.InjectCommitFault(story.TransactionalId("b"), log::CommitFault::kUnavailable);
  story.provider.LetGo();
  failed.get_future().wait();  // It pauses now, before it takes the partition over again.
  dispatcher->Stop(milliseconds(0));
  EXPECT_THAT(story.Attempts(), ElementsAre("1 started", "1 result accepted"));
}

// The commit of the last results fails when nothing more is started.
TEST(DispatcherTest, StopTriesAgainToWriteTheLastResults) {
  DispatchStory story;
  story.provider.Hold();
  const auto dispatcher = story.Start();
  story.journal.Batch({story.Sms(1)});
  ASSERT_TRUE(story.provider.AwaitCount(1));
  story.story.log.InjectCommitFault(story.TransactionalId("b"),
                                    log::CommitFault::kUnknownAbortedLater);
  dispatcher->Stop(milliseconds(20));
  EXPECT_THAT(story.Attempts(), ElementsAre("1 started", "1 result ambiguous closed_after_sent"));
}

// A rival that began at the same time has one of the ids, and goes no further.
TEST(DispatcherTest, ADispatcherThatLostTheStartTakesThePartitionAgain) {
  for (const bool just_started : {true, false}) {
    DispatchStory story;
    const auto dispatcher = story.Start();
    ASSERT_TRUE(story.Await([&] { return dispatcher->Ready(); }));
    auto rival = story.story.log.OpenTransactor(story.TransactionalId("a"));
    ASSERT_TRUE(rival.ok() && rival.value()->Init(std::chrono::seconds(1)).ok());
    if (!just_started) {
      story.story.clock.Advance(std::chrono::minutes(11));  // Then it was replaced.
    }
    story.journal.Batch({story.Sms(1)});
    if (just_started) {
      ASSERT_TRUE(story.AwaitAttempts(2));
      EXPECT_THAT(story.Attempts(), ElementsAre("1 started", "1 result accepted"));
    } else {
      ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].phase == "stopped"; }));
      SystemClock().SleepFor(milliseconds(300));
      EXPECT_THAT(story.Attempts(), IsEmpty());
    }
  }
}

// However long nothing was to be sent: the rival, which has the other id, ends at its first start.
TEST(DispatcherTest, ADispatcherThatWonTheStartGoesOnAfterALongIdleTime) {
  DispatchStory story;
  const auto dispatcher = story.Start();
  ASSERT_TRUE(story.Await([&] { return dispatcher->Ready(); }));
  auto rival = story.story.log.OpenTransactor(story.TransactionalId("b"));
  ASSERT_TRUE(rival.ok() && rival.value()->Init(std::chrono::seconds(1)).ok());
  story.story.clock.Advance(std::chrono::minutes(11));
  for (std::uint32_t n = 1; n <= 3; ++n) {
    story.journal.Batch({story.Sms(n)});
    ASSERT_TRUE(story.AwaitAttempts(std::size_t{2} * n));
  }
  EXPECT_THAT(story.Attempts(), ElementsAre("1 started", "1 result accepted", "2 started",
                                            "2 result accepted", "3 started", "3 result accepted"));
  EXPECT_TRUE(dispatcher->Ready());
}

TEST(DispatcherTest, EveryCommandIsSentOnceWhateverOwnersComeAndGo) {
  DispatchStory story;
  constexpr std::uint32_t kCommands = 300;
  for (std::uint32_t n = 1; n <= kCommands; n += 5) {
    std::vector<v1::NotificationCommand> commands;
    for (std::uint32_t k = n; k < n + 5; ++k) {
      commands.push_back(story.Sms(k));
    }
    story.journal.Batch(commands);
  }
  auto options = story.Options();
  options.in_flight_max = 7;
  auto owner = story.Start(options);
  for (int round = 1; round <= 6; ++round) {
    ASSERT_TRUE(story.provider.AwaitCount(round * 40));
    owner = story.Start(options);  // The new one takes over from the old one, which then ends.
  }
  const auto outcomes = [&] {
    std::map<std::string, int> results;
    for (const std::string& line : story.Attempts()) {
      if (line.find(" result ") != std::string::npos) {
        ++results[line.substr(0, line.find(' '))];
      }
    }
    return results;
  };
  ASSERT_TRUE(story.Await([&] { return outcomes().size() == kCommands; }));
  for (const auto& [n, results] : outcomes()) {
    EXPECT_EQ(results, 1) << n;
  }
  for (const auto& [n, sends] : story.provider.messages()) {
    EXPECT_EQ(sends, 1) << n;
  }
}

// With the real fold: what it commands is sent, and what the dispatcher writes moves it on.
TEST(DispatcherTest, TheFoldTakesWhatTheDispatcherWrites) {
  DispatchStory story;
  story.accounts.Change([](ProviderAccount* account) { account->name = "AC1"; });
  story.provider.AnswerWith(500, R"({"code":20500,"status":500})");
  story.story.writer.Shop("acme");
  const auto owner = story.story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  const auto dispatcher = story.Start();
  story.story.writer.Order("acme", "o1");
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  ASSERT_TRUE(story.AwaitAttempts(2));
  // Tried again after a pause, which the fold counts.
  story.provider.AnswerWith(201, "");
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  story.story.clock.Advance(std::chrono::seconds(2));
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  ASSERT_TRUE(story.AwaitAttempts(4));
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  const auto outputs = story.story.Read();
  EXPECT_THAT(outputs.dead_letters, IsEmpty());
  ASSERT_EQ(outputs.commands.size(), 2U);
  EXPECT_EQ(outputs.commands[1].notification_id(), outputs.commands[0].notification_id());
  EXPECT_EQ(outputs.commands[1].attempt(), 2U);
  ASSERT_FALSE(outputs.facts.empty());
  EXPECT_EQ(outputs.facts.back().notification().status(), v1::NOTIFICATION_STATUS_ACCEPTED);
}

TEST(DispatcherTest, CountsAttemptsAndShowsBreakers) {
  DispatchStory story;
  Metrics metrics;
  auto options = story.Options();
  options.metrics = &metrics;
  const auto dispatcher = story.Start(std::move(options));
  story.journal.Batch({story.Sms(1)});
  ASSERT_TRUE(story.AwaitAttempts(2));
  const std::string text = metrics.RenderText();
  EXPECT_THAT(
      text,
      HasSubstr(
          R"(alertstream_dispatch_total{channel="sms",class="accepted",provider="twilio"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(alertstream_circuit_state{account="main",provider="twilio"} 0)"));
  EXPECT_THAT(text, HasSubstr("alertstream_dispatch_duration_seconds_count 1"));
}

}  // namespace
}  // namespace alertstream::dispatch

#include "processor/dispatch/dispatcher.h"

#include <chrono>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/processor/dispatch/dispatch_story.h"

namespace alertstream::dispatch {
namespace {

using schemas::Topic;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

TEST(DispatcherHoldsTest, ACommandIsHeldWhileAnOptOutOfItsPersonIsNotCovered) {
  const std::function<std::pair<Topic, std::int64_t>(runtime::StoryWriter&)> restrict[] = {
      [](auto& writer) { return std::pair(Topic::kOptOuts, writer.OptOut("acme").offset); },
      [](auto& writer) {
        return std::pair(Topic::kConsentChanges,
                         writer.Consent("acme", v1::CONSENT_STATUS_REVOKED).offset);
      },
      [](auto& writer) {
        return std::pair(Topic::kInboundMessages, writer.Inbound("acme", "arrêt").offset);
      }};
  for (const auto& each : restrict) {
    DispatchStory story;
    const auto dispatcher = story.Start();
    story.journal.Batch({});
    const auto [topic, offset] = each(story.story.writer);
    story.journal.Batch({story.Sms(1), story.Sms(2, "+254712345679")});
    ASSERT_TRUE(story.AwaitAttempts(2));
    ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].held == 1; }));
    EXPECT_THAT(story.Attempts(), ElementsAre("2 started", "2 result accepted"));
    // Passed, and taken back in the same batch.
    story.journal.Batch({CancelCommand(1)}, {{topic, offset + 1}});
    ASSERT_TRUE(story.AwaitAttempts(3));
    EXPECT_EQ(story.Attempts().back(), "1 cancelled");
    // What is decided from now on is no longer held.
    story.journal.Batch({story.Sms(3)});
    ASSERT_TRUE(story.AwaitAttempts(5));
    EXPECT_EQ(story.Attempts().back(), "3 result accepted");
    EXPECT_EQ(story.provider.messages().count("1"), 0U);
  }
}

TEST(DispatcherHoldsTest, AHeldCommandGoesOnWhenTheJournalHasPassedTheRecord) {
  DispatchStory story;
  const auto offset = story.story.writer.Inbound("acme", "thank you").offset;
  story.journal.Batch({story.Sms(1), story.Sms(2)});
  const auto dispatcher = story.Start();
  ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].held == 2; }));
  EXPECT_THAT(story.Attempts(), IsEmpty());
  story.journal.Batch({}, {{Topic::kInboundMessages, offset + 1}});
  ASSERT_TRUE(story.AwaitAttempts(4));
  EXPECT_EQ(dispatcher->Status()[0].held, 0U);
}

TEST(DispatcherHoldsTest, RecordsThatAllowHoldNobody) {
  DispatchStory story;
  story.story.writer.Consent("acme", v1::CONSENT_STATUS_GRANTED);
  story.story.writer.OptOut("other");
  story.journal.Batch({story.Sms(1)});
  const auto dispatcher = story.Start();
  EXPECT_TRUE(story.AwaitAttempts(2));
}

TEST(DispatcherHoldsTest, NothingStartsWhileThePermissionTopicsCannotBeRead) {
  DispatchStory story;
  const auto dispatcher = story.Start();
  story.journal.Batch({story.Sms(1)});
  ASSERT_TRUE(story.AwaitAttempts(2));
  story.story.log.FailReads(Topic::kOptOuts, true);
  story.journal.Batch({story.Sms(2)});
  ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].waiting == 1; }));
  EXPECT_EQ(story.provider.count(), 1);
  EXPECT_TRUE(story.Await([&] { return dispatcher->Status()[0].phase == "waiting_for_log"; }));
  EXPECT_THAT(dispatcher->Status()[0].error, HasSubstr("opt-outs"));
  EXPECT_FALSE(dispatcher->Ready());
  story.story.log.FailReads(Topic::kOptOuts, false);
  EXPECT_TRUE(story.AwaitAttempts(4));
  EXPECT_TRUE(story.Await([&] { return dispatcher->Ready(); }));
}

TEST(DispatcherHoldsTest, AJournalThatCannotBeReadIsWaitedForWithoutANewTakeOver) {
  DispatchStory story;
  const auto dispatcher = story.Start();
  story.story.log.FailReads(Topic::kJournal, true);
  story.journal.Batch({story.Sms(1)});
  ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].phase == "waiting_for_log"; }));
  story.story.log.FailReads(Topic::kJournal, false);
  ASSERT_TRUE(story.AwaitAttempts(2));
  EXPECT_THAT(story.errors, IsEmpty());
}

TEST(DispatcherHoldsTest, CancelDropsWhatHasNotStarted) {
  DispatchStory story;
  story.journal.Batch({story.Sms(1), story.Sms(2)});
  story.journal.Batch({CancelCommand(1)});
  const auto dispatcher = story.Start();
  ASSERT_TRUE(story.AwaitAttempts(3));
  EXPECT_THAT(story.Attempts(),
              UnorderedElementsAre("1 cancelled", "2 started", "2 result accepted"));
  EXPECT_EQ(story.provider.count(), 1);
}

TEST(DispatcherHoldsTest, ACancelOfAPersonsChannelDropsAllThatIsHeldAndNothingLater) {
  DispatchStory story;
  const auto dispatcher = story.Start();
  const auto offset = story.story.writer.OptOut("acme").offset;
  story.journal.Batch({story.Sms(1), story.Sms(2), story.Sms(3, "+254712345679")});
  ASSERT_TRUE(story.AwaitAttempts(2));
  ASSERT_TRUE(story.Await([&] { return dispatcher->Status()[0].held == 2; }));
  v1::NotificationCommand cancel = story.Sms(1);
  cancel.set_kind(v1::COMMAND_KIND_CANCEL);
  cancel.clear_notification_id();
  cancel.clear_message_class();
  story.journal.Batch({cancel, story.Sms(4)}, {{Topic::kOptOuts, offset + 1}});
  ASSERT_TRUE(story.AwaitAttempts(6));
  EXPECT_THAT(story.Attempts(),
              UnorderedElementsAre("1 cancelled", "2 cancelled", "3 started", "3 result accepted",
                                   "4 started", "4 result accepted"));
}

TEST(DispatcherHoldsTest, AnExpiredCommandIsNotSent) {
  DispatchStory story;
  story.story.clock.Advance(std::chrono::hours(25));
  story.journal.Batch({story.Sms(1)});
  const auto dispatcher = story.Start();
  ASSERT_TRUE(story.AwaitAttempts(1));
  EXPECT_THAT(story.Attempts(), ElementsAre("1 expired"));
  EXPECT_EQ(story.provider.count(), 0);
}

TEST(DispatcherHoldsTest, WhileAccountsAreNotKnownCommandsWait) {
  DispatchStory story;
  story.accounts.SetKnown(false);
  const auto dispatcher = story.Start();
  story.journal.Batch({story.Sms(1)});
  SystemClock().SleepFor(std::chrono::milliseconds(200));  // Many steps.
  EXPECT_THAT(story.Attempts(), ElementsAre());
  story.accounts.SetKnown(true);
  ASSERT_TRUE(story.AwaitAttempts(2));
  EXPECT_THAT(story.Attempts(), UnorderedElementsAre("1 started", "1 result accepted"));
}

TEST(DispatcherHoldsTest, AnAccountOfAnotherTenantSendsNothing) {
  DispatchStory story;
  story.accounts.Change([](ProviderAccount* account) { account->tenant = "somebody-else"; });
  const auto dispatcher = story.Start();
  story.journal.Batch({story.Sms(1)});
  ASSERT_TRUE(story.AwaitAttempts(1));
  EXPECT_THAT(story.Attempts(), ElementsAre("1 result perm_request account_missing"));
  EXPECT_EQ(story.provider.count(), 0);
  story.accounts.Change([&](ProviderAccount* account) { account->tenant = story.Sms(2).tenant(); });
  story.journal.Batch({story.Sms(2)});
  ASSERT_TRUE(story.AwaitAttempts(3));
  EXPECT_EQ(story.provider.count(), 1);
}

TEST(DispatcherHoldsTest, WhatCannotBeSentIsAnsweredWithoutACall) {
  DispatchStory story;
  auto account = story.Sms(1);
  account.set_account("nobody");
  auto provider = story.Sms(2);
  provider.set_provider("carrier");
  auto channel = story.Sms(3);
  channel.set_channel(v1::CHANNEL_EMAIL);
  auto text = story.Sms(4);
  text.mutable_body()->clear_form();
  const auto dispatcher = story.Start();
  story.journal.Batch({account, provider, channel, text});
  ASSERT_TRUE(story.AwaitAttempts(4));
  EXPECT_THAT(story.Attempts(), UnorderedElementsAre("1 result perm_request account_missing",
                                                     "2 result perm_request account_missing",
                                                     "3 result perm_request channel_unsupported",
                                                     "4 result perm_request request_invalid"));
  EXPECT_EQ(story.provider.count(), 0);
}

}  // namespace
}  // namespace alertstream::dispatch

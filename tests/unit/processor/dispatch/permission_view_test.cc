#include "processor/dispatch/permission_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/base/id.h"
#include "tests/support/command_journal.h"
#include "tests/support/runtime_story.h"

namespace alertstream::dispatch {
namespace {

using namespace std::chrono_literals;
using schemas::Topic;
using ::testing::ElementsAre;

std::string TokenOf(std::string_view tenant, std::string_view phone) {
  const RecipientToken token = MakeRecipientToken(
      runtime::StoryKey(), tenant, static_cast<std::uint8_t>(v1::ADDRESS_KIND_PHONE), phone);
  return {reinterpret_cast<const char*>(token.data()), token.size()};
}

struct ViewStory {
  std::unique_ptr<PermissionView> Open(const HoldBook::Positions& covered = {0, 0, 0}) {
    auto view = PermissionView::Open(story.log, 0, key, covered, 1s);
    EXPECT_TRUE(view.ok());
    EXPECT_TRUE(view.value()->Read().ok());
    return std::move(view).value();
  }
  std::int64_t End(Topic topic) {
    const log::TopicPartition partition{topic, 0};
    return story.log.Ends(std::span(&partition, 1), log::EndKind::kStable, 1s).value()[0];
  }

  HmacKey key = runtime::StoryKey();
  runtime::Story story;
  CommandJournal journal{story.log, story.log_id()};
};

TEST(PermissionViewTest, HoldsByTheFoldsOwnFormOfTheAddress) {
  ViewStory story;
  story.story.writer.OptOut("acme", "0012 (125) 550-100");
  v1::Envelope by_token;
  by_token.set_trust(v1::TRUST_SYSTEM);
  auto* change = by_token.mutable_opt_out_change();
  change->set_recipient_token(TokenOf("acme", "+254711111111"));
  change->set_channel(v1::CHANNEL_SMS);
  change->set_status(v1::OPT_OUT_STATUS_ACTIVE);
  change->set_by(v1::OPT_OUT_BY_API);
  story.story.writer.Put(Topic::kOptOuts, by_token, "acme");
  story.story.writer.Raw(Topic::kOptOuts, "acme", "no envelope", 0);
  const auto view = story.Open();
  EXPECT_TRUE(view->IsHeld(TokenOf("acme", "+12125550100")));
  EXPECT_FALSE(view->IsHeld(TokenOf("other", "+12125550100")));
  EXPECT_TRUE(view->IsHeld(TokenOf("acme", "+254711111111")));
  EXPECT_TRUE(view->Complete());
}

TEST(PermissionViewTest, IsNotCompleteBeforeItHasReadWhatWasThereAtItsStart) {
  ViewStory story;
  story.story.writer.OptOut("acme");
  story.story.log.FailReads(Topic::kOptOuts, true);
  const HmacKey key = runtime::StoryKey();
  const auto view = PermissionView::Open(story.story.log, 0, key, {0, 0, 0}, 1s);
  ASSERT_TRUE(view.ok());
  const Status read = view.value()->Read();
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code(), ErrorCode::kUnavailable);
  EXPECT_FALSE(view.value()->Complete());
  story.story.log.FailReads(Topic::kOptOuts, false);
  ASSERT_TRUE(view.value()->Read().ok());
  EXPECT_TRUE(view.value()->Complete());
}

TEST(PermissionViewTest, WhatTheJournalNamesIsCovered) {
  ViewStory story;
  const auto opt_out = story.story.writer.OptOut("acme").offset;
  const auto inbound = story.story.writer.Inbound("acme", "hello").offset;
  story.journal.Batch({}, {{Topic::kOptOuts, opt_out + 1}, {Topic::kInboundMessages, 1}});
  story.journal.Batch({}, {{Topic::kInboundMessages, inbound + 1}});
  const auto end = story.End(Topic::kJournal);
  // Consents: there is nothing but the marker.
  EXPECT_THAT(FindCovered(story.story.log, 0, end, 1s).value(),
              ElementsAre(opt_out + 1, 1, inbound + 1));
  // Nothing is known before the journal began.
  EXPECT_THAT(FindCovered(story.story.log, 0, 0, 1s).value(), ElementsAre(0, 1, 0));
}

TEST(PermissionViewTest, WhatIsClearlyOlderThanADecisionIsCovered) {
  ViewStory story;
  const auto opt_out = story.story.writer.OptOut("acme").offset;
  for (const auto& [after, covered] : {std::pair(14s, false), std::pair(16s, true)}) {
    story.journal.now = ManualClock::kNoon + after;
    story.journal.Batch({}, {{Topic::kSiteEvents, 5}});
    const auto found = FindCovered(story.story.log, 0, story.End(Topic::kJournal), 1s);
    EXPECT_EQ(found.value()[0], covered ? opt_out + 1 : 0) << after.count();
  }
}

TEST(PermissionViewTest, ABatchWithoutEventsDoesNotSayThatPermissionsWereRead) {
  ViewStory story;
  story.story.writer.OptOut("acme");
  story.journal.now = ManualClock::kNoon + 1h;
  story.journal.Batch({}, {{Topic::kDeliveryAttempts, 5}});
  EXPECT_EQ(FindCovered(story.story.log, 0, story.End(Topic::kJournal), 1s).value()[0], 0);
}

}  // namespace
}  // namespace alertstream::dispatch

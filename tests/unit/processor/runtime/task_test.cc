// Stories of one owner: what it decides, in what order, and what it waits for.
#include "processor/runtime/task.h"

#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/log_dump.h"
#include "tests/support/runtime_story.h"

namespace alertstream::runtime {
namespace {

using schemas::Topic;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::SizeIs;
using namespace std::chrono_literals;

constexpr std::string_view kPhone = "+254712345678";

TEST(Task, AnEventBecomesADecisionAndACommand) {
  Story story;
  story.writer.Shop("acme");
  const auto event = story.writer.Order("acme", "o1");
  const auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  EXPECT_TRUE(owner->task().idle());

  const Outputs outputs = story.Read();
  ASSERT_THAT(outputs.decisions, SizeIs(1));
  EXPECT_EQ(outputs.decisions[0].event().offset(), event.offset);
  ASSERT_THAT(outputs.commands, SizeIs(1));
  EXPECT_EQ(outputs.commands[0].to().plain(), kPhone);
  EXPECT_EQ(outputs.commands[0].body().plain(), "Order of 12");
  EXPECT_THAT(outputs.Kinds(), ElementsAre("CLAIM 1", "BATCH 2"));
  EXPECT_EQ(outputs.dropped, 0U);
  story.ExpectAuditAgrees(*owner);
}

TEST(Task, NothingIsCommittedWhenThereIsNothingToDo) {
  Story story;
  const auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());  // The markers.
  const auto seq = owner->state().tail().seq;
  story.clock.Advance(10s);
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  EXPECT_EQ(owner->state().tail().seq, seq);
}

TEST(Task, ClaimsOnTheFirstIdAndAlternatesFromTheSecond) {
  Story story;
  const auto owner = story.Start();
  story.writer.Shop("acme");
  // Which id a batch is committed on shows in which id's fault it meets.
  const std::string base = "alertstream-" + ToHex(story.log_id()).substr(0, 12) + "-0";
  story.log.InjectCommitFault(base + "-a", log::CommitFault::kUnavailable);
  ASSERT_TRUE(owner->RunOnce().ok());  // On B.
  story.writer.Order("acme", "o1");
  EXPECT_FALSE(owner->RunOnce().ok());  // On A, at last.
  story.log.InjectCommitFault(base + "-b", log::CommitFault::kUnavailable);
  EXPECT_FALSE(owner->RunOnce().ok());  // The claim is on A again, the redo on B.
  EXPECT_THAT(story.Read().Kinds(), ElementsAre("CLAIM 1", "BATCH 2", "CLAIM 3"));
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  EXPECT_THAT(story.Read().Kinds(),
              ElementsAre("CLAIM 1", "BATCH 2", "CLAIM 3", "CLAIM 4", "BATCH 5"));
  story.ExpectAuditAgrees(*owner);
}

TEST(Permission, AnOptOutAppendedBeforeAnEventIsObeyed) {
  Story story;
  story.writer.Shop("acme");
  story.writer.Order("acme", "before");
  const auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  story.writer.OptOut("acme");
  story.clock.Advance(1ms);
  story.writer.Order("acme", "after");
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  const Outputs outputs = story.Read();
  ASSERT_THAT(outputs.commands, SizeIs(2));
  EXPECT_EQ(outputs.commands[0].kind(), v1::COMMAND_KIND_SEND);
  EXPECT_EQ(outputs.commands[1].kind(), v1::COMMAND_KIND_CANCEL);  // Of the one before.
  ASSERT_THAT(outputs.decisions, SizeIs(2));
  EXPECT_EQ(outputs.decisions[1].decisions(0).reason(), v1::REASON_OPTED_OUT);
}

TEST(Permission, EventsWaitWhileTheHorizonCannotBeRead) {
  Story story;
  story.writer.Shop("acme");
  const auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  story.log.FailEnds(Topic::kOptOuts, true);
  story.clock.Advance(251ms);
  story.writer.Order("acme", "o1");
  const auto held = owner->RunOnce();
  ASSERT_TRUE(held.ok());
  EXPECT_FALSE(held.value().has_value());
  EXPECT_FALSE(owner->task().idle());

  // Permissions themselves are folded meanwhile, and the batch says that something is held.
  story.writer.OptOut("acme");
  const auto report = owner->RunOnce();
  ASSERT_TRUE(report.ok() && report.value().has_value());
  EXPECT_TRUE(report.value()->held);
  EXPECT_THAT(story.Read().decisions, SizeIs(0));

  story.log.FailEnds(Topic::kOptOuts, false);
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  const Outputs outputs = story.Read();
  ASSERT_THAT(outputs.decisions, SizeIs(1));
  EXPECT_EQ(outputs.decisions[0].decisions(0).reason(), v1::REASON_OPTED_OUT);
  EXPECT_TRUE(owner->task().idle());
}

TEST(Permission, AnAnswerIsGoodForAQuarterOfASecond) {
  Story story;
  story.writer.Shop("acme");
  const auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  owner->ask_horizon = false;
  ASSERT_TRUE(owner->horizon().Refresh().ok());
  story.writer.Order("acme", "o1");
  story.clock.Advance(250ms);
  EXPECT_TRUE(owner->RunOnce().value().has_value());
  story.writer.Order("acme", "o2");
  story.clock.Advance(1us);
  EXPECT_FALSE(owner->RunOnce().value().has_value());
}

TEST(Permission, EventsWaitForAnOptOutThatIsNotReadableYet) {
  Story story;
  story.writer.Shop("acme");
  const auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  const log::NewRecord unrelated{Topic::kOptOuts, 0, "acme", "never committed"};
  auto open = story.log.Begin("someone", std::span(&unrelated, 1));
  ASSERT_TRUE(open.ok());
  story.writer.Order("acme", "o1");
  EXPECT_FALSE(owner->RunOnce().value().has_value());
  EXPECT_FALSE(owner->task().idle());
  ASSERT_TRUE(open.value().Abort().ok());
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  EXPECT_THAT(story.Read().decisions, SizeIs(1));
}

TEST(Permission, TimersWaitAsEventsDo) {
  Story story;
  story.writer.Shop("acme");
  const auto owner = story.Start();
  story.writer.Order("acme", "o1");  // Leaves a sweep of its id, due in 7 days.
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  story.log.FailEnds(Topic::kConsentChanges, true);
  story.clock.Advance(std::chrono::hours{24 * 7} + 1s);
  EXPECT_FALSE(owner->RunOnce().value().has_value());
  EXPECT_FALSE(owner->task().idle());
  story.log.FailEnds(Topic::kConsentChanges, false);
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  EXPECT_EQ(story.Read().journal.back().timers_fired(), 1U);
}

TEST(Timers, FireOnAnIdlePartition) {
  Story story;
  story.writer.Shop("acme");
  const auto owner = story.Start();
  story.writer.Order("acme", "o1");
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  const auto before = story.Read().journal.size();
  story.clock.Advance(std::chrono::hours{24 * 7} - 1s);
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  EXPECT_EQ(story.Read().journal.size(), before);
  story.clock.Advance(1s);
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  ASSERT_EQ(story.Read().journal.size(), before + 1);
  EXPECT_EQ(story.Read().journal.back().timers_fired(), 1U);
  EXPECT_EQ(story.Read().journal.back().inputs_size(), 0);
  story.ExpectAuditAgrees(*owner);
}

TEST(Poison, ARecordThatThrowsBecomesADeadLetterAndNothingElse) {
  Story story;
  story.writer.Shop("acme");
  const auto good = story.writer.Order("acme", "o1");
  const auto bad = story.writer.Order("acme", "o2");
  const auto last = story.writer.Order("acme", "o3");
  const auto probe = [&](Topic topic, std::int64_t offset) {
    if (topic == Topic::kSiteEvents && offset == bad.offset) {
      throw std::runtime_error("phone +254712345678");
    }
  };
  InstanceOptions options;
  options.task.probe = probe;
  const auto owner = story.Start(story.store, options);
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  const Outputs outputs = story.Read();
  EXPECT_THAT(outputs.DecisionsByEvent(), ElementsAre(Pair(good.offset, 1), Pair(last.offset, 1)));
  ASSERT_THAT(outputs.dead_letters, SizeIs(1));
  EXPECT_EQ(outputs.dead_letters[0].reason(), v1::DEAD_LETTER_REASON_ENGINE_EXCEPTION);
  EXPECT_EQ(outputs.dead_letters[0].record().offset(), bad.offset);
  EXPECT_THAT(outputs.dead_letters[0].detail(), ::testing::Not(HasSubstr("+254")));
  story.ExpectAuditAgrees(*owner, {.probe = probe});
}

TEST(Routing, ARecordOfAnotherPartitionIsDecidedOnceInItsOwn) {
  Story story(4);
  const std::int32_t home = story.writer.HomeOf("acme");
  const std::int32_t wrong = (home + 1) % 4;
  story.writer.Shop("acme");
  const auto misplaced = story.writer.Order("acme", "o1", kPhone, wrong);
  state::MemoryStore wrong_store;
  InstanceOptions options;
  options.partition = wrong;
  const auto other = story.Start(wrong_store, options);
  ASSERT_TRUE(other->RunUntilQuiet().ok());
  options.partition = home;
  const auto owner = story.Start(story.store, options);
  ASSERT_TRUE(owner->RunUntilQuiet().ok());

  EXPECT_THAT(story.Read(wrong).decisions, SizeIs(0));
  EXPECT_THAT(story.Read(wrong).dead_letters, SizeIs(0));
  const Outputs outputs = story.Read(home);
  EXPECT_THAT(outputs.decisions, SizeIs(1));
  EXPECT_THAT(outputs.commands, SizeIs(1));
  const auto dump = log::ReadDump(story.log, kStoryTimeout).value();
  const auto moved = std::find_if(dump.records.begin(), dump.records.end(), [&](const auto& r) {
    return r.where == log::TopicPartition{Topic::kSiteEvents, home} && r.offset > 0;
  });
  ASSERT_NE(moved, dump.records.end());
  EXPECT_THAT(moved->headers,
              Contains(Pair(std::string(kOriginHeader),
                            fmt::format("site-events/{}/{}", wrong, misplaced.offset))));
  story.ExpectAuditAgrees(*other, {.partition = wrong});
  story.ExpectAuditAgrees(*owner, {.partition = home});
}

TEST(Routing, AnInvalidKeyIsDeadLetteredWhereItLies) {
  Story story;
  story.writer.Raw(Topic::kSiteEvents, "Not A Tenant", "{}", 0);
  story.writer.Raw(Topic::kOptOuts, "", "x", 0);
  const auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  const Outputs outputs = story.Read();
  ASSERT_THAT(outputs.dead_letters, SizeIs(2));
  for (const auto& letter : outputs.dead_letters) {
    EXPECT_EQ(letter.reason(), v1::DEAD_LETTER_REASON_INVALID_KEY);
  }
  story.ExpectAuditAgrees(*owner);
}

TEST(Batches, AFloodOnOneTopicDoesNotStarveAnother) {
  Story story;
  story.writer.Shop("acme");
  const auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  for (int i = 0; i < 5000; ++i) {
    story.writer.Raw(Topic::kDeliveryReceipts, "acme", "junk", 0);
  }
  story.writer.Order("acme", "o1");
  story.writer.OptOut("acme", "+254712345679");
  const auto report = owner->RunOnce();
  ASSERT_TRUE(report.ok() && report.value().has_value());
  EXPECT_LE(report.value()->inputs, engine::kBatchRecordsMax);
  EXPECT_THAT(story.Read().decisions, SizeIs(1));
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  story.ExpectAuditAgrees(*owner);
}

TEST(Batches, TheLargestRecordOnEveryTopicIsDeadLettered) {
  Story story;
  const auto owner = story.Start();
  const std::string value(schemas::kInputRecordBytesMax, 'x');
  for (const Topic topic : schemas::kInputTopics) {
    story.writer.Raw(topic, "acme", value, 0);
    story.writer.Raw(topic, "acme", value, 0);
  }
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  EXPECT_THAT(story.Read().dead_letters, SizeIs(2 * schemas::kInputTopicCount));
  story.ExpectAuditAgrees(*owner);
}

TEST(Batches, AFanOutGoesOnOverSeveralBatchesAndEachPairIsDecidedOnce) {
  constexpr int kTriggers = 50;
  constexpr int kRecipients = 1000;
  Story story;
  story.writer.Tenant("acme");
  for (int i = 0; i < kTriggers; ++i) {
    story.writer.Trigger("acme", fmt::format("t{:02}", i), [](v1::Trigger* trigger) {
      trigger->mutable_recipients()->set_field("data.phones");
      trigger->set_template_body("x");
    });
  }
  std::string phones;
  for (int i = 0; i < kRecipients; ++i) {
    phones += fmt::format("{}\"+2547120{:05}\"", i == 0 ? "" : ",", i);
  }
  const auto big = story.writer.Event("acme", "big", fmt::format(R"({{"phones":[{}]}})", phones));
  story.writer.Event("acme", "small", R"({"phones":["+254712345678"]})");
  const auto owner = story.Start();
  std::size_t batches = 0;
  for (;;) {
    const auto report = owner->RunOnce();
    ASSERT_TRUE(report.ok()) << report.error().message();
    if (!report.value()) {
      break;
    }
    // And the fact of the tenant's usage, with which a batch ends.
    EXPECT_LE(report.value()->outputs, engine::kEffectsRecordsMax + 1);
    EXPECT_LE(report.value()->effects->bytes(), engine::kEffectsBytesMax);
    ++batches;
    story.clock.Advance(5ms);
  }
  EXPECT_GE(batches, 6U);
  EXPECT_TRUE(owner->task().idle());
  const Outputs outputs = story.Read();
  EXPECT_THAT(outputs.commands, SizeIs((kRecipients + 1) * kTriggers));
  std::map<std::string, int> ids;
  std::uint32_t part = 0;
  for (const auto& record : outputs.decisions) {
    if (record.event().offset() == big.offset) {
      EXPECT_EQ(record.part(), part++);
    }
    for (const auto& decision : record.decisions()) {
      ++ids[decision.id()];
    }
  }
  EXPECT_THAT(ids, SizeIs((kRecipients + 1) * kTriggers));
  EXPECT_THAT(ids, Each(Pair(::testing::_, 1)));
  story.ExpectAuditAgrees(*owner);
}

// One that this program does not write yet.
constexpr std::uint32_t kNextVersion = engine::kEngineVersion + 1;

TEST(EngineVersion, ABarrierPutsTheNextVersionInForce) {
  Story story;
  story.writer.Shop("acme");
  story.writer.Order("acme", "o1");
  InstanceOptions options;
  options.task.engine_version_max = kNextVersion;
  auto owner = story.Start(story.store, options);
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  story.writer.EngineActivate(kNextVersion);
  story.writer.Order("acme", "o2");
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  story.writer.Order("acme", "o3");
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  const Outputs outputs = story.Read();
  EXPECT_THAT(outputs.Kinds(),
              ElementsAre("CLAIM 1", "BATCH 2", "BATCH 3", "BARRIER 4", "BATCH 5"));
  std::vector<std::uint32_t> versions;
  for (const auto& record : outputs.journal) {
    versions.push_back(record.engine_version());
  }
  EXPECT_THAT(versions, ElementsAre(engine::kEngineVersion, engine::kEngineVersion,
                                    engine::kEngineVersion, kNextVersion, kNextVersion));
  ASSERT_THAT(outputs.decisions, SizeIs(3));
  EXPECT_EQ(outputs.decisions[1].engine_version(), engine::kEngineVersion);
  EXPECT_EQ(outputs.decisions[2].engine_version(), kNextVersion);
  story.ExpectAuditAgrees(*owner, {.engine_version_max = kNextVersion});

  // A later start keeps it in force; a program that does not know it refuses.
  owner = story.Start(story.store, options);
  EXPECT_EQ(story.Read().journal.back().engine_version(), kNextVersion);
  state::MemoryStore fresh;
  const auto old = Instance::Start(story.log, story.clock, story.log_id(), fresh);
  ASSERT_FALSE(old.ok());
  EXPECT_EQ(old.error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(old.error().message(), HasSubstr(fmt::format("engine version {}", kNextVersion)));
}

TEST(EngineVersion, ABarrierOfUnknownOutcomeIsWrittenOnce) {
  for (const auto fault :
       {log::CommitFault::kUnknownApplied, log::CommitFault::kUnknownNotApplied,
        log::CommitFault::kUnknownAppliedLater, log::CommitFault::kUnavailable}) {
    Story story;
    InstanceOptions options;
    options.task.engine_version_max = kNextVersion;
    const auto owner = story.Start(story.store, options);  // A: claim.
    const std::string base = "alertstream-" + ToHex(story.log_id()).substr(0, 12) + "-0";
    story.writer.EngineActivate(kNextVersion);
    story.log.InjectCommitFault(base + "-a", fault);  // B: the batch. A: the barrier.
    const auto first = owner->RunOnce();
    ASSERT_FALSE(first.ok());
    ASSERT_TRUE(owner->task().CanGoOn(first.error()));
    ASSERT_TRUE(owner->RunUntilQuiet().ok());
    int barriers = 0;
    for (const auto& record : story.Read().journal) {
      barriers += record.kind() == v1::JOURNAL_KIND_BARRIER ? 1 : 0;
    }
    EXPECT_EQ(barriers, 1) << static_cast<int>(fault);
    story.ExpectAuditAgrees(*owner, {.engine_version_max = kNextVersion});
  }
}

TEST(EngineVersion, AnUnsupportedVersionStopsThePartitionAndSaysSo) {
  Story story;
  const auto owner = story.Start();
  story.writer.EngineActivate(7);
  const Status ran = owner->RunUntilQuiet();
  ASSERT_FALSE(ran.ok());
  EXPECT_EQ(ran.error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(ran.error().message(), HasSubstr("engine version 7 was activated"));
  EXPECT_FALSE(owner->task().CanGoOn(ran.error()));
}

}  // namespace
}  // namespace alertstream::runtime

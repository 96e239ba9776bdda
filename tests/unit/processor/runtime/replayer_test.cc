// Audit: history that was changed, an engine that differs, records that are gone. Each is found at
// its batch and called by its name.
#include "processor/runtime/replayer.h"

#include <functional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/log_dump.h"
#include "tests/support/runtime_story.h"

namespace alertstream::runtime {
namespace {

using log::DumpedRecord;
using log::LogDump;
using schemas::Topic;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

constexpr int kEvents = 6;

// CLAIM 1, BATCH 2 (rules), then one batch an event: 3 to 8.
LogDump History(std::string* log_id) {
  Story story;
  story.writer.Shop("acme");
  const auto owner = story.Start();
  EXPECT_TRUE(owner->RunUntilQuiet().ok());
  for (int i = 0; i < kEvents; ++i) {
    story.writer.Order("acme", "o" + std::to_string(i));
    EXPECT_TRUE(owner->RunUntilQuiet().ok());
  }
  *log_id = story.log_id();
  return log::ReadDump(story.log, kStoryTimeout).value();
}

// The journal record `seq`, changed, and those after it chained anew: a forger's work.
void Forge(LogDump* dump, std::uint64_t seq,
           const std::function<void(v1::JournalRecord*)>& change) {
  std::string prev_hash;
  for (DumpedRecord& record : dump->records) {
    v1::JournalRecord decoded;
    if (record.where.topic != Topic::kJournal || record.offset == 0) {
      continue;
    }
    ASSERT_TRUE(decoded.ParseFromString(record.value));
    if (decoded.seq() == seq) {
      change(&decoded);
    } else if (decoded.seq() > seq) {
      decoded.set_prev_hash(prev_hash);
    }
    record.value = journal::EncodeJournal(decoded);
    const Digest hash = Sha256::Of(record.value);
    prev_hash = std::string(AsView(hash));
  }
}

// The record number `n` (from 0) of the topic after its marker.
DumpedRecord* Nth(LogDump* dump, Topic topic, int n) {
  for (DumpedRecord& record : dump->records) {
    if (record.where.topic == topic && record.offset > 0 && n-- == 0) {
      return &record;
    }
  }
  return nullptr;
}

struct Case {
  std::string name;
  std::function<void(LogDump*)> tamper;
  std::uint64_t seq;
  bool history_changed;
  std::string what;
};

std::vector<Case> Cases() {
  return {
      {"a changed input", [](LogDump* dump) { Nth(dump, Topic::kSiteEvents, 2)->value += "x"; }, 5,
       true, "site-events"},
      {"another append time of an input",
       [](LogDump* dump) { Nth(dump, Topic::kSiteEvents, 2)->append_time += 1us; }, 5, true,
       "site-events"},
      {"a header added to an input",
       [](LogDump* dump) { Nth(dump, Topic::kSiteEvents, 2)->headers.emplace_back("a", "b"); }, 5,
       true, "site-events"},
      {"an input removed in the middle",
       [](LogDump* dump) {
         dump->Remove({Topic::kSiteEvents, 0}, Nth(dump, Topic::kSiteEvents, 2)->offset);
       },
       5, true, "site-events"},
      {"the last input removed",
       [](LogDump* dump) {
         dump->Remove({Topic::kSiteEvents, 0}, Nth(dump, Topic::kSiteEvents, 5)->offset);
       },
       8, true, "site-events ends at offset"},
      {"a changed output", [](LogDump* dump) { Nth(dump, Topic::kDecisions, 3)->value += "x"; }, 6,
       true, "decisions"},
      {"an output removed in the middle",
       [](LogDump* dump) {
         dump->Remove({Topic::kNotificationCommands, 0},
                      Nth(dump, Topic::kNotificationCommands, 1)->offset);
       },
       4, true, "notification-commands"},
      {"the last output removed",
       [](LogDump* dump) {
         dump->Remove({Topic::kDecisions, 0}, Nth(dump, Topic::kDecisions, 5)->offset);
       },
       8, true, "decisions: 1 records are missing"},
      {"another state root",
       [](LogDump* dump) {
         Forge(dump, 4, [](v1::JournalRecord* r) { r->set_state_root(std::string(16, '\0')); });
       },
       4, false, "state_root"},
      {"another root of an output",
       [](LogDump* dump) {
         Forge(dump, 4, [](v1::JournalRecord* r) {
           r->mutable_outputs(0)->set_root(std::string(32, '\0'));
         });
       },
       4, false, "notification-commands"},
      {"an output too many in the journal",
       [](LogDump* dump) {
         Forge(dump, 4, [](v1::JournalRecord* r) {
           auto* output = r->add_outputs();
           output->set_topic(static_cast<std::uint32_t>(Topic::kDeadLetters));
           output->set_count(1);
         });
       },
       4, false, "dead-letters: 1 records were recorded"},
      {"a timer that did not fire",
       [](LogDump* dump) { Forge(dump, 4, [](v1::JournalRecord* r) { r->set_timers_fired(3); }); },
       4, false, "timers_fired"},
      {"a re-route that did not happen",
       [](LogDump* dump) {
         Forge(dump, 4, [](v1::JournalRecord* r) { r->add_rerouted()->set_count(1); });
       },
       4, false, "rerouted"},
      {"another time",
       [](LogDump* dump) {
         Forge(dump, 4, [](v1::JournalRecord* r) { r->set_now_us(r->now_us() + 1); });
       },
       4, false, ""},
      {"a count that is not the range's",
       [](LogDump* dump) {
         Forge(dump, 4, [](v1::JournalRecord* r) { r->mutable_inputs(0)->set_count(9); });
       },
       4, true, "recorded 9 records"},
  };
}

TEST(Audit, FindsWhatWasChangedAndNamesTheBatch) {
  std::string log_id;
  const LogDump history = History(&log_id);
  ManualClock clock;
  const auto untouched = log::LoadDump(history, clock);
  const AuditReport good = Audit(*untouched, log_id);
  ASSERT_TRUE(good.status.ok()) << good.status.error().message();
  EXPECT_EQ(good.progress.batches, 8U);
  EXPECT_EQ(good.progress.decisions, static_cast<std::uint64_t>(kEvents));
  EXPECT_FALSE(good.mismatch.has_value());

  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    LogDump dump = history;
    c.tamper(&dump);
    const auto log = log::LoadDump(dump, clock);
    const AuditReport report = Audit(*log, log_id);
    ASSERT_FALSE(report.status.ok());
    EXPECT_EQ(report.status.error().code(), ErrorCode::kCorrupt);
    ASSERT_TRUE(report.mismatch.has_value()) << report.status.error().message();
    EXPECT_EQ(report.mismatch->seq, c.seq);
    EXPECT_GT(report.mismatch->journal_offset, 0);
    EXPECT_EQ(report.mismatch->history_changed, c.history_changed);
    EXPECT_THAT(report.mismatch->what, HasSubstr(c.what));
    EXPECT_THAT(report.status.error().message(),
                HasSubstr(c.history_changed ? "history changed" : "the engine differs"));
    EXPECT_THAT(report.status.error().message(), HasSubstr("seq " + std::to_string(c.seq)));
  }
}

TEST(Audit, FindsAJournalRecordThatWasRemovedOrChanged) {
  std::string log_id;
  const LogDump history = History(&log_id);
  ManualClock clock;
  LogDump removed = history;
  removed.Remove({Topic::kJournal, 0}, Nth(&removed, Topic::kJournal, 3)->offset);
  const AuditReport gap = Audit(*log::LoadDump(removed, clock), log_id);
  ASSERT_FALSE(gap.status.ok());
  EXPECT_EQ(gap.status.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(gap.status.error().message(), HasSubstr("seq 5 follows 3"));

  LogDump changed = history;
  v1::JournalRecord record;
  DumpedRecord* stored = Nth(&changed, Topic::kJournal, 3);
  ASSERT_TRUE(record.ParseFromString(stored->value));
  record.set_instance("somebody else");
  stored->value = journal::EncodeJournal(record);
  const AuditReport broken = Audit(*log::LoadDump(changed, clock), log_id);
  ASSERT_FALSE(broken.status.ok());
  EXPECT_EQ(broken.status.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(broken.status.error().message(), HasSubstr("prev_hash of seq 5"));

  LogDump junk = history;
  Nth(&junk, Topic::kJournal, 3)->value = "\xff";
  const AuditReport unreadable = Audit(*log::LoadDump(junk, clock), log_id);
  ASSERT_FALSE(unreadable.status.ok());
  EXPECT_EQ(unreadable.status.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(unreadable.status.error().message(), HasSubstr("no journal record"));
}

TEST(Audit, ARecordOfASupersededOwnerIsPassedOver) {
  Story story;
  const auto first = story.Start();
  ASSERT_TRUE(first->RunUntilQuiet().ok());
  const auto second = story.Start(story.store);
  // What no fence would let through: the first owner's next record, after the second's claim.
  v1::JournalRecord stale;
  StampRecord(first->state(), first->task().owner(), story.clock.Now(), 1, &stale);
  stale.set_kind(v1::JOURNAL_KIND_BATCH);
  stale.set_state_root(std::string(16, 'x'));
  story.writer.Raw(Topic::kJournal, schemas::kLogKey, journal::EncodeJournal(stale), 0);
  story.writer.Shop("acme");
  ASSERT_TRUE(second->RunUntilQuiet().ok());
  story.ExpectAuditAgrees(*second);
  EXPECT_EQ(story.Read().dropped, 1U);
}

TEST(Follow, StepGoesToTheEndThatWasSeen) {
  Story story;
  story.writer.Shop("acme");
  const auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  state::MemoryStore store;
  const auto state =
      PartitionState::Open({.log_id = story.log_id(), .fold = {.token_key = StoryKey()}}, store);
  ASSERT_TRUE(state.ok());
  const auto standby = Replayer::Open(story.log, *state.value(), {});
  ASSERT_TRUE(standby.ok());
  std::int64_t end = 0;
  ASSERT_TRUE(standby.value()->CatchUp([&](std::int64_t, std::int64_t to) { end = to; }).ok());
  EXPECT_GT(end, 0);
  EXPECT_EQ(state.value()->tail().seq, 2U);
  story.writer.Order("acme", "o1");
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  EXPECT_FALSE(standby.value()->Step().value());
  ASSERT_TRUE(standby.value()->CatchUp().ok());
  EXPECT_EQ(state.value()->tail().hash, owner->state().tail().hash);
  EXPECT_EQ(state.value()->map().root(), owner->state().map().root());
}

// A log that tells its ends and gives no record.
class MuteLog final : public log::EventLog {
 public:
  explicit MuteLog(log::EventLog& log) : log_(log) {}
  std::string Describe() const override { return log_.Describe(); }
  bool ExclusiveWriter() const override { return log_.ExclusiveWriter(); }
  Result<std::vector<log::TopicInfo>> DescribeTopics(std::chrono::milliseconds timeout) override {
    return log_.DescribeTopics(timeout);
  }
  Status ApplyTopics(const log::TopicPlan& plan, std::chrono::milliseconds timeout) override {
    return log_.ApplyTopics(plan, timeout);
  }
  Result<std::int32_t> Partitions(std::chrono::milliseconds timeout) override {
    return log_.Partitions(timeout);
  }
  Result<std::unique_ptr<log::Reader>> OpenReader(std::span<const log::ReadFrom>) override {
    return std::unique_ptr<log::Reader>(std::make_unique<MuteReader>());
  }
  Result<std::vector<std::int64_t>> Ends(std::span<const log::TopicPartition> partitions,
                                         log::EndKind kind,
                                         std::chrono::milliseconds timeout) override {
    return log_.Ends(partitions, kind, timeout);
  }
  Result<std::vector<log::Appended>> Append(std::span<const log::NewRecord> records,
                                            std::chrono::milliseconds timeout) override {
    return log_.Append(records, timeout);
  }
  Result<std::unique_ptr<log::Transactor>> OpenTransactor(const std::string& id) override {
    return log_.OpenTransactor(id);
  }

 private:
  class MuteReader final : public log::Reader {
   public:
    Result<std::size_t> Fetch(std::size_t, const log::FetchLimits&, log::Fetched*) override {
      return std::size_t{0};
    }
    std::int64_t Position(std::size_t) const override { return 0; }
    void Wait(std::chrono::milliseconds timeout) override { SystemClock().SleepFor(timeout); }
    void Wake() override {}
  };
  log::EventLog& log_;
};

TEST(Follow, WhoIsToldToStopDoesNotWaitForTheLog) {
  Story story;
  story.writer.Shop("acme");
  const auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  state::MemoryStore store;
  const auto state =
      PartitionState::Open({.log_id = story.log_id(), .fold = {.token_key = StoryKey()}}, store);
  MuteLog mute(story.log);
  int asked = 0;
  const auto standby = Replayer::Open(
      mute, *state.value(), {.read_timeout = 60s, .cancelled = [&] { return ++asked > 3; }});
  const Status stopped = standby.value()->CatchUp();
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(asked, 4) << "it was asked while it waited";
}

TEST(Audit, InputsThatCannotBeReadAreNotCalledChanged) {
  Story story;
  story.writer.Shop("acme");
  const auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  story.log.FailReads(Topic::kAccountChanges, true);
  const AuditReport report = Audit(story.log, story.log_id());
  ASSERT_FALSE(report.status.ok());
  EXPECT_EQ(report.status.error().code(), ErrorCode::kUnavailable);
  EXPECT_FALSE(report.mismatch.has_value());
}

}  // namespace
}  // namespace alertstream::runtime

// Restarts: from every flushed point, from nothing, from stores that do not belong to the log.
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/runtime/task.h"
#include "schemas/state.pb.h"
#include "tests/support/log_dump.h"
#include "tests/support/runtime_story.h"

namespace alertstream::runtime {
namespace {

using schemas::Topic;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using namespace std::chrono_literals;

// One batch of everything that can happen.
void AppendMixed(Story& story, int round) {
  story.writer.Order("acme", fmt::format("o{}", round));
  story.writer.Order("acme", fmt::format("o{}", round / 2), "+254712345678");
  story.writer.Order("acme", "", fmt::format("+2547123456{:02}", round));
  if (round % 3 == 0) {
    story.writer.OptOut("acme", fmt::format("+2547123456{:02}", round + 1));
  }
  if (round % 4 == 1) {
    story.writer.Trigger("acme", "paid", [&](v1::Trigger* trigger) {
      trigger->set_template_body(fmt::format("Round {}", round));
    });
  }
  story.writer.Raw(Topic::kSiteEvents, "acme", "{broken", 0);
}

TEST(Recovery, EveryFlushedPointLeadsToTheSameState) {
  constexpr int kRounds = 12;
  Story story;
  story.writer.Shop("acme");
  std::vector<state::MemoryStore> points(1);
  auto owner = story.Start();
  for (int round = 0; round < kRounds; ++round) {
    AppendMixed(story, round);
    story.clock.Advance(10ms);
    ASSERT_TRUE(owner->RunUntilQuiet().ok());
    ASSERT_TRUE(owner->task().Flush().ok());
    points.push_back(story.store);
  }
  const std::string root = owner->RootHex();
  const std::uint64_t seq = owner->state().tail().seq;
  story.ExpectAuditAgrees(*owner);
  // What the store holds is what the fold holds.
  state::StateRoot sum;
  for (const auto& [key, value] : story.store.entries()) {
    sum.Add(state::StateRoot::OfEntry(key, value));
  }
  EXPECT_EQ(ToHex(sum.ToBytes()), root);

  for (std::size_t behind = 0; behind < points.size(); ++behind) {
    owner = story.Start(points[behind]);
    EXPECT_EQ(owner->RootHex(), root) << behind;
    EXPECT_EQ(owner->state().tail().seq, seq + behind + 1) << "one claim each";
  }
  story.ExpectAuditAgrees(*owner);
}

TEST(Recovery, AStoreWithATinyCacheLeadsToTheSameState) {
  Story story;
  story.writer.Shop("acme");
  const auto owner = story.Start(story.store, {.cache_bytes = 1});
  for (int round = 0; round < 8; ++round) {
    AppendMixed(story, round);
    ASSERT_TRUE(owner->RunUntilQuiet().ok());
    ASSERT_TRUE(owner->task().Flush().ok());
  }
  story.ExpectAuditAgrees(*owner);
  story.ExpectAuditAgrees(*owner, {.cache_bytes = 1});
}

TEST(Recovery, AbortedTransactionsAfterTheTailDoNotHideIt) {
  Story story;
  story.writer.Shop("acme");
  auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  const log::NewRecord record{Topic::kJournal, 0, schemas::kLogKey, "aborted"};
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(story.log.Begin("stranger", std::span(&record, 1)).value().Abort().ok());
  }
  ASSERT_TRUE(owner->task().Flush().ok());
  const std::string root = owner->RootHex();
  owner = story.Start();
  EXPECT_EQ(owner->RootHex(), root);
}

TEST(Recovery, ADeletedStoreIsRebuilt) {
  Story story;
  story.writer.Shop("acme");
  auto owner = story.Start();
  for (int round = 0; round < 5; ++round) {
    AppendMixed(story, round);
    ASSERT_TRUE(owner->RunUntilQuiet().ok());
  }
  ASSERT_TRUE(owner->task().Flush().ok());
  const std::string root = owner->RootHex();
  owner.reset();
  ASSERT_TRUE(story.store.Clear().ok());
  owner = story.Start();
  EXPECT_EQ(owner->RootHex(), root);
  EXPECT_EQ(story.Read().DecisionsByEvent().size(), story.Read().decisions.size());
}

// The log as it was before its last `batches` journal records.
std::unique_ptr<log::MemoryEventLog> OlderCopy(Story& story, int batches) {
  auto dump = log::ReadDump(story.log, kStoryTimeout).value();
  for (int i = 0; i < batches; ++i) {
    std::int64_t last = 0;
    for (const auto& record : dump.records) {
      last = record.where.topic == Topic::kJournal ? std::max(last, record.offset) : last;
    }
    dump.Remove({Topic::kJournal, 0}, last);
  }
  return log::LoadDump(dump, story.clock);
}

TEST(Recovery, AJournalWhoseTailIsNotVisibleYetIsNotReadFromItsBeginning) {
  Story story;
  story.writer.Shop("acme");
  const auto owner = story.Start();
  for (int round = 0; round < 30; ++round) {
    story.writer.Order("acme", "");
    ASSERT_TRUE(owner->RunUntilQuiet().ok());
  }
  ASSERT_TRUE(owner->task().Flush().ok());
  const auto older = OlderCopy(story, 1);
  const auto state = PartitionState::Open(
      {.log_id = story.log_id(), .fold = {.token_key = StoryKey()}}, story.store);
  ASSERT_TRUE(state.ok());
  const std::int64_t hint = state.value()->journal_hint();
  ASSERT_GT(hint, 0);
  const auto near = Replayer::Open(*older, *state.value(), {.near_hint = true});
  const Status refused = near.value()->CatchUp();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kConflict);
  EXPECT_EQ(state.value()->journal_hint(), hint);
  ASSERT_TRUE(
      Replayer::Open(story.log, *state.value(), {.near_hint = true}).value()->CatchUp().ok());
}

TEST(Recovery, AStoreAheadOfTheJournalIsRefused) {
  for (const int missing : {1, 2, 4}) {
    Story story;
    story.writer.Shop("acme");
    const auto owner = story.Start();
    for (int round = 0; round < 5; ++round) {
      AppendMixed(story, round);
      ASSERT_TRUE(owner->RunUntilQuiet().ok());
    }
    ASSERT_TRUE(owner->task().Flush().ok());
    const auto older = OlderCopy(story, missing);
    const auto refused = Instance::Start(*older, story.clock, story.log_id(), story.store);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code(), ErrorCode::kConflict);
    EXPECT_THAT(refused.error().message(), HasSubstr("ahead of the journal"));
    EXPECT_THAT(refused.error().message(), HasSubstr("seq 6"));

    // Once the older log went on by itself the store is of another history.
    state::MemoryStore fresh;
    const auto elsewhere = Instance::Start(*older, story.clock, story.log_id(), fresh);
    ASSERT_TRUE(elsewhere.ok()) << elsewhere.error().message();
    StoryWriter writer(*older, 1);
    for (int i = 0; i < 6; ++i) {
      writer.Order("acme", "");
      ASSERT_TRUE(elsewhere.value()->RunUntilQuiet().ok());
    }
    const auto foreign = Instance::Start(*older, story.clock, story.log_id(), story.store);
    ASSERT_FALSE(foreign.ok());
    EXPECT_EQ(foreign.error().code(), ErrorCode::kConflict);
    EXPECT_THAT(foreign.error().message(), HasSubstr("another history"));
  }
}

TEST(Recovery, AStoreOfAnotherFormatIsRefusedWithTheRemedy) {
  Story story;
  story.writer.Shop("acme");
  auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  ASSERT_TRUE(owner->task().Flush().ok());
  v1::StoreMeta meta;
  ASSERT_TRUE(meta.ParseFromString(story.store.Meta().value().value()));
  meta.set_format(meta.format() - 1);
  ASSERT_TRUE(story.store.Apply({}, meta.SerializeAsString()).ok());
  const auto refused = PartitionState::Open(owner->state().config(), story.store);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(refused.error().message(), HasSubstr("written in format 1, this program reads 2"));
  EXPECT_THAT(refused.error().message(), HasSubstr("delete the state directory"));
}

TEST(Recovery, AStoreOfAnotherLogOrPartitionIsRefused) {
  Story story(2);
  const auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  ASSERT_TRUE(owner->task().Flush().ok());
  Story other(2);
  const auto refused = Instance::Start(other.log, other.clock, other.log_id(), story.store,
                                       {.partition = 0, .partitions = 2});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(refused.error().message(), HasSubstr("belongs to another log"));
  EXPECT_THAT(refused.error().message(), HasSubstr(ToHex(story.log_id())));
  const auto partition = Instance::Start(story.log, story.clock, story.log_id(), story.store,
                                         {.partition = 1, .partitions = 2});
  ASSERT_FALSE(partition.ok());
  EXPECT_EQ(partition.error().code(), ErrorCode::kConflict);
}

TEST(Recovery, AMetaThatCannotBeReadIsRefusedWithItsRemedy) {
  v1::StoreMeta short_hash;
  short_hash.set_format(1);
  short_hash.set_state_root(std::string(16, 'r'));
  short_hash.set_journal_hash("short");
  for (const std::string& meta : {std::string("\xff\xff\xff"), short_hash.SerializeAsString()}) {
    Story story;
    ASSERT_TRUE(story.store.Apply({}, meta).ok());
    const auto refused = Instance::Start(story.log, story.clock, story.log_id(), story.store);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code(), ErrorCode::kCorrupt);
    EXPECT_THAT(refused.error().message(), HasSubstr("delete the state directory"));
  }
}

TEST(Recovery, AJournalOfAnotherLogIsRefused) {
  Story story;
  const auto owner = story.Start();
  state::MemoryStore fresh;
  const auto refused = Instance::Start(story.log, story.clock, std::string(16, 'x'), fresh);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(refused.error().message(), HasSubstr("another log"));
}

TEST(Recovery, ACancelledCatchUpEndsEarly) {
  Story story;
  story.writer.Shop("acme");
  auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  state::MemoryStore fresh;
  InstanceOptions options;
  options.task.cancelled = [] { return true; };
  const auto cancelled = Instance::Start(story.log, story.clock, story.log_id(), fresh, options);
  ASSERT_FALSE(cancelled.ok());
  EXPECT_EQ(cancelled.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(cancelled.error().message(), HasSubstr("stopped"));
}

TEST(FlushedState, IsWrittenWithinASecondOnAQuietPartition) {
  Story story;
  story.writer.Shop("acme");
  const auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  EXPECT_FALSE(owner->state().flushed());
  story.clock.Advance(1001ms);
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  EXPECT_TRUE(owner->state().flushed());
}

// A store that fails from some write or read on.
class FailingStore final : public state::StateStore {
 public:
  Result<bool> Get(std::string_view key, std::string* value) override {
    if (fail_reads) {
      return Error(ErrorCode::kUnavailable, "the disk does not answer");
    }
    return store.Get(key, value);
  }
  Status Scan(std::string_view from, std::string_view to, const Visit& visit) override {
    return store.Scan(from, to, visit);
  }
  Status Apply(std::span<const state::StateWrite> writes, std::string_view meta) override {
    if (fail_writes) {
      return Error(ErrorCode::kUnavailable, "the disk is full");
    }
    return store.Apply(writes, meta);
  }
  std::uint64_t KeysEstimate() override { return store.KeysEstimate(); }
  Result<std::optional<std::string>> Meta() override { return store.Meta(); }
  Status Clear() override { return store.Clear(); }

  state::MemoryStore store;
  bool fail_reads = false;
  bool fail_writes = false;
};

TEST(FailingState, ReadsThatFailCommitNothingAndEndTheTask) {
  Story story;
  story.writer.Shop("acme");
  FailingStore store;
  // Without memory of its own the map asks the store for the person again.
  auto owner = story.Start(store, {.cache_bytes = 1});
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  ASSERT_TRUE(owner->task().Flush().ok());
  const auto seq = owner->state().tail().seq;
  store.fail_reads = true;
  story.writer.Order("acme", "o1");
  const auto ran = owner->RunOnce();
  ASSERT_FALSE(ran.ok());
  EXPECT_THAT(ran.error().message(), HasSubstr("does not answer"));
  EXPECT_FALSE(owner->task().CanGoOn(ran.error()));
  EXPECT_EQ(story.Read().journal.size(), seq);
  store.fail_reads = false;
  owner.reset();
  owner = story.Start(store);
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  EXPECT_THAT(story.Read().decisions, SizeIs(1));
  story.ExpectAuditAgrees(*owner);
}

TEST(FailingState, AStandbyWritesNothingOfABatchThatItCouldNotRead) {
  Story story;
  story.writer.Shop("acme");
  const auto owner = story.Start();
  story.writer.Order("acme", "o1");
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  FailingStore store;
  const PartitionConfig config{
      .log_id = story.log_id(), .fold = {.token_key = StoryKey()}, .cache_bytes = 1};
  auto state = PartitionState::Open(config, store).value();
  auto standby = Replayer::Open(story.log, *state, {}).value();
  ASSERT_TRUE(standby->CatchUp().ok());
  ASSERT_TRUE(state->Flush().ok());
  const auto before = store.store.entries();
  const auto meta = store.store.Meta().value();
  story.writer.Order("acme", "o2");
  story.writer.Order("acme", "o3");
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  store.fail_reads = true;
  const Status followed = standby->CatchUp();
  ASSERT_FALSE(followed.ok());
  EXPECT_EQ(followed.error().code(), ErrorCode::kUnavailable);
  store.fail_reads = false;
  const Status flushed = state->Flush();
  ASSERT_FALSE(flushed.ok());
  EXPECT_THAT(flushed.error().message(), HasSubstr("does not answer"));
  EXPECT_EQ(store.store.entries(), before);
  EXPECT_EQ(store.store.Meta().value(), meta);

  standby.reset();
  state = PartitionState::Open(config, store).value();
  standby = Replayer::Open(story.log, *state, {}).value();
  ASSERT_TRUE(standby->CatchUp().ok());
  EXPECT_EQ(state->map().root(), owner->state().map().root());
}

TEST(FailingState, AStateWhoseRootIsNotTheJournalsIsDamaged) {
  Story story;
  story.writer.Shop("acme");
  auto owner = story.Start();
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  ASSERT_TRUE(owner->task().Flush().ok());
  owner.reset();
  v1::StoreMeta meta;
  ASSERT_TRUE(meta.ParseFromString(*story.store.Meta().value()));
  meta.set_state_root(std::string(meta.state_root().size(), 'r'));
  ASSERT_TRUE(story.store.Apply({}, meta.SerializeAsString()).ok());
  const auto refused = Instance::Start(story.log, story.clock, story.log_id(), story.store);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(refused.error().message(), HasSubstr("its root is"));
  const auto state = PartitionState::Open(
      {.log_id = story.log_id(), .fold = {.token_key = StoryKey()}}, story.store);
  const auto replayer = Replayer::Open(story.log, *state.value(), {});
  EXPECT_FALSE(replayer.value()->CatchUp().ok());
  EXPECT_TRUE(state.value()->differs());
}

TEST(FailingState, WritesThatFailEndTheTask) {
  Story story;
  story.writer.Shop("acme");
  FailingStore store;
  auto owner = story.Start(store);
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  store.fail_writes = true;
  story.clock.Advance(2s);
  const auto ran = owner->RunOnce();
  ASSERT_FALSE(ran.ok());
  EXPECT_THAT(ran.error().message(), HasSubstr("disk is full"));
  EXPECT_FALSE(owner->task().CanGoOn(ran.error()));
  store.fail_writes = false;
  owner.reset();
  owner = story.Start(store);
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  story.ExpectAuditAgrees(*owner);
}

}  // namespace
}  // namespace alertstream::runtime

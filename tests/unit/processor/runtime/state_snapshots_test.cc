// A lost or damaged state is replaced by the newest snapshot that proves whole.
#include "processor/runtime/state_snapshots.h"

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/runtime_story.h"

namespace alertstream::runtime {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using namespace std::chrono_literals;

// A partition's disk: what its store holds, and snapshots as copies of it. Restoring and putting
// aside change what the next open finds.
class FakeDisk final : public state::SnapshotStore {
 public:
  Status Save(const state::Snapshot& snapshot, state::StateStore& store) override {
    if (fail_saves) {
      return Error(ErrorCode::kUnavailable, "the disk is full");
    }
    EXPECT_EQ(&store, present.get());
    kept[snapshot.seq] = {snapshot, *present};
    return Status::Ok();
  }
  Result<std::vector<state::Snapshot>> List(std::int32_t /*partition*/) override {
    std::vector<state::Snapshot> all;
    for (auto each = kept.rbegin(); each != kept.rend(); ++each) {
      all.push_back(each->second.first);
    }
    return all;
  }
  Status Restore(const state::Snapshot& snapshot) override {
    if (restore_fails) {
      return Error(ErrorCode::kUnavailable, "no space left");
    }
    static_cast<void>(PutAside(0));
    *present = kept.at(snapshot.seq).second;
    return Status::Ok();
  }
  Status PutAside(std::int32_t /*partition*/) override {
    if (there()) {
      aside = damaged ? "damaged" : "whole";
    }
    return Discard(0);
  }
  Status Discard(std::int32_t /*partition*/) override {
    *present = state::MemoryStore();
    damaged = false;
    return Status::Ok();
  }
  bool there() const { return damaged || !present->entries().empty(); }
  Status Trim(std::int32_t /*partition*/, std::size_t count) override {
    while (kept.size() > count) {
      kept.erase(kept.begin());
    }
    return Status::Ok();
  }

  std::unique_ptr<state::MemoryStore> present = std::make_unique<state::MemoryStore>();
  bool damaged = false;  // Opening it fails.
  bool fail_saves = false;
  bool restore_fails = false;
  std::string aside;  // What was put aside last.
  std::map<std::uint64_t, std::pair<state::Snapshot, state::MemoryStore>> kept;
};

// The disk's store while it is open.
class OpenStore final : public state::StateStore {
 public:
  explicit OpenStore(state::MemoryStore& store) : store_(store) {}
  Result<bool> Get(std::string_view key, std::string* value) override {
    return store_.Get(key, value);
  }
  Status Scan(std::string_view from, std::string_view to, const Visit& visit) override {
    return store_.Scan(from, to, visit);
  }
  Status Apply(std::span<const state::StateWrite> writes, std::string_view meta) override {
    return store_.Apply(writes, meta);
  }
  std::uint64_t KeysEstimate() override { return store_.KeysEstimate(); }
  Result<std::optional<std::string>> Meta() override { return store_.Meta(); }
  Status Clear() override { return store_.Clear(); }

 private:
  state::MemoryStore& store_;
};

class StateSnapshotsTest : public ::testing::Test {
 protected:
  // Decides `rounds` orders, each in a batch of its own, and keeps a snapshot after each.
  void Decide(int rounds) {
    story_.writer.Shop("acme");
    auto owner = story_.Start(*disk_.present);
    SnapshotMaker maker(policy_, story_.clock, owner->state());
    for (int i = 0; i < rounds; ++i) {
      story_.writer.Order("acme", "");
      ASSERT_TRUE(owner->RunUntilQuiet().ok());
      ASSERT_TRUE(owner->task().Flush().ok());
      const SnapshotNote note = maker.Make(owner->state(), *disk_.present);
      ASSERT_EQ(note.event, SnapshotEvent::kMade) << note.error;
      seqs_.push_back(note.seq);
    }
  }

  Result<OpenedState> Open(bool damaged = false, std::set<std::uint64_t> differing = {}) {
    const PartitionConfig config{
        .log_id = story_.log_id(),
        .fold = {.token_key = StoryKey(), .partition = 0, .partitions = 1}};
    return OpenState(
        config, story_.clock,
        {.open_store = [this](std::int32_t) -> Result<std::unique_ptr<state::StateStore>> {
           if (disk_.damaged) {
             return Error(ErrorCode::kCorrupt, "a file is missing");
           }
           return std::unique_ptr<state::StateStore>(std::make_unique<OpenStore>(*disk_.present));
         },
         .snapshots = &disk_,
         .damaged = damaged,
         .differing = std::move(differing),
         .note = [this](const SnapshotNote& note) { notes_.push_back(note); }});
  }

  std::vector<SnapshotEvent> Events() const {
    std::vector<SnapshotEvent> events;
    for (const auto& note : notes_) {
      events.push_back(note.event);
    }
    return events;
  }

  Story story_;
  FakeDisk disk_;
  SnapshotPolicy policy_{.store = std::shared_ptr<state::SnapshotStore>(&disk_, [](auto*) {}),
                         .every = 10min,
                         .batches = 100,
                         .kept = 2};
  std::vector<std::uint64_t> seqs_;
  std::vector<SnapshotNote> notes_;
};

TEST_F(StateSnapshotsTest, AStateThatIsThereIsTakenAsItIs) {
  Decide(3);
  EXPECT_THAT(disk_.kept, SizeIs(2)) << "two are kept";
  const auto opened = Open();
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  EXPECT_EQ(opened.value().state->tail().seq, seqs_[2]);
  EXPECT_THAT(notes_, SizeIs(0));
}

TEST_F(StateSnapshotsTest, ALostStateComesBackFromTheNewestAndGoesOnLikeTheOther) {
  Decide(3);
  story_.writer.Order("acme", "later");
  auto other = story_.Start(*disk_.present);
  ASSERT_TRUE(other->RunUntilQuiet().ok());
  const std::string root = other->RootHex();
  other.reset();
  *disk_.present = state::MemoryStore();
  {
    const auto opened = Open();
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    EXPECT_EQ(opened.value().state->tail().seq, seqs_[2]);
    EXPECT_THAT(Events(), ElementsAre(SnapshotEvent::kRestored));
  }
  const auto owner = story_.Start(*disk_.present);
  EXPECT_EQ(owner->RootHex(), root);
  story_.ExpectAuditAgrees(*owner);
}

TEST_F(StateSnapshotsTest, ASnapshotWithAnotherKeyIsRefusedAndTheNextOlderTaken) {
  Decide(3);
  state::MemoryStore& newest = disk_.kept.at(seqs_[2]).second;
  const auto meta = newest.Meta().value();
  const state::StateWrite rot[] = {{"acme\x01rot", "x"}};
  ASSERT_TRUE(newest.Apply(rot, *meta).ok());
  const auto opened = Open(true);
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  EXPECT_EQ(opened.value().state->tail().seq, seqs_[1]);
  EXPECT_THAT(Events(), ElementsAre(SnapshotEvent::kRefused, SnapshotEvent::kRestored));
  EXPECT_THAT(notes_[0].error, HasSubstr("do not add up"));
}

TEST_F(StateSnapshotsTest, AnErrorThatMayPassRefusesNoSnapshotAndIsReturned) {
  Decide(3);
  disk_.damaged = true;
  disk_.restore_fails = true;
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto failed = Open();
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().code(), ErrorCode::kUnavailable);
    EXPECT_THAT(failed.error().message(), HasSubstr("no space"));
  }
  EXPECT_THAT(Events(), ElementsAre(SnapshotEvent::kRefused, SnapshotEvent::kRefused))
      << "the damaged state, twice; no snapshot";
  disk_.restore_fails = false;
  const auto opened = Open();
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  EXPECT_EQ(opened.value().state->tail().seq, seqs_[2]);
}

TEST_F(StateSnapshotsTest, TheFirstDamagedStateStaysPutAsideWhateverIsTriedAfterIt) {
  Decide(3);
  for (const std::size_t rotten : {2U, 1U}) {
    state::MemoryStore& store = disk_.kept.at(seqs_[rotten]).second;
    const auto meta = store.Meta().value();
    const state::StateWrite rot[] = {{"acme\x01rot", "x"}};
    ASSERT_TRUE(store.Apply(rot, *meta).ok());
  }
  disk_.damaged = true;
  {
    const auto opened = Open();
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    EXPECT_EQ(opened.value().state->tail().seq, 0U) << "both snapshots were refused";
  }
  EXPECT_EQ(disk_.aside, "damaged");
  // Nor does the empty state of a start that got no further take its place.
  const auto again = Open();
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_EQ(disk_.aside, "damaged");
}

TEST_F(StateSnapshotsTest, ASnapshotOfAPointWhereTheJournalHasAnotherRootIsRefused) {
  Decide(3);
  const auto opened = Open(true, {seqs_[2]});
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  EXPECT_EQ(opened.value().state->tail().seq, seqs_[1]);
  EXPECT_THAT(Events(), ElementsAre(SnapshotEvent::kRefused, SnapshotEvent::kRestored));
}

TEST_F(StateSnapshotsTest, WithoutAnyThatIsWholeItBeginsAtTheBeginning) {
  Decide(2);
  for (auto& [seq, snapshot] : disk_.kept) {
    ASSERT_TRUE(snapshot.second.Clear().ok());
  }
  disk_.damaged = true;
  const auto opened = Open();
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  EXPECT_EQ(opened.value().state->tail().seq, 0U);
  EXPECT_THAT(Events(), ElementsAre(SnapshotEvent::kRefused, SnapshotEvent::kRefused,
                                    SnapshotEvent::kRefused));
}

TEST_F(StateSnapshotsTest, AStateOfAnotherLogIsNeverReplaced) {
  Decide(1);
  Story other;
  other.writer.Shop("acme");
  state::MemoryStore foreign;
  auto owner = other.Start(foreign);
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  ASSERT_TRUE(owner->task().Flush().ok());
  *disk_.present = foreign;
  const auto refused = Open();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kConflict);
  EXPECT_EQ(disk_.present->entries(), foreign.entries());
}

TEST_F(StateSnapshotsTest, OneIsDueAfterTheTimeOrTheBatchesIfAnythingHappened) {
  story_.writer.Shop("acme");
  const auto owner = story_.Start(*disk_.present);
  SnapshotMaker maker(policy_, story_.clock, owner->state());
  story_.clock.Advance(11min);
  EXPECT_FALSE(maker.Due(owner->state())) << "nothing new";
  owner->ask_horizon = true;
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  EXPECT_TRUE(maker.Due(owner->state()));
  ASSERT_TRUE(owner->task().Flush().ok());
  EXPECT_EQ(maker.Make(owner->state(), *disk_.present).event, SnapshotEvent::kMade);
  for (int i = 0; i < 99; ++i) {
    story_.writer.Order("acme", "");
    ASSERT_TRUE(owner->RunUntilQuiet().ok());
  }
  EXPECT_FALSE(maker.Due(owner->state()));
  story_.writer.Order("acme", "");
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  EXPECT_TRUE(maker.Due(owner->state()));

  // One that failed is not tried again at once: a full disk must not stop every batch.
  ASSERT_TRUE(owner->task().Flush().ok());
  disk_.fail_saves = true;
  const SnapshotNote note = maker.Make(owner->state(), *disk_.present);
  EXPECT_EQ(note.event, SnapshotEvent::kFailed);
  EXPECT_THAT(note.error, HasSubstr("disk is full"));
  EXPECT_FALSE(maker.Due(owner->state()));
  policy_.kept = 0;
  story_.clock.Advance(11min);
  story_.writer.Order("acme", "");
  ASSERT_TRUE(owner->RunUntilQuiet().ok());
  EXPECT_FALSE(maker.Due(owner->state())) << "none are to be kept";
}

TEST(ProgressMeter, TellsARateAndWhatIsLeft) {
  ManualClock clock;
  ProgressMeter meter(clock);
  EXPECT_EQ(meter.At(100, 1100).per_second, 0);
  clock.Advance(2s);
  const Progress progress = meter.At(300, 1100);
  EXPECT_DOUBLE_EQ(progress.per_second, 100);
  EXPECT_DOUBLE_EQ(progress.eta_seconds, 8);
}

}  // namespace
}  // namespace alertstream::runtime

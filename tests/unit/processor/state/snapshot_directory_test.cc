// Snapshots of a RocksDB state: whole or not there, restored to the key, damage shown by the sum.
#include "processor/state/directory/snapshot_directory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/state/memory/memory_store.h"
#include "processor/state/rocksdb/rocksdb_store.h"
#include "processor/state/rocksdb/state_reader.h"
#include "tests/support/local_log_fixture.h"

namespace alertstream::state {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

bool BeginsWithH(std::string_view key) { return key.starts_with("h"); }

class SnapshotDirectoryTest : public ::testing::Test {
 protected:
  std::string StatePath() const { return directory_.path() + "/state/0"; }

  void Open() {
    fs::create_directories(directory_.path() + "/state");
    auto opened = OpenRocksDbStore(StatePath(), BeginsWithH, StoreMemory::Create(8 << 20));
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    store_ = std::move(opened).value();
  }

  // Writes `count` keys of each family named by `seq`, in one batch.
  void Write(std::uint64_t seq, int count = 3) {
    std::vector<std::string> keys;
    for (const char* family : {"a", "h"}) {
      for (int i = 0; i < count; ++i) {
        keys.push_back(std::string(family) + std::to_string(seq) + "-" +
                       std::to_string(100'000 + i));
      }
    }
    std::vector<StateWrite> writes;
    for (const auto& key : keys) {
      writes.push_back({key, key});
      root_.Add(StateRoot::OfEntry(key, key));
    }
    ASSERT_TRUE(store_->Apply(writes, "meta " + std::to_string(seq)).ok());
    seq_ = seq;
  }

  Snapshot Save() {
    const Snapshot snapshot{.partition = 0,
                            .seq = seq_,
                            .journal_hash = std::string(32, static_cast<char>(seq_)),
                            .root = root_,
                            .keys = store_->KeysEstimate()};
    const Status saved = snapshots_->Save(snapshot, *store_);
    EXPECT_TRUE(saved.ok()) << saved.error().message();
    return snapshot;
  }

  const log::TemporaryDirectory directory_;
  std::unique_ptr<SnapshotStore> snapshots_ =
      OpenSnapshotDirectory({.directory = directory_.path() + "/snapshots",
                             .state_directory = directory_.path() + "/state"});
  std::unique_ptr<StateStore> store_;
  StateRoot root_;
  std::uint64_t seq_ = 0;
};

TEST_F(SnapshotDirectoryTest, HoldsExactlyThePointThatItIsNamedBy) {
  Open();
  constexpr int kFile = 5000;  // Large enough to come as files.
  std::vector<Snapshot> made;
  Write(1);
  made.push_back(Save());
  Write(2, kFile);
  made.push_back(Save());
  Write(3);
  made.push_back(Save());
  Write(4);
  store_.reset();
  EXPECT_THAT(snapshots_->List(0).value(), ElementsAre(made[2], made[1], made[0]));
  EXPECT_THAT(snapshots_->List(1).value(), IsEmpty());

  for (const Snapshot& snapshot : made) {
    ASSERT_TRUE(snapshots_->Restore(snapshot).ok());
    Open();
    EXPECT_EQ(store_->Meta().value(), "meta " + std::to_string(snapshot.seq));
    EXPECT_EQ(SumOf(*store_, nullptr).value(), snapshot.root);
    // The restored state is written to without touching the snapshot.
    Write(9, kFile);
    store_.reset();
  }
  // Once more, after others were written into the same files' directory.
  ASSERT_TRUE(snapshots_->Restore(made[0]).ok());
  Open();
  EXPECT_EQ(SumOf(*store_, nullptr).value(), made[0].root);
}

TEST_F(SnapshotDirectoryTest, WhatLayThereIsPutAside) {
  Open();
  Write(1);
  const Snapshot first = Save();
  Write(2);
  store_.reset();
  ASSERT_TRUE(snapshots_->Restore(first).ok());
  const auto aside = OpenStateReader(StatePath() + ".aside", BeginsWithH);
  ASSERT_TRUE(aside.ok()) << aside.error().message();
  EXPECT_EQ(aside.value()->Meta().value(), "meta 2");
  ASSERT_TRUE(snapshots_->PutAside(0).ok());
  EXPECT_FALSE(fs::exists(StatePath()));
  ASSERT_TRUE(snapshots_->PutAside(0).ok()) << "nothing lies there";
}

TEST_F(SnapshotDirectoryTest, WhatIsDiscardedIsGoneAndWhatWasPutAsideStays) {
  Open();
  Write(1);
  const Snapshot first = Save();
  Write(2);
  store_.reset();
  ASSERT_TRUE(snapshots_->Restore(first).ok());
  ASSERT_TRUE(snapshots_->Discard(0).ok());
  EXPECT_FALSE(fs::exists(StatePath()));
  ASSERT_TRUE(snapshots_->Restore(first).ok());
  const auto aside = OpenStateReader(StatePath() + ".aside", BeginsWithH);
  ASSERT_TRUE(aside.ok()) << aside.error().message();
  EXPECT_EQ(aside.value()->Meta().value(), "meta 2");
}

TEST_F(SnapshotDirectoryTest, ASnapshotThatCannotBeRestoredLeavesTheStateAndNothingElse) {
  Open();
  Write(1);
  const Snapshot first = Save();
  store_.reset();
  for (const auto& entry : fs::directory_iterator(directory_.path() + "/snapshots/0")) {
    fs::remove_all(entry.path() / "state");
  }
  const Status lost = snapshots_->Restore(first);
  ASSERT_FALSE(lost.ok());
  EXPECT_EQ(lost.error().code(), ErrorCode::kCorrupt) << "its files are gone for good";
  EXPECT_TRUE(fs::exists(StatePath()));
  EXPECT_FALSE(fs::exists(StatePath() + ".unfinished"));
  EXPECT_FALSE(fs::exists(StatePath() + ".aside"));
}

TEST_F(SnapshotDirectoryTest, ASnapshotThatCannotBeLookedAtIsNotDeleted) {
  Open();
  Write(1);
  const Snapshot first = Save();
  Write(2);
  Save();
  // A manifest that leads to itself: whether it is there cannot be told.
  const fs::path parent = directory_.path() + "/snapshots/0";
  const fs::path strange = parent / "00000000000000000008-cd";
  fs::create_directories(strange / "state");
  fs::create_symlink("manifest", strange / "manifest");
  EXPECT_FALSE(snapshots_->List(0).ok());
  EXPECT_FALSE(snapshots_->Trim(0, 1).ok());
  EXPECT_TRUE(fs::exists(strange / "state"));
  fs::remove(strange / "manifest");
  EXPECT_EQ(snapshots_->List(0).value().size(), 2U);
}

TEST_F(SnapshotDirectoryTest, AFileThatTheDiskDoesNotGiveBackIsDamage) {
  Open();
  Write(1, 5000);
  // Whoever reads where nothing of this process lies gets what a failing disk gives: EIO.
  const int unreadable = ::open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(unreadable, 0);
  int replaced = 0;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    if (fs::read_symlink(entry.path(), gone).extension() == ".sst") {
      ASSERT_GE(::dup2(unreadable, std::stoi(entry.path().filename())), 0);
      ++replaced;
    }
  }
  ::close(unreadable);
  ASSERT_GT(replaced, 0);
  std::string value;
  const auto got = store_->Get("a1-100000", &value);
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code(), ErrorCode::kCorrupt) << got.error().message();
  const Status scanned = store_->Scan("a", "z", [](auto, auto) { return true; });
  ASSERT_FALSE(scanned.ok());
  EXPECT_EQ(scanned.error().code(), ErrorCode::kCorrupt) << scanned.error().message();
}

// Another process works on it.
TEST_F(SnapshotDirectoryTest, AStateThatIsLockedIsNotDamaged) {
  Open();
  const auto second = OpenRocksDbStore(StatePath(), BeginsWithH, StoreMemory::Create(8 << 20));
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), ErrorCode::kUnavailable) << second.error().message();
}

TEST_F(SnapshotDirectoryTest, KeepsTheNewestAndClearsWhatWasNotFinished) {
  Open();
  std::vector<Snapshot> made;
  for (std::uint64_t seq = 1; seq <= 4; ++seq) {
    Write(seq);
    made.push_back(Save());
  }
  const fs::path parent = directory_.path() + "/snapshots/0";
  fs::create_directories(parent / "00000000000000000009-ab.unfinished/state");
  fs::create_directories(parent / "00000000000000000008-cd");
  EXPECT_EQ(snapshots_->List(0).value().size(), 4U);
  ASSERT_TRUE(snapshots_->Trim(0, 2).ok());
  EXPECT_THAT(snapshots_->List(0).value(), ElementsAre(made[3], made[2]));
  EXPECT_EQ(std::distance(fs::directory_iterator(parent), fs::directory_iterator()), 2);
}

TEST_F(SnapshotDirectoryTest, ADamagedManifestIsNoSnapshot) {
  Open();
  Write(1);
  Save();
  Write(2);
  const Snapshot second = Save();
  for (const auto& entry : fs::directory_iterator(directory_.path() + "/snapshots/0")) {
    if (entry.path().filename().string().starts_with("00000000000000000001")) {
      std::ofstream(entry.path() / "manifest") << "alertstream-snapshot 1\nseq 7\n";
    }
  }
  EXPECT_THAT(snapshots_->List(0).value(), ElementsAre(second));
}

TEST_F(SnapshotDirectoryTest, AMissingFileOfARestoredStateIsDamage) {
  Open();
  Write(1, 5000);
  const Snapshot snapshot = Save();
  store_.reset();
  for (const auto& entry : fs::recursive_directory_iterator(directory_.path() + "/snapshots")) {
    if (entry.path().extension() == ".sst") {
      fs::remove(entry.path());
      break;
    }
  }
  ASSERT_TRUE(snapshots_->Restore(snapshot).ok());
  const auto opened = OpenRocksDbStore(StatePath(), BeginsWithH, StoreMemory::Create(8 << 20));
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code(), ErrorCode::kCorrupt);
}

TEST_F(SnapshotDirectoryTest, AStoreInMemoryCannotBeKept) {
  MemoryStore store;
  const Status saved = snapshots_->Save({.partition = 0, .seq = 1, .journal_hash = "h"}, store);
  ASSERT_FALSE(saved.ok());
  EXPECT_EQ(saved.error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(snapshots_->List(0).value(), IsEmpty());
}

TEST_F(SnapshotDirectoryTest, AReaderWritesNothingBesideTheOwner) {
  Open();
  Write(1);
  const auto listing = [&] {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(StatePath())) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  };
  const auto before = listing();
  const auto reader = OpenStateReader(StatePath(), BeginsWithH);
  ASSERT_TRUE(reader.ok()) << reader.error().message();
  EXPECT_EQ(SumOf(*reader.value(), nullptr).value(), root_);
  EXPECT_EQ(reader.value()->Meta().value(), "meta 1");
  EXPECT_EQ(reader.value()->Apply({}, "x").error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(listing(), before);
  const auto none = OpenStateReader(directory_.path() + "/nowhere", BeginsWithH);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace alertstream::state

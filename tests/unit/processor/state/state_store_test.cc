// One behaviour for every StateStore, and what RocksDB adds: it survives being closed.
#include "processor/state/state_store.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/state/memory/memory_store.h"
#include "processor/state/rocksdb/rocksdb_store.h"
#include "tests/support/local_log_fixture.h"

namespace alertstream::state {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

bool BeginsWithH(std::string_view key) { return key.starts_with("h"); }

std::unique_ptr<StateStore> OpenRocksDb(const std::string& directory) {
  auto store = OpenRocksDbStore(directory, BeginsWithH, StoreMemory::Create(8 << 20));
  EXPECT_TRUE(store.ok()) << store.error().message();
  return store.ok() ? std::move(store).value() : nullptr;
}

std::vector<std::string> Keys(StateStore& store, std::string_view from, std::string_view to,
                              std::size_t count_max = 100) {
  std::vector<std::string> keys;
  const Status scanned = store.Scan(from, to, [&](std::string_view key, std::string_view value) {
    EXPECT_EQ(value, "v:" + std::string(key));
    keys.emplace_back(key);
    return keys.size() < count_max;
  });
  EXPECT_TRUE(scanned.ok());
  return keys;
}

void Put(StateStore& store, const std::vector<std::string>& keys, std::string_view meta) {
  std::vector<std::string> values;
  values.reserve(keys.size());
  std::vector<StateWrite> writes;
  for (const auto& key : keys) {
    values.push_back("v:" + key);
    writes.push_back({key, values.back()});
  }
  ASSERT_TRUE(store.Apply(writes, meta).ok());
}

void ExpectBehaviour(StateStore& store) {
  std::string value;
  EXPECT_EQ(store.Meta().value(), std::nullopt);
  EXPECT_FALSE(store.Get("a", &value).value());
  const std::string with_nul("a\0b", 3);
  const std::string high("a\xff", 2);
  Put(store, {"b", "a", with_nul, high, "c"}, "first");
  EXPECT_EQ(store.Meta().value(), "first");
  EXPECT_TRUE(store.Get(with_nul, &value).value());
  EXPECT_EQ(value, "v:" + with_nul);
  EXPECT_THAT(Keys(store, "a", "c"), ElementsAre("a", with_nul, high, "b"));
  EXPECT_THAT(Keys(store, "a", "c", 2), ElementsAre("a", with_nul));
  EXPECT_THAT(Keys(store, "d", "e"), ElementsAre());

  const StateWrite changes[] = {{"a", std::nullopt}, {"b", "other"}, {"absent", std::nullopt}};
  ASSERT_TRUE(store.Apply(changes, "second").ok());
  EXPECT_FALSE(store.Get("a", &value).value());
  EXPECT_TRUE(store.Get("b", &value).value());
  EXPECT_EQ(value, "other");
  EXPECT_EQ(store.Meta().value(), "second");

  // Both sorts of keys, in one order.
  Put(store, {"g", "h1", "h2", "i"}, "third");
  EXPECT_THAT(Keys(store, "g", "j"), ElementsAre("g", "h1", "h2", "i"));
  EXPECT_THAT(Keys(store, "h2", "j"), ElementsAre("h2", "i"));

  ASSERT_TRUE(store.Clear().ok());
  EXPECT_EQ(store.Meta().value(), std::nullopt);
  EXPECT_FALSE(store.Get("h1", &value).value());
  EXPECT_FALSE(store.Get("b", &value).value());
}

TEST(MemoryStore, BehavesAsAStore) {
  MemoryStore store;
  ExpectBehaviour(store);
}

TEST(RocksDbStore, BehavesAsAStore) {
  const log::TemporaryDirectory directory;
  const auto store = OpenRocksDb(directory.path() + "/state");
  ASSERT_NE(store, nullptr);
  ExpectBehaviour(*store);
}

TEST(RocksDbStore, HoldsWhatWasAppliedWhenOpenedAgain) {
  const log::TemporaryDirectory directory;
  const std::string path = directory.path() + "/state";
  for (int i = 0; i < 3; ++i) {
    const auto store = OpenRocksDb(path);
    ASSERT_NE(store, nullptr);
    EXPECT_EQ(store->Meta().value(),
              i == 0 ? std::nullopt : std::optional("meta " + std::to_string(i - 1)));
    Put(*store, {"k" + std::to_string(i)}, "meta " + std::to_string(i));
  }
  EXPECT_THAT(Keys(*OpenRocksDb(path), "k", "l"), ElementsAre("k0", "k1", "k2"));
}

// Enough for a file instead of a batch.
constexpr int kMany = 5000;

std::string ManyKey(const char* prefix, int i) {
  const std::string digits = std::to_string(i);
  return prefix + std::string(6 - digits.size(), '0') + digits;
}

TEST(RocksDbStore, LargeBatchesReplaceEraseAndSurviveLikeSmallOnes) {
  const log::TemporaryDirectory directory;
  const std::string path = directory.path() + "/state";
  std::vector<std::string> keys;
  for (const char* prefix : {"a", "h"}) {
    for (int i = 0; i < kMany; ++i) {
      keys.push_back(ManyKey(prefix, i));
    }
  }
  {
    const auto store = OpenRocksDb(path);
    ASSERT_NE(store, nullptr);
    Put(*store, {"a000007", "h000007"}, "small");
    const StateWrite other[] = {{"a000008", "old"}, {"h000008", "old"}};
    ASSERT_TRUE(store->Apply(other, "small again").ok());
    Put(*store, keys, "large");
    EXPECT_GT(store->KeysEstimate(), static_cast<std::uint64_t>(kMany));
  }
  const auto store = OpenRocksDb(path);
  ASSERT_NE(store, nullptr);
  EXPECT_EQ(store->Meta().value(), "large");
  EXPECT_THAT(Keys(*store, "a", "i", keys.size() + 1), ::testing::ElementsAreArray(keys));

  std::vector<StateWrite> erased;
  for (const auto& key : keys) {
    erased.push_back({key, std::nullopt});
  }
  ASSERT_TRUE(store->Apply(erased, "none").ok());
  EXPECT_EQ(store->Meta().value(), "none");
  EXPECT_THAT(Keys(*store, "a", "i"), ElementsAre());
  Put(*store, {"h000001"}, "after");
  EXPECT_THAT(Keys(*store, "a", "i"), ElementsAre("h000001"));
}

TEST(RocksDbStore, ALargeBatchOfOneSortIsAppliedToo) {
  const log::TemporaryDirectory directory;
  for (const char* prefix : {"a", "h"}) {
    const auto store = OpenRocksDb(directory.path() + "/" + prefix);
    ASSERT_NE(store, nullptr);
    std::vector<std::string> keys;
    for (int i = 0; i < kMany; ++i) {
      keys.push_back(ManyKey(prefix, i));
    }
    Put(*store, keys, "large");
    EXPECT_EQ(store->Meta().value(), "large");
    EXPECT_THAT(Keys(*store, "a", "i", keys.size() + 1), ::testing::ElementsAreArray(keys));
  }
}

TEST(RocksDbStore, ADirectoryInUseIsRefused) {
  const log::TemporaryDirectory directory;
  const std::string path = directory.path() + "/state";
  const auto store = OpenRocksDb(path);
  const auto second = OpenRocksDbStore(path, BeginsWithH, StoreMemory::Create(8 << 20));
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(second.error().message(), HasSubstr(path));
}

TEST(RocksDbStore, DamagedFilesNameTheRemedy) {
  const log::TemporaryDirectory directory;
  const std::string path = directory.path() + "/state";
  Put(*OpenRocksDb(path), {"a"}, "meta");
  std::filesystem::remove(path + "/CURRENT");
  std::filesystem::create_symlink("nowhere", path + "/CURRENT");
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    if (entry.path().filename().string().starts_with("MANIFEST")) {
      std::filesystem::resize_file(entry.path(), 3);
    }
  }
  const auto damaged = OpenRocksDbStore(path, BeginsWithH, StoreMemory::Create(8 << 20));
  ASSERT_FALSE(damaged.ok());
  EXPECT_THAT(damaged.error().message(), HasSubstr(path));
}

}  // namespace
}  // namespace alertstream::state

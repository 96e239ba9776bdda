#include "processor/state/key_filter.h"

#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "processor/state/entry_cache.h"
#include "processor/state/memory/memory_store.h"
#include "tests/unit/processor/state/broken_store.h"

namespace alertstream::state {
namespace {

constexpr std::size_t kBytesMax = 1 << 20;

bool All(std::string_view) { return true; }

std::string Key(int i) { return "key/" + std::to_string(i); }
std::uint64_t Hash(int i) { return EntryCache::HashOf(Key(i)); }

void Fill(MemoryStore& store, int begin, int end) {
  for (int i = begin; i < end; ++i) {
    const std::string key = Key(i);
    const StateWrite write{key, "v"};
    ASSERT_TRUE(store.Apply(std::span(&write, 1), "m").ok());
  }
}

int Perhaps(const KeyFilter& filter, int begin, int end) {
  int count = 0;
  for (int i = begin; i < end; ++i) {
    count += filter.MayContain(Hash(i)) ? 1 : 0;
  }
  return count;
}

TEST(KeyFilter, SaysPerhapsToEverythingUntilItHasReadTheStore) {
  MemoryStore store;
  Fill(store, 0, 1000);
  KeyFilter filter(store, kBytesMax, All);
  for (const std::size_t step : {1U, 499U, 500U}) {  // The last step finds exactly the rest.
    EXPECT_TRUE(filter.building());
    EXPECT_EQ(Perhaps(filter, 0, 3000), 3000);
    ASSERT_TRUE(filter.Advance(step).ok());
  }
  EXPECT_FALSE(filter.building());
  EXPECT_EQ(Perhaps(filter, 0, 1000), 1000);
  EXPECT_LT(Perhaps(filter, 1000, 11'000), 100);
}

TEST(KeyFilter, KnowsWhatWasAddedWhileTheStoreWasRead) {
  MemoryStore store;
  Fill(store, 0, 1000);
  KeyFilter filter(store, kBytesMax, All);
  ASSERT_TRUE(filter.Advance(500).ok());
  for (int i = 5000; i < 5100; ++i) {
    filter.Add(Hash(i));
  }
  ASSERT_TRUE(filter.Advance(5000).ok());
  EXPECT_FALSE(filter.building());
  EXPECT_EQ(Perhaps(filter, 0, 1000), 1000);
  EXPECT_EQ(Perhaps(filter, 5000, 5100), 100);
}

TEST(KeyFilter, GrowsWithWhatIsAdded) {
  MemoryStore store;
  KeyFilter filter(store, kBytesMax, All);
  ASSERT_TRUE(filter.Advance(1).ok());
  const std::size_t before = filter.bytes();
  EXPECT_LT(before, kBytesMax / 16) << "an empty store needs little";
  constexpr int kKeys = 200'000;
  for (int i = 0; i < kKeys; ++i) {
    filter.Add(Hash(i));
  }
  EXPECT_GT(filter.bytes(), before);
  EXPECT_LE(filter.bytes(), kBytesMax);
  EXPECT_FALSE(filter.RestartIfFull()) << "there is room";
  EXPECT_EQ(Perhaps(filter, 0, kKeys), kKeys);
  EXPECT_LT(Perhaps(filter, kKeys, kKeys + 10'000), 300);
}

TEST(KeyFilter, LeavesOutKeysThatItDoesNotConcern) {
  MemoryStore store;
  Fill(store, 0, 1000);
  KeyFilter filter(store, kBytesMax, [](std::string_view key) { return key.back() == '1'; });
  ASSERT_TRUE(filter.Advance(1000).ok());
  EXPECT_FALSE(filter.building());
  EXPECT_LT(Perhaps(filter, 0, 1000), 200);
  EXPECT_TRUE(filter.MayContain(Hash(991)));
}

TEST(KeyFilter, OverfullItIsMadeAgainAndForgetsWhatTheStoreNoLongerHolds) {
  constexpr std::size_t kLittle = 16'384;
  MemoryStore store;
  KeyFilter filter(store, kLittle, All);
  ASSERT_TRUE(filter.Advance(1).ok());
  EXPECT_FALSE(filter.RestartIfFull());
  constexpr int kKeys = 20'000;
  for (int i = 0; i < kKeys; ++i) {
    filter.Add(Hash(i));
  }
  Fill(store, 0, kKeys / 2);
  ASSERT_TRUE(filter.RestartIfFull());
  EXPECT_FALSE(filter.RestartIfFull()) << "it is being made";
  for (int i = kKeys; filter.building(); ++i) {
    // The old one answers in the meantime.
    ASSERT_EQ(Perhaps(filter, 0, kKeys / 2), kKeys / 2);
    filter.Add(Hash(i));
    ASSERT_TRUE(filter.Advance(1000).ok());
    ASSERT_TRUE(filter.MayContain(Hash(i)));
  }
  EXPECT_EQ(Perhaps(filter, 0, kKeys / 2), kKeys / 2);
  EXPECT_LT(Perhaps(filter, kKeys / 2, kKeys), 300);
  EXPECT_LE(filter.bytes(), kLittle);
}

TEST(KeyFilter, TakesNoMoreMemoryThanItMayAndIsStillRightAboutAbsence) {
  MemoryStore store;
  constexpr int kKeys = 30'000;
  Fill(store, 0, kKeys);
  KeyFilter filter(store, 8192, All);
  ASSERT_TRUE(filter.Advance(kKeys).ok());
  EXPECT_FALSE(filter.building());
  EXPECT_LE(filter.bytes(), 8192U);
  EXPECT_EQ(Perhaps(filter, 0, kKeys), kKeys);
  // Overfull, it is made again only when much has changed.
  EXPECT_FALSE(filter.RestartIfFull());
  for (int i = kKeys; i < 2 * kKeys; ++i) {
    filter.Add(Hash(i));
  }
  EXPECT_TRUE(filter.RestartIfFull());
}

TEST(KeyFilter, AStoreThatFailsIsSaid) {
  BrokenStore store;
  KeyFilter filter(store, kBytesMax, All);
  EXPECT_FALSE(filter.Advance(10).ok());
  EXPECT_TRUE(filter.MayContain(1));
}

}  // namespace
}  // namespace alertstream::state

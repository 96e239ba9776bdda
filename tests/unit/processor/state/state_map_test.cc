#include "processor/state/state_map.h"

#include <map>
#include <optional>
#include <random>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/state/memory/memory_store.h"
#include "tests/unit/processor/state/broken_store.h"

namespace alertstream::state {
namespace {

using ::testing::HasSubstr;
using Model = std::map<std::string, std::string, std::less<>>;

constexpr std::string_view kPrefix = "t/";
// What a map may count for itself when it holds nothing.
constexpr std::size_t kEmptyBytesMax = 32 << 10;

StateRoot RootOf(const Model& model) {
  StateRoot root;
  for (const auto& [key, value] : model) {
    root.Add(StateRoot::OfEntry(key, value));
  }
  return root;
}

std::optional<std::string> FirstIn(const Model& model, std::string_view from) {
  const auto found = model.lower_bound(from);
  return found != model.end() && found->first.starts_with(kPrefix)
             ? std::optional<std::string>(found->first)
             : std::nullopt;
}

std::optional<std::string> Owned(std::optional<std::string_view> view) {
  return view ? std::optional<std::string>(*view) : std::nullopt;
}

// Random operations on the map and on a plain model; after each batch both agree.
void RunRandomly(std::uint32_t seed, std::size_t bytes_max) {
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  MemoryStore store;
  StateMap map(store, {.bytes_max = bytes_max, .ordered_prefix = std::string(kPrefix)}, {});
  Model model;
  for (int batch = 0; batch < 60; ++batch) {
    for (std::uint32_t record = below(6); record > 0; --record) {
      const Model before = model;
      map.BeginRecord();
      for (std::uint32_t i = below(8); i > 0; --i) {
        const std::string key =
            (below(2) == 0 ? std::string(kPrefix) : std::string("k/")) + std::to_string(below(25));
        const std::string value(below(40), static_cast<char>('a' + below(26)));
        switch (below(4)) {
          case 0:
            map.Erase(key);
            model.erase(key);
            break;
          case 1:
            EXPECT_EQ(Owned(map.Get(key)),
                      model.contains(key) ? std::optional(model[key]) : std::nullopt);
            break;
          default:
            map.Put(key, value);
            model[key] = value;
        }
      }
      if (below(4) == 0) {
        map.RollbackRecord();
        model = before;
      }
      const std::string from = std::string(kPrefix) + std::to_string(below(25));
      EXPECT_EQ(Owned(map.FirstOrdered(from)), FirstIn(model, from));
    }
    EXPECT_EQ(map.SealBatch(), RootOf(model)) << "batch " << batch;
    if (below(3) == 0) {
      ASSERT_TRUE(map.Flush("meta " + std::to_string(batch)).ok());
      EXPECT_EQ(store.entries(), model);
      EXPECT_EQ(map.dirty_count(), 0U);
      EXPECT_LE(map.bytes(), bytes_max + kEmptyBytesMax);
    }
  }
  // Another map on the same store goes on where this one stood.
  ASSERT_TRUE(map.Flush("last").ok());
  StateMap later(store, {.bytes_max = bytes_max, .ordered_prefix = std::string(kPrefix)},
                 map.root());
  later.Put("k/new", "x");
  later.Erase("k/1");
  model["k/new"] = "x";
  model.erase("k/1");
  EXPECT_EQ(later.SealBatch(), RootOf(model));
}

TEST(StateMap, AgreesWithAPlainMapWhateverIsDone) {
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    RunRandomly(seed, 48 << 20);
    RunRandomly(seed, 2000);
    RunRandomly(seed, 0);
  }
}

// Far more keys than the filter of absent keys begins with room for, half of them erased again, and
// nothing kept in memory: every answer comes from the filter or the store.
TEST(StateMap, FindsEveryKeyWhileTheFilterOfAbsentOnesGrowsAndIsMadeAgain) {
  constexpr int kBatches = 40;
  constexpr int kKeysPerBatch = 1000;
  MemoryStore store;
  ASSERT_TRUE(store.Apply(std::vector<StateWrite>{{"k/before", "v"}}, "m").ok());
  StateMap map(store, {.bytes_max = 0}, StateRoot::OfEntry("k/before", "v"));
  Model model = {{"k/before", "v"}};
  for (int batch = 0; batch < kBatches; ++batch) {
    for (int i = 0; i < kKeysPerBatch; ++i) {
      const std::string key = "k/" + std::to_string(i) + "/" + std::to_string(batch);
      ASSERT_EQ(map.Get(key), std::nullopt);
      map.Put(key, std::to_string(i));
      model[key] = std::to_string(i);
      if (i % 2 == 0 && batch > 0) {
        const std::string old = "k/" + std::to_string(i) + "/" + std::to_string(batch - 1);
        map.Erase(old);
        model.erase(old);
        if (i % 4 == 0) {  // Written again after it was erased.
          map.Put(old, "again");
          model[old] = "again";
        }
      }
    }
    map.SealBatch();
    if (batch % 3 == 0) {
      ASSERT_TRUE(map.Flush("m").ok());
    }
  }
  for (const auto& [key, value] : model) {
    ASSERT_EQ(map.Get(key), value) << key;
  }
  for (int i = 0; i < kKeysPerBatch; i += 2) {
    const std::string key = "k/" + std::to_string(i) + "/7";
    ASSERT_EQ(Owned(map.Get(key)), model.contains(key) ? std::optional(model[key]) : std::nullopt);
  }
  EXPECT_EQ(map.SealBatch(), RootOf(model));
}

TEST(StateMap, FindsAKeyThatWasErasedBeforeTheFilterCameToItAndWrittenAfterwards) {
  MemoryStore store;
  const std::string key = "z/last";  // The filter is filled in the order of keys.
  for (int i = 0; i < 2000; ++i) {
    const std::string other = "a/" + std::to_string(i);
    const StateWrite write{other, "v"};
    ASSERT_TRUE(store.Apply(std::span(&write, 1), "m").ok());
  }
  const StateWrite write{key, "first"};
  ASSERT_TRUE(store.Apply(std::span(&write, 1), "m").ok());
  StateMap map(store, {.bytes_max = 4 << 20}, {});
  ASSERT_EQ(map.Get(key), "first");
  map.Erase(key);
  map.SealBatch();
  ASSERT_TRUE(map.Flush("m").ok());
  for (int batch = 0; batch < 20; ++batch) {
    map.SealBatch();
  }
  map.Put(key, "again");
  map.SealBatch();
  ASSERT_TRUE(map.Flush("m").ok());
  // Until the entry is forgotten and only the store knows it.
  const std::string value(1000, 'x');
  for (int batch = 0; batch < 20; ++batch) {
    for (int i = 0; i < 1000; ++i) {
      map.Put("b/" + std::to_string(batch) + "/" + std::to_string(i), value);
    }
    map.SealBatch();
    ASSERT_TRUE(map.Flush("m").ok());
  }
  EXPECT_EQ(map.Get(key), "again");
}

TEST(StateMap, ValuesGrowAndShrinkInAndOutOfTheirPlaces) {
  MemoryStore store;
  StateMap map(store, {.bytes_max = 1 << 20}, {});
  Model model;
  for (int round = 0; round < 4; ++round) {
    for (const std::size_t bytes : {0U, 1U, 15U, 16U, 17U, 100U, 4096U, 4097U, 100'000U, 3U}) {
      for (const char* key : {"a", "b", "a"}) {
        const std::string value(bytes, static_cast<char>('a' + round));
        map.Put(key, value);
        model[key] = value;
        EXPECT_EQ(map.Get("a"), model["a"]);
      }
      EXPECT_EQ(map.Get("b"), model["b"]);
      EXPECT_EQ(map.SealBatch(), RootOf(model));
    }
    ASSERT_TRUE(map.Flush("m").ok());
    EXPECT_EQ(store.entries(), model);
  }
}

// What the alignment leaves behind a key of some lengths is no room for a value that Move would
// expect on the heap.
TEST(StateMap, AValueAtTheLimitOfItsPlaceSurvivesItsMove) {
  for (std::size_t key_bytes = 1; key_bytes <= 4; ++key_bytes) {
    for (const auto& [first, second] : std::vector<std::pair<std::size_t, std::size_t>>{
             {4093, 4096}, {4096, 4097}, {4096, 4099}, {4096, 4100}, {4097, 4099}}) {
      SCOPED_TRACE(testing::Message() << key_bytes << " " << first << " " << second);
      MemoryStore store;
      StateMap map(store, {.bytes_max = 4 << 20}, {});
      int others = 0;
      const auto put_others = [&] {
        for (int i = 0; i < 500; ++i) {
          map.Put("other " + std::to_string(others++), std::string(4000, 'o'));
        }
      };
      const std::string key(key_bytes, 'k');
      map.Put(key, std::string(first, 'x'));
      put_others();
      map.SealBatch();
      const std::string value(second, 'y');
      map.Put(key, value);  // In a later batch: used again, and so moved.
      put_others();
      map.SealBatch();
      ASSERT_TRUE(map.Flush("m").ok());
      put_others();
      ASSERT_EQ(map.Get(key), value);
    }
  }
}

TEST(StateMap, ARolledBackRecordLeavesNoTrace) {
  MemoryStore store;
  StateMap map(store, {}, {});
  map.BeginRecord();
  map.Put("a", "1");
  map.BeginRecord();
  map.Put("a", "2");
  map.Put("b", "2");
  map.Erase("a");
  map.Put("a", "3");
  map.RollbackRecord();
  EXPECT_EQ(map.Get("a"), "1");
  EXPECT_EQ(map.Get("b"), std::nullopt);
  EXPECT_EQ(map.SealBatch(), StateRoot::OfEntry("a", "1"));
  ASSERT_TRUE(map.Flush("m").ok());
  EXPECT_THAT(store.entries(), ::testing::ElementsAre(::testing::Pair("a", "1")));
}

TEST(StateMap, AFreshKeyThatExistsAfterAllReplacesItInTheRootOnlyIfItWasRead) {
  MemoryStore store;
  StateMap map(store, {}, {});
  map.PutFresh("a", "1");
  map.PutFresh("a", "2");
  EXPECT_EQ(map.SealBatch(), StateRoot::OfEntry("a", "2"));
}

TEST(StateMap, TheFirstOrderedKeySkipsWhatWasErasedHereAndInTheStore) {
  MemoryStore store;
  StateMap map(store, {.ordered_prefix = std::string(kPrefix)}, {});
  for (const char* key : {"t/1", "t/2", "t/3", "t/4", "u/0", "s/9"}) {
    map.Put(key, "x");
  }
  map.SealBatch();
  ASSERT_TRUE(map.Flush("m").ok());
  EXPECT_EQ(map.FirstOrdered("t/"), "t/1");
  map.Erase("t/1");
  map.Erase("t/2");
  EXPECT_EQ(map.FirstOrdered("t/"), "t/3");
  map.Put("t/15", "new");
  EXPECT_EQ(map.FirstOrdered("t/"), "t/15");
  map.Erase("t/15");
  map.Erase("t/3");
  map.Erase("t/4");
  EXPECT_EQ(map.FirstOrdered("t/"), std::nullopt);
  map.Put("t/1", "again");
  EXPECT_EQ(map.FirstOrdered("t/"), "t/1");
  EXPECT_EQ(map.FirstOrdered("t/2"), std::nullopt);
}

TEST(StateMap, TheFirstErrorOfTheStoreIsKept) {
  BrokenStore store;
  StateMap reads(store, {}, {});
  EXPECT_EQ(reads.Get("a"), std::nullopt);
  store.error = Error(ErrorCode::kCorrupt, "later");
  EXPECT_EQ(reads.Get("b"), std::nullopt);
  ASSERT_FALSE(reads.status().ok());
  EXPECT_EQ(reads.status().error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(reads.status().error().message(), HasSubstr("no disk"));
  // What was decided after it is not written.
  const Status not_written = reads.Flush("m");
  ASSERT_FALSE(not_written.ok());
  EXPECT_EQ(not_written.error().code(), ErrorCode::kUnavailable);

  StateMap scans(store, {.ordered_prefix = "t/"}, {});
  EXPECT_EQ(scans.FirstOrdered("t/"), std::nullopt);
  EXPECT_FALSE(scans.status().ok());

  StateMap writes(store, {}, {});
  const Status flushed = writes.Flush("m");
  ASSERT_FALSE(flushed.ok());
  EXPECT_EQ(flushed.error().code(), ErrorCode::kCorrupt);
  EXPECT_FALSE(writes.status().ok());
}

TEST(StateRoot, AddsAndSubtractsWithCarry) {
  StateRoot root{~0ULL, 1};
  root.Add({1, 0});
  EXPECT_EQ(root, (StateRoot{0, 2}));
  root.Subtract({1, 0});
  EXPECT_EQ(root, (StateRoot{~0ULL, 1}));
  root.Subtract({0, 2});
  EXPECT_EQ(root, (StateRoot{~0ULL, ~0ULL}));
}

TEST(StateRoot, GoesThroughItsBytes) {
  const StateRoot root{0x0102030405060708, 0x090a0b0c0d0e0f10};
  EXPECT_EQ(root.ToBytes(), std::string("\x08\x07\x06\x05\x04\x03\x02\x01\x10\x0f\x0e\x0d\x0c\x0b"
                                        "\x0a\x09"));
  EXPECT_EQ(StateRoot::FromBytes(root.ToBytes()), root);
  EXPECT_EQ(StateRoot::FromBytes(std::string(15, 'x')), std::nullopt);
  EXPECT_EQ(StateRoot::FromBytes(std::string(17, 'x')), std::nullopt);
}

TEST(StateRoot, KnowsWhereTheKeyEnds) {
  EXPECT_NE(StateRoot::OfEntry("ab", "c"), StateRoot::OfEntry("a", "bc"));
  EXPECT_NE(StateRoot::OfEntry("a", ""), StateRoot::OfEntry("", "a"));
  const std::string large(600, 'v');
  EXPECT_NE(StateRoot::OfEntry("k", large), StateRoot::OfEntry("k", large + "v"));
  EXPECT_EQ(StateRoot::OfEntry("k", large), StateRoot::OfEntry("k", std::string(600, 'v')));
}

}  // namespace
}  // namespace alertstream::state

#include "ops/seed/random.h"

#include <array>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

namespace alertstream::seed {
namespace {

// The first numbers of the reference implementation for the seed 1234567.
TEST(RandomTest, IsSplitMix64) {
  Random random(1234567);
  EXPECT_EQ(random.Next(), 6457827717110365317U);
  EXPECT_EQ(random.Next(), 3203168211198807973U);
  EXPECT_EQ(random.Next(), 9817491932198370423U);
}

TEST(RandomTest, BetweenReachesBothEndsAndNothingElse) {
  Random random(1);
  std::set<std::int64_t> seen;
  for (int i = 0; i < 200; ++i) {
    seen.insert(random.Between(-1, 2));
  }
  EXPECT_EQ(seen, (std::set<std::int64_t>{-1, 0, 1, 2}));
}

TEST(RandomTest, AShuffleKeepsEverything) {
  Random random(1);
  std::array<int, 50> items{};
  std::iota(items.begin(), items.end(), 0);
  const auto before = items;
  random.Shuffle(std::span<int>(items));
  EXPECT_NE(items, before);
  EXPECT_EQ(std::set<int>(items.begin(), items.end()).size(), items.size());
}

}  // namespace
}  // namespace alertstream::seed

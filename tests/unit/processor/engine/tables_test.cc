#include "processor/engine/tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream::engine {
namespace {

// A change of this value changes decisions: journals written before replay differently. It needs a
// new engine version.
TEST(TablesTest, HashIsPinned) {
  EXPECT_EQ(ToHex(AsView(TablesHash())),
            "5e6deeff18f4d7c500164da5b2eb8342976230b1e7f056841dfed4848e2f8642");
}

TEST(TablesTest, DumpHoldsEveryTable) {
  const std::string dump = DumpTables();
  for (const auto* line : {
           "phone 1\n1 1024 US\n",             // +1: ten digits.
           "\n254 1920 KE\n",                  // +254: seven to ten.
           "\nkeyword words 1\nstop 1\n",      //
           "\nyes 3\n",                        //
           "\nkeyword folds 1\n170 170 a\n",   // Feminine ordinal.
           "\n65313 65338 a\n",                // Full-width capitals.
           "\nkeyword skips 1\n128 169\n",     // C1 controls to copyright sign.
           "\ngsm7 basic 1\n64\n163\n",        // @ and pound.
           "\ngsm7 extension 1\n12\n94\n123",  // Form feed, ^, {.
       }) {
    EXPECT_THAT(dump, testing::HasSubstr(line));
  }
}

TEST(TablesTest, HashIsOfTheDump) { EXPECT_EQ(TablesHash(), Sha256::Of(DumpTables())); }

}  // namespace
}  // namespace alertstream::engine

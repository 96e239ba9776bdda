#include "processor/base/config_env.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream {
namespace {

using ::testing::Pair;
using ::testing::UnorderedElementsAre;

TEST(EnvironmentTest, ReadsWhatIsSetAndNothingElse) {
  ASSERT_EQ(setenv("ALERTSTREAM_ENVTEST_A", "one=1", 1), 0);
  ASSERT_EQ(setenv("ALERTSTREAM_ENVTEST_B", "", 1), 0);
  EXPECT_EQ(Environment("ALERTSTREAM_ENVTEST_A"), "one=1");
  EXPECT_EQ(Environment("ALERTSTREAM_ENVTEST_B"), "");
  EXPECT_EQ(Environment("ALERTSTREAM_ENVTEST_C"), std::nullopt);
  EXPECT_THAT(EnvironmentWithPrefix("ALERTSTREAM_ENVTEST_"),
              UnorderedElementsAre(Pair("ALERTSTREAM_ENVTEST_A", "one=1"),
                                   Pair("ALERTSTREAM_ENVTEST_B", "")));
}

}  // namespace
}  // namespace alertstream

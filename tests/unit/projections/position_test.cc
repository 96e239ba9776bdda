#include "projections/position.h"

#include <gtest/gtest.h>

namespace alertstream::projections {
namespace {

using schemas::Topic;

TEST(PositionTest, OffsetsAreWrittenByTheNamesOfTopics) {
  EXPECT_EQ(OffsetsJson({}), "{}");
  EXPECT_EQ(OffsetsJson({{Topic::kOptOuts, 5}, {Topic::kSiteEvents, 12}}),
            R"({"site-events":12,"opt-outs":5})");
}

TEST(PositionTest, OffsetsAreReadBackAndWhatIsNoneIsLeftOut) {
  EXPECT_EQ(ParseOffsets(R"({"site-events":12,"no-topic":3,"opt-outs":"x"})"),
            (Offsets{{Topic::kSiteEvents, 12}}));
  EXPECT_EQ(ParseOffsets("no json"), Offsets{});
}

}  // namespace
}  // namespace alertstream::projections

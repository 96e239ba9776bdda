#include "api/log/position_text.h"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace alertstream::api {
namespace {

using schemas::Topic;

TEST(PositionTextTest, WhatIsWrittenIsRead) {
  const std::vector<AppendedPosition> positions = {
      {.topic = Topic::kAccountChanges, .partition = 0, .offset = 41},
      {.topic = Topic::kConsentChanges, .partition = 11, .offset = 9'223'372'036'854'775'807}};
  const std::string text = FormatPositions(positions);
  EXPECT_EQ(text, "account-changes/0/41,consent-changes/11/9223372036854775807");
  const auto read = ParsePositions(text);
  ASSERT_TRUE(read.ok());
  ASSERT_EQ(read.value().size(), 2U);
  EXPECT_EQ(read.value()[0].topic, Topic::kAccountChanges);
  EXPECT_EQ(read.value()[1].partition, 11);
  EXPECT_EQ(read.value()[1].offset, 9'223'372'036'854'775'807);
}

TEST(PositionTextTest, WhatIsNoPositionOfAnInputIsRefused) {
  std::string many = "opt-outs/0/1";
  for (int i = 0; i < 16; ++i) {
    many += ",opt-outs/0/1";
  }
  for (const std::string& text :
       {std::string(), std::string("opt-outs"), std::string("opt-outs/1"),
        std::string("opt-outs/-1/2"), std::string("opt-outs/1/-2"), std::string("opt-outs/1/2/3"),
        std::string("opt-outs//2"), std::string("opt-outs/1/"), std::string("opt-outs/1/2,"),
        std::string(" opt-outs/1/2"), std::string("facts/1/2"), std::string("nothing/1/2"),
        std::string("opt-outs/1/9223372036854775808"), std::string("opt-outs/+1/2"), many}) {
    const auto read = ParsePositions(text);
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.error().code(), ErrorCode::kInvalid);
  }
}

}  // namespace
}  // namespace alertstream::api

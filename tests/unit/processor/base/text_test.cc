#include "processor/base/text.h"

#include <string>

#include <gtest/gtest.h>

namespace alertstream {
namespace {

TEST(TextTest, TrimmingTakesBlanksOffBothEndsAndNothingElse) {
  struct Case {
    std::string_view text;
    std::string_view expected;
  };
  for (const Case& test : {Case{"", ""}, Case{" \t ", ""}, Case{"a", "a"}, Case{" \ta b\t ", "a b"},
                           Case{"\ra\n", "\ra\n"}}) {
    EXPECT_EQ(Trimmed(test.text), test.expected);
  }
  EXPECT_EQ(Trimmed(" \ra\n", " \r\n"), "a");
}

TEST(TextTest, OnlyHexadecimalDigitsHaveAValue) {
  const std::string lower = "0123456789abcdef";
  const std::string upper = "0123456789ABCDEF";
  for (int c = 0; c < 256; ++c) {
    const char digit = static_cast<char>(c);
    const std::size_t at = c == 0 ? std::string::npos : lower.find(digit);
    const std::size_t upper_at = c == 0 ? std::string::npos : upper.find(digit);
    const std::size_t expected = at != std::string::npos ? at : upper_at;
    EXPECT_EQ(HexValue(digit), expected == std::string::npos ? -1 : static_cast<int>(expected));
  }
}

}  // namespace
}  // namespace alertstream

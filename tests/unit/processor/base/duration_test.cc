#include "processor/base/duration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream {
namespace {

TEST(DurationTest, ReadsAndWritesEveryUnit) {
  struct Case {
    std::string_view text;
    std::int64_t micros;
    std::string_view shown;
  };
  for (const Case& c : {
           Case{"500ms", 500'000, "500ms"},
           Case{"10s", 10'000'000, "10s"},
           Case{"90s", 90'000'000, "90s"},
           Case{"10m", 600'000'000, "10m"},
           Case{"120m", 7'200'000'000, "2h"},
           Case{"2h", 7'200'000'000, "2h"},
           Case{"7d", 604'800'000'000, "7d"},
           Case{"0s", 0, "0s"},
           Case{"007s", 7'000'000, "7s"},
       }) {
    const auto duration = ParseDuration(c.text);
    ASSERT_TRUE(duration.ok()) << c.text;
    EXPECT_EQ(duration.value().count(), c.micros) << c.text;
    EXPECT_EQ(FormatDuration(duration.value()), c.shown) << c.text;
  }
}

TEST(DurationTest, RefusesEverythingElse) {
  for (const char* text : {"", "10", "m", "10 m", " 10m", "10m ", "-10m", "+10m", "1.5h", "10M",
                           "10min", "1h30m", "0x10s", "10us", "1e3s"}) {
    const auto duration = ParseDuration(text);
    ASSERT_FALSE(duration.ok()) << text;
    EXPECT_EQ(duration.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(duration.error().message(), ::testing::HasSubstr("expected a duration"));
  }
  for (const char* text : {"9223372036854775807d", "106751992d"}) {
    const auto duration = ParseDuration(text);
    ASSERT_FALSE(duration.ok()) << text;
    EXPECT_THAT(duration.error().message(), ::testing::HasSubstr("out of range"));
  }
  EXPECT_FALSE(ParseDuration("92233720368547758080s").ok());
}

}  // namespace
}  // namespace alertstream

#include "processor/base/rfc3339.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace alertstream {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Rfc3339Test, ReadsTimesInUtc) {
  struct Case {
    std::string text;
    std::int64_t micros;
  };
  const std::vector<Case> cases = {
      {"1970-01-01T00:00:00Z", 0},
      {"1970-01-01t00:00:00z", 0},
      {"1970-01-01T00:00:00+00:00", 0},
      {"1970-01-01T00:00:00-00:00", 0},
      {"1969-12-31T23:59:59.999999Z", -1},
      {"2023-11-14T22:13:20Z", 1'700'000'000'000'000},
      {"2023-11-14T22:13:20.5Z", 1'700'000'000'500'000},
      {"2023-11-14T22:13:20.000001Z", 1'700'000'000'000'001},
      {"2023-11-14T22:13:20.000001999Z", 1'700'000'000'000'001},
      {"2023-11-15T01:13:20+03:00", 1'700'000'000'000'000},
      {"2023-11-14T16:43:20-05:30", 1'700'000'000'000'000},
      {"2024-02-29T00:00:00Z", 1'709'164'800'000'000},
      {"0001-01-01T00:00:00Z", -62'135'596'800'000'000},
      {"9999-12-31T23:59:59.999999999Z", 253'402'300'799'999'999},
  };
  for (const auto& c : cases) {
    const auto time = ParseRfc3339(c.text);
    ASSERT_TRUE(time.ok()) << c.text << ": " << time.error().message();
    EXPECT_EQ(ToMicros(time.value()), c.micros) << c.text;
  }
}

TEST(Rfc3339Test, RefusesEverythingElseAndSaysWhere) {
  struct Case {
    std::string text;
    std::string message;
  };
  const std::vector<Case> cases = {
      {"", "a date (YYYY-MM-DD) at byte 0"},
      {"2026-1-01T00:00:00Z", "a date (YYYY-MM-DD) at byte 6"},
      {"2026-01-01", "expected T at byte 10"},
      {"2026-01-01 00:00:00Z", "expected T at byte 10"},
      {"2026-01-01T00:00Z", "a time of day (HH:MM:SS) at byte 16"},
      {"2026-01-01T00:00:00", "Z or an offset (+HH:MM) at byte 19"},
      {"2026-01-01T00:00:00.Z", "a digit at byte 20"},
      {"2026-01-01T00:00:00.0123456789Z", "at most nine digits of fraction at byte 29"},
      {"2026-01-01T00:00:00+0300", "Z or an offset (+HH:MM) at byte 22"},
      {"2026-01-01T00:00:00Z ", "the end at byte 20"},
      {"2026-00-01T00:00:00Z", "the month is out of range"},
      {"2026-13-01T00:00:00Z", "the month is out of range"},
      {"2026-02-29T00:00:00Z", "the day is out of range"},
      {"2026-01-00T00:00:00Z", "the day is out of range"},
      {"2026-01-01T24:00:00Z", "the hour is out of range"},
      {"2026-01-01T00:60:00Z", "the minute is out of range"},
      {"2016-12-31T23:59:60Z", "the second is out of range"},
      {"2026-01-01T00:00:00+24:00", "the offset is out of range"},
      {"0000-12-31T00:00:00Z", "the year is out of range"},
      {"0001-01-01T00:00:00+00:01", "the year in UTC is out of range"},
      {"9999-12-31T23:59:59-00:01", "the year in UTC is out of range"},
  };
  for (const auto& c : cases) {
    const auto time = ParseRfc3339(c.text);
    ASSERT_FALSE(time.ok()) << c.text;
    EXPECT_EQ(time.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(time.error().message(), HasSubstr(c.message)) << c.text;
    if (!c.text.empty()) {
      EXPECT_THAT(time.error().message(), Not(HasSubstr(c.text)));
    }
  }
}

TEST(Rfc3339Test, WritesTheShortestFractionThatLosesNothing) {
  struct Case {
    std::int64_t micros;
    std::string text;
  };
  const std::vector<Case> cases = {
      {0, "1970-01-01T00:00:00Z"},
      {-1, "1969-12-31T23:59:59.999999Z"},
      {1'700'000'000'000'000, "2023-11-14T22:13:20Z"},
      {1'700'000'000'500'000, "2023-11-14T22:13:20.500Z"},
      {1'700'000'000'500'010, "2023-11-14T22:13:20.500010Z"},
      {-62'135'596'800'000'000, "0001-01-01T00:00:00Z"},
      {253'402'300'799'999'999, "9999-12-31T23:59:59.999999Z"},
      {std::numeric_limits<std::int64_t>::min(), "0001-01-01T00:00:00Z"},
      {std::numeric_limits<std::int64_t>::max(), "9999-12-31T23:59:59.999999Z"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(FormatRfc3339(FromMicros(c.micros)), c.text);
  }
}

TEST(Rfc3339Test, ReadsBackWhatItWrote) {
  // Steps of a prime number of microseconds walk through months, leap days and fractions.
  for (std::int64_t micros = -62'135'596'800'000'000; micros < 253'402'300'000'000'000;
       micros += 3'141'592'653'589'793) {
    const std::string text = FormatRfc3339(FromMicros(micros));
    const auto time = ParseRfc3339(text);
    ASSERT_TRUE(time.ok()) << text;
    EXPECT_EQ(ToMicros(time.value()), micros) << text;
  }
}

}  // namespace
}  // namespace alertstream

#include "processor/dispatch/retry_after.h"

#include <gtest/gtest.h>

namespace alertstream::dispatch {
namespace {

using std::chrono::seconds;

// 1994-11-06T08:49:30Z, half a second past.
constexpr LogTime kNow = FromMicros(784'111'770'500'000);

TEST(RetryAfterTest, SecondsAndDatesAreCountedFromNow) {
  struct Case {
    std::string_view value;
    int expected_s;
  };
  constexpr Case kCases[] = {
      {"0", 0},
      {"7", 7},
      {" 120\t", 120},
      {"3600", 3600},
      {"3601", 3600},
      {"99999999999999999999999999", 3600},
      {"-1", 0},
      {"-99999999999999999999999999", 0},
      {"Sun, 06 Nov 1994 08:49:37 GMT", 7},  // Six and a half.
      {"Sun, 06 Nov 1994 08:49:31 GMT", 1},
      {"Sun, 06 Nov 1994 08:49:30 GMT", 0},
      {"Sat, 05 Nov 1994 08:49:37 GMT", 0},
      {"Mon, 07 Nov 1994 08:49:37 GMT", 3600},
      {"Fri, 31 Dec 9999 23:59:60 GMT", 3600},
  };
  for (const Case& c : kCases) {
    EXPECT_EQ(ParseRetryAfter(c.value, kNow), seconds(c.expected_s)) << c.value;
  }
}

TEST(RetryAfterTest, AnythingElseSaysNothing) {
  for (const std::string_view value : {"",
                                       " ",
                                       "-",
                                       "+7",
                                       "1.5",
                                       "7s",
                                       "0x7",
                                       "1 2",
                                       "soon",
                                       "Sun, 06 Nov 1994 08:49:37 UTC",
                                       "Sun, 6 Nov 1994 08:49:37 GMT",
                                       "Sunday, 06-Nov-94 08:49:37 GMT",
                                       "Sun Nov  6 08:49:37 1994",
                                       "Xyz, 06 Nov 1994 08:49:37 GMT",
                                       "Sun, 06 Nov 1994 24:00:00 GMT",
                                       "Sun, 06 Nov 1994 08:60:00 GMT",
                                       "Sun, 06 Nov 1994 08:49:61 GMT",
                                       "Thu, 30 Feb 1995 08:49:37 GMT",
                                       "Sun, 06 Nop 1994 08:49:37 GMT",
                                       "Sun, 06 Nov 1994 08:49:37 GMT+",
                                       "Sun, 06 Nov 19a4 08:49:37 GMT"}) {
    EXPECT_EQ(ParseRetryAfter(value, kNow), std::nullopt) << value;
  }
}

}  // namespace
}  // namespace alertstream::dispatch

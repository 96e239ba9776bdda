#include "processor/dispatch/outcome.h"

#include <algorithm>
#include <cctype>
#include <string>

#include <gtest/gtest.h>

#include "processor/dispatch/http_exchange.h"

namespace alertstream::dispatch {
namespace {

// The names are stored as labels of metrics: they follow the messages' own.
TEST(OutcomeTest, NamesAreThoseOfTheStoredClasses) {
  for (const OutcomeClass outcome : kOutcomeClasses) {
    std::string expected =
        v1::AttemptClass_Name(outcome).substr(std::string("ATTEMPT_CLASS_").size());
    std::transform(expected.begin(), expected.end(), expected.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    EXPECT_EQ(OutcomeName(outcome), expected);
  }
}

TEST(OutcomeTest, EveryClassIsListedOnce) {
  for (std::size_t i = 0; i < kOutcomeClasses.size(); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(kOutcomeClasses[i]), i + 1);
  }
}

TEST(HttpExchangeTest, OnlyWhatFailedBehindTheLastByteMayHaveArrived) {
  struct Case {
    std::string_view name;
    TransportFailure failure;
    bool may_have_arrived;
  };
  constexpr Case kCases[] = {
      {"not_connected", TransportFailure::kNotConnected, false},
      {"connect_timeout", TransportFailure::kConnectTimeout, false},
      {"closed_before_sent", TransportFailure::kClosedBeforeSent, false},
      {"timeout_before_sent", TransportFailure::kTimeoutBeforeSent, false},
      {"closed_after_sent", TransportFailure::kClosedAfterSent, true},
      {"timeout_after_sent", TransportFailure::kTimeoutAfterSent, true},
      {"unreadable_answer", TransportFailure::kUnreadableAnswer, true},
  };
  for (const Case& c : kCases) {
    EXPECT_EQ(TransportFailureName(c.failure), c.name);
    EXPECT_EQ(MayHaveArrived(c.failure), c.may_have_arrived) << c.name;
  }
}

TEST(HttpExchangeTest, HeadersAreFoundWhateverTheirCase) {
  const HttpHeader headers[] = {{"Date", "today"}, {"RETRY-after", "7"}, {"Retry-After", "8"}};
  EXPECT_EQ(FindHeader(headers, "Retry-After"), "7");
  EXPECT_EQ(FindHeader(headers, "Retry"), std::nullopt);
  EXPECT_EQ(FindHeader({}, "Date"), std::nullopt);
}

}  // namespace
}  // namespace alertstream::dispatch

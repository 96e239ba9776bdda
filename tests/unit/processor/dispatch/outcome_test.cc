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
    TransportFailure failure;
    std::string_view name;
    bool may_have_arrived;
  };
  constexpr Case kCases[] = {
      {TransportFailure::kNotConnected, "not_connected", false},
      {TransportFailure::kConnectTimeout, "connect_timeout", false},
      {TransportFailure::kClosedBeforeSent, "closed_before_sent", false},
      {TransportFailure::kTimeoutBeforeSent, "timeout_before_sent", false},
      {TransportFailure::kClosedAfterSent, "closed_after_sent", true},
      {TransportFailure::kTimeoutAfterSent, "timeout_after_sent", true},
      {TransportFailure::kUnreadableAnswer, "unreadable_answer", true},
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

#include "api/ingest/rate_limit.h"

#include <chrono>
#include <string>

#include <gtest/gtest.h>

namespace alertstream::api {
namespace {

using namespace std::chrono_literals;

constexpr RateLimitRule kRule = {.per_second = 2, .burst = 10};

TEST(RateLimitTest, ABucketEmptiesAndFillsAgain) {
  RateLimit limit(10);
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(limit.Take("acme", kRule, 1, 100s).allowed) << i;
  }
  const RateVerdict refused = limit.Take("acme", kRule, 1, 100s);
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.retry_after, 1s);
  EXPECT_FALSE(limit.Take("acme", kRule, 1, 100s + 499ms).allowed);
  EXPECT_TRUE(limit.Take("acme", kRule, 1, 100s + 501ms).allowed);
  EXPECT_DOUBLE_EQ(limit.Take("acme", kRule, 1, 1'000s).left, 9);
}

TEST(RateLimitTest, ABatchCostsItsEvents) {
  RateLimit limit(10);
  EXPECT_TRUE(limit.Take("acme", kRule, 8, 0s).allowed);
  const RateVerdict refused = limit.Take("acme", kRule, 8, 0s);
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.retry_after, 3s);
  EXPECT_TRUE(limit.Take("acme", kRule, 2, 0s).allowed);
}

TEST(RateLimitTest, ABatchLargerThanTheBucketIsPaidForAfterwards) {
  RateLimit limit(10);
  EXPECT_TRUE(limit.Take("acme", kRule, 30, 0s).allowed);
  const RateVerdict refused = limit.Take("acme", kRule, 1, 10s);
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.retry_after, 1s);
  EXPECT_TRUE(limit.Take("acme", kRule, 1, 11s).allowed);
  EXPECT_FALSE(limit.Take("acme", kRule, 30, 12s).allowed);
}

TEST(RateLimitTest, KeysHaveTheirOwnBuckets) {
  RateLimit limit(10);
  EXPECT_TRUE(limit.Take("acme", kRule, 10, 0s).allowed);
  EXPECT_TRUE(limit.Take("bakery", kRule, 10, 0s).allowed);
  EXPECT_FALSE(limit.Take("acme", kRule, 1, 0s).allowed);
}

TEST(RateLimitTest, TheNumberOfBucketsIsLimited) {
  RateLimit limit(4);
  EXPECT_TRUE(limit.Take("present", kRule, 10, 100s).allowed);
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(limit.Take("t" + std::to_string(i), kRule, 10, std::chrono::seconds(i)).allowed);
  }
  // Whoever was here last is not forgotten.
  EXPECT_FALSE(limit.Take("t99", kRule, 10, 99s).allowed);
}

TEST(RateLimitTest, ARuleOfZeroLetsSomethingPass) {
  RateLimit limit(4);
  const RateVerdict first = limit.Take("acme", {.per_second = 0, .burst = 0}, 1, 0s);
  EXPECT_TRUE(first.allowed);
  EXPECT_EQ(limit.Take("acme", {.per_second = 0, .burst = 0}, 1, 0s).retry_after, 86'400s);
}

TEST(RateLimitTest, TheFieldsSayWhatIsLeft) {
  http::Headers headers;
  AddRateLimitFields({.allowed = true, .rule = kRule, .left = 3.5}, &headers);
  EXPECT_EQ(headers.Find("RateLimit-Policy"), "\"events\";q=10;w=5");
  EXPECT_EQ(headers.Find("RateLimit"), "\"events\";r=3;t=4");
  EXPECT_EQ(headers.Find("Retry-After"), std::nullopt);
  http::Headers refused;
  AddRateLimitFields({.allowed = false, .rule = kRule, .left = -4, .retry_after = 7s}, &refused);
  EXPECT_EQ(refused.Find("RateLimit"), "\"events\";r=0;t=7");
  EXPECT_EQ(refused.Find("Retry-After"), "7");
}

}  // namespace
}  // namespace alertstream::api

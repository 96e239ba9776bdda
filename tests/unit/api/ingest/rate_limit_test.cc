#include "api/ingest/rate_limit.h"

#include <array>
#include <chrono>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace alertstream::api {
namespace {

using namespace std::chrono_literals;

constexpr EventRate kRate = {.per_second = 2, .burst = 10};

RateVerdict Take(RateLimit* limit, std::string_view bucket, const EventRate& rate,
                 std::size_t events, std::chrono::microseconds now) {
  const RateClaim claim = {.bucket = bucket, .rate = rate};
  return limit->Take({&claim, 1}, events, now);
}

TEST(RateLimitTest, ABucketEmptiesAndFillsAgain) {
  RateLimit limit(10);
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(Take(&limit, "acme", kRate, 1, 100s).allowed) << i;
  }
  const RateVerdict refused = Take(&limit, "acme", kRate, 1, 100s);
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.retry_after, 1s);
  EXPECT_FALSE(Take(&limit, "acme", kRate, 1, 100s + 499ms).allowed);
  EXPECT_TRUE(Take(&limit, "acme", kRate, 1, 100s + 501ms).allowed);
  EXPECT_DOUBLE_EQ(Take(&limit, "acme", kRate, 1, 1'000s).left, 9);
}

TEST(RateLimitTest, ABatchCostsItsEvents) {
  RateLimit limit(10);
  EXPECT_TRUE(Take(&limit, "acme", kRate, 8, 0s).allowed);
  const RateVerdict refused = Take(&limit, "acme", kRate, 8, 0s);
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.retry_after, 3s);
  EXPECT_TRUE(Take(&limit, "acme", kRate, 2, 0s).allowed);
}

TEST(RateLimitTest, ABatchLargerThanTheBucketIsPaidForAfterwards) {
  RateLimit limit(10);
  EXPECT_TRUE(Take(&limit, "acme", kRate, 30, 0s).allowed);
  const RateVerdict refused = Take(&limit, "acme", kRate, 1, 10s);
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.retry_after, 1s);
  EXPECT_TRUE(Take(&limit, "acme", kRate, 1, 11s).allowed);
  EXPECT_FALSE(Take(&limit, "acme", kRate, 30, 12s).allowed);
}

TEST(RateLimitTest, NoBucketTakesFromAnother) {
  RateLimit limit(10);
  EXPECT_TRUE(Take(&limit, "acme", kRate, 10, 0s).allowed);
  EXPECT_TRUE(Take(&limit, "bakery", kRate, 10, 0s).allowed);
  EXPECT_FALSE(Take(&limit, "acme", kRate, 1, 0s).allowed);
}

TEST(RateLimitTest, TheNumberOfBucketsIsLimited) {
  RateLimit limit(4);
  EXPECT_TRUE(Take(&limit, "present", kRate, 10, 100s).allowed);
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(Take(&limit, "t" + std::to_string(i), kRate, 10, std::chrono::seconds(i)).allowed);
  }
  // Whoever was here last is not forgotten.
  EXPECT_FALSE(Take(&limit, "t99", kRate, 10, 99s).allowed);
}

TEST(RateLimitTest, ARuleOfZeroLetsSomethingPass) {
  RateLimit limit(4);
  const RateVerdict first = Take(&limit, "acme", {.per_second = 0, .burst = 0}, 1, 0s);
  EXPECT_TRUE(first.allowed);
  EXPECT_EQ(Take(&limit, "acme", {.per_second = 0, .burst = 0}, 1, 0s).retry_after, 86'400s);
}

TEST(RateLimitTest, SeveralBucketsGiveTogetherOrNotAtAll) {
  RateLimit limit(4);
  const std::array<RateClaim, 2> claims = {
      {{.bucket = "wide", .rate = {.per_second = 1, .burst = 10}},
       {.bucket = "narrow", .rate = {.per_second = 0.5, .burst = 4}}}};
  const RateVerdict first = limit.Take(claims, 3, 0s);
  EXPECT_TRUE(first.allowed);
  EXPECT_EQ(first.left, 1);
  EXPECT_EQ(first.rate.burst, 4U);
  const RateVerdict refused = limit.Take(claims, 3, 0s);
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.retry_after, 4s);
  EXPECT_EQ(refused.rate.burst, 4U);
  // The refused request took nothing of the other one, which is the tighter one once it is lower.
  EXPECT_EQ(Take(&limit, "wide", claims[0].rate, 7, 0s).left, 0);
  const RateVerdict wide = limit.Take(claims, 1, 0s);
  EXPECT_FALSE(wide.allowed);
  EXPECT_EQ(wide.rate.burst, 10U);
  EXPECT_EQ(Take(&limit, "narrow", claims[1].rate, 1, 0s).left, 0);
}

TEST(RateLimitTest, ATenantHasABucketForEachKindOfKeyAndAKeyOneOfItsOwn) {
  RateLimit limit(10);
  const ApiKey server = {.id = "s1", .kind = KeyKind::kSecret, .tenant = "acme"};
  const ApiKey narrow = {
      .id = "s2", .kind = KeyKind::kSecret, .tenant = "acme", .own_rate = EventRate{1, 2}};
  const ApiKey browser = {.id = "s1", .kind = KeyKind::kPublishable, .tenant = "acme"};
  EXPECT_EQ(limit.TakeOf(server, kRate, 5, 0s).left, 5);
  EXPECT_EQ(limit.TakeOf(narrow, kRate, 2, 0s).left, 0);
  const RateVerdict refused = limit.TakeOf(narrow, kRate, 1, 0s);
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.rate, narrow.own_rate);
  EXPECT_EQ(limit.TakeOf(browser, kRate, 1, 0s).left, 9);
  EXPECT_EQ(limit.TakeOf(server, kRate, 3, 0s).left, 0);
  EXPECT_FALSE(limit.TakeOf(server, kRate, 1, 0s).allowed);
  // A key that is wider than its tenant gains nothing.
  ApiKey wide = narrow;
  wide.id = "s3";
  wide.own_rate = EventRate{1'000, 1'000};
  const RateVerdict by_tenant = limit.TakeOf(wide, kRate, 1, 0s);
  EXPECT_FALSE(by_tenant.allowed);
  EXPECT_EQ(by_tenant.rate, kRate);
}

TEST(RateLimitTest, TheFieldsSayWhatIsLeft) {
  http::Headers headers;
  AddRateLimitFields({.allowed = true, .rate = kRate, .left = 3.5}, &headers);
  EXPECT_EQ(headers.Find("RateLimit-Policy"), "\"events\";q=10;w=5");
  EXPECT_EQ(headers.Find("RateLimit"), "\"events\";r=3;t=4");
  EXPECT_EQ(headers.Find("Retry-After"), std::nullopt);
  http::Headers refused;
  AddRateLimitFields({.allowed = false, .rate = kRate, .left = -4, .retry_after = 7s}, &refused);
  EXPECT_EQ(refused.Find("RateLimit"), "\"events\";r=0;t=7");
  EXPECT_EQ(refused.Find("Retry-After"), "7");
}

}  // namespace
}  // namespace alertstream::api

#include "api/ingest/rate_limit.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

namespace alertstream::api {
namespace {

constexpr double kPerSecondMin = 1.0 / 86'400;
constexpr std::size_t kClaimsOfKeyMax = 2;  // Its tenant's, and its own.

// Whole seconds until `tokens` more are there.
std::int64_t SecondsFor(double tokens, double per_second) {
  return static_cast<std::int64_t>(std::ceil(std::max(tokens, 0.0) / per_second));
}

EventRate Usable(EventRate rate) {
  return {.per_second = std::max(rate.per_second, kPerSecondMin),
          .burst = std::max<std::uint32_t>(rate.burst, 1)};
}

bool IsTighter(const RateVerdict& a, const RateVerdict& b) {
  if (a.allowed != b.allowed) {
    return !a.allowed;
  }
  return a.allowed ? a.left < b.left : a.retry_after > b.retry_after;
}

}  // namespace

RateVerdict RateLimit::Take(std::span<const RateClaim> claims, std::size_t events,
                            std::chrono::microseconds now) {
  const auto wanted = static_cast<double>(events);
  const std::lock_guard lock(mutex_);
  if (buckets_.size() + claims.size() > buckets_max_) {
    MakeRoom();  // Before any bucket is looked up: none that this call needs goes.
  }
  RateVerdict tightest = {.allowed = true};
  for (std::size_t i = 0; i < claims.size(); ++i) {
    const EventRate rate = Usable(claims[i].rate);
    const double tokens = Filled(claims[i], now).tokens;
    const double needed = std::min(wanted, static_cast<double>(rate.burst));
    RateVerdict verdict = {.allowed = tokens >= needed, .rate = rate, .left = tokens};
    if (!verdict.allowed) {
      verdict.retry_after = std::chrono::seconds(
          std::max<std::int64_t>(SecondsFor(needed - tokens, rate.per_second), 1));
    }
    if (i == 0 || IsTighter(verdict, tightest)) {
      tightest = verdict;
    }
  }
  if (tightest.allowed) {
    for (const RateClaim& claim : claims) {
      buckets_.find(claim.bucket)->second.tokens -= wanted;
    }
    tightest.left -= wanted;
  }
  return tightest;
}

RateVerdict RateLimit::TakeOf(const ApiKey& key, const EventRate& tenant_rate, std::size_t events,
                              std::chrono::microseconds now) {
  // No id holds a slash, so that no two buckets have one name.
  const std::string tenant =
      key.tenant + (key.kind == KeyKind::kPublishable ? "/publishable" : "/secret");
  if (!key.own_rate) {
    const RateClaim claim = {.bucket = tenant, .rate = tenant_rate};
    return Take({&claim, 1}, events, now);
  }
  const std::string own = tenant + "/" + key.id;
  const std::array<RateClaim, kClaimsOfKeyMax> claims = {
      {{.bucket = tenant, .rate = tenant_rate}, {.bucket = own, .rate = *key.own_rate}}};
  return Take(claims, events, now);
}

// The claim's bucket with the tokens it has by now.
RateLimit::Bucket& RateLimit::Filled(const RateClaim& claim, std::chrono::microseconds now) {
  const EventRate rate = Usable(claim.rate);
  const auto size = static_cast<double>(rate.burst);
  const auto found = buckets_.find(claim.bucket);
  if (found == buckets_.end()) {
    return buckets_.emplace(claim.bucket, Bucket{.tokens = size, .at = now}).first->second;
  }
  Bucket& bucket = found->second;
  const double passed_s = static_cast<double>(std::max(now - bucket.at, {}).count()) / 1e6;
  bucket.tokens = std::min(size, bucket.tokens + passed_s * rate.per_second);
  bucket.at = std::max(bucket.at, now);
  return bucket;
}

// Forgets the half that was away longest.
void RateLimit::MakeRoom() {
  if (buckets_.empty()) {
    return;
  }
  std::vector<std::chrono::microseconds> times;
  times.reserve(buckets_.size());
  for (const auto& [key, bucket] : buckets_) {
    times.push_back(bucket.at);
  }
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  std::erase_if(buckets_, [&](const auto& item) { return item.second.at <= *middle; });
}

void AddRateLimitFields(const RateVerdict& verdict, http::Headers* headers) {
  const EventRate& rate = verdict.rate;
  const auto size = static_cast<double>(rate.burst);
  headers->Add("RateLimit-Policy",
               fmt::format("\"events\";q={};w={}", rate.burst, SecondsFor(size, rate.per_second)));
  const std::int64_t reset_s = verdict.allowed ? SecondsFor(size - verdict.left, rate.per_second)
                                               : verdict.retry_after.count();
  headers->Add("RateLimit",
               fmt::format("\"events\";r={};t={}",
                           static_cast<std::int64_t>(std::max(verdict.left, 0.0)), reset_s));
  if (!verdict.allowed) {
    headers->Add("Retry-After", std::to_string(verdict.retry_after.count()));
  }
}

}  // namespace alertstream::api

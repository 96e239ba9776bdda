#include "api/ingest/rate_limit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace alertstream::api {
namespace {

constexpr double kPerSecondMin = 1.0 / 86'400;

// Whole seconds until `tokens` more are there.
std::int64_t SecondsFor(double tokens, double per_second) {
  return static_cast<std::int64_t>(std::ceil(std::max(tokens, 0.0) / per_second));
}

}  // namespace

RateVerdict RateLimit::Take(std::string_view key, RateLimitRule rule, std::size_t events,
                            std::chrono::microseconds now) {
  rule.per_second = std::max(rule.per_second, kPerSecondMin);
  rule.burst = std::max<std::uint32_t>(rule.burst, 1);
  const auto size = static_cast<double>(rule.burst);
  const auto wanted = static_cast<double>(events);
  const std::lock_guard lock(mutex_);
  auto found = buckets_.find(key);
  if (found == buckets_.end()) {
    if (buckets_.size() >= keys_max_) {
      MakeRoom();
    }
    found = buckets_.emplace(key, Bucket{.tokens = size, .at = now}).first;
  }
  Bucket& bucket = found->second;
  const double passed_s = static_cast<double>(std::max(now - bucket.at, {}).count()) / 1e6;
  bucket.tokens = std::min(size, bucket.tokens + passed_s * rule.per_second);
  bucket.at = std::max(bucket.at, now);
  const double needed = std::min(wanted, size);
  RateVerdict verdict = {.allowed = bucket.tokens >= needed, .rule = rule};
  if (verdict.allowed) {
    bucket.tokens -= wanted;
  } else {
    verdict.retry_after = std::chrono::seconds(
        std::max<std::int64_t>(SecondsFor(needed - bucket.tokens, rule.per_second), 1));
  }
  verdict.left = bucket.tokens;
  return verdict;
}

// Forgets the half that was away longest.
void RateLimit::MakeRoom() {
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
  const RateLimitRule& rule = verdict.rule;
  const auto size = static_cast<double>(rule.burst);
  headers->Add("RateLimit-Policy",
               fmt::format("\"events\";q={};w={}", rule.burst, SecondsFor(size, rule.per_second)));
  const std::int64_t reset_s = verdict.allowed ? SecondsFor(size - verdict.left, rule.per_second)
                                               : verdict.retry_after.count();
  headers->Add("RateLimit",
               fmt::format("\"events\";r={};t={}",
                           static_cast<std::int64_t>(std::max(verdict.left, 0.0)), reset_s));
  if (!verdict.allowed) {
    headers->Add("Retry-After", std::to_string(verdict.retry_after.count()));
  }
}

}  // namespace alertstream::api

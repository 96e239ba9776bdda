// RateLimit: a token bucket an API key, one token an event, so that whoever holds a key that is
// public uses up nothing of another one. Thread-safe. Used by the ingest door.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "api/http/message.h"

namespace alertstream::api {

// Of the key that is presented.
struct RateLimitRule {
  double per_second = 1;    // At least one in a day, so that every wait has an end.
  std::uint32_t burst = 1;  // The bucket's size, at least 1.
};

struct RateVerdict {
  bool allowed = false;
  RateLimitRule rule;
  double left = 0;  // Tokens afterwards, below 0 after a batch that was larger than the bucket.
  std::chrono::seconds retry_after{0};  // Unless allowed: when as many would be.
};

class RateLimit {
 public:
  // More keys than these at a time: those that were away longest begin anew with a full bucket.
  explicit RateLimit(std::size_t keys_max) : keys_max_(keys_max) {}

  // Takes `events` tokens if there are as many, or if the bucket is full: a batch larger than the
  // bucket passes once it is, and is paid for afterwards. `now` is of a clock that never jumps.
  RateVerdict Take(std::string_view key, RateLimitRule rule, std::size_t events,
                   std::chrono::microseconds now);

 private:
  struct Bucket {
    double tokens = 0;
    std::chrono::microseconds at{0};
  };
  void MakeRoom();

  const std::size_t keys_max_;
  std::mutex mutex_;
  std::map<std::string, Bucket, std::less<>> buckets_;
};

// RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers), and Retry-After unless
// allowed.
void AddRateLimitFields(const RateVerdict& verdict, http::Headers* headers);

}  // namespace alertstream::api

// RateLimit: token buckets, one token an event. A tenant has one for all its secret keys and one
// for all its publishable ones: a second key doubles nothing, and a public key, which anybody may
// use, takes nothing from the tenant's server. A key with a rate of its own has a bucket besides.
// Thread-safe. Used by the ingest door.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "api/auth/identity.h"
#include "api/http/message.h"

namespace alertstream::api {

// A bucket that has to hold the tokens.
struct RateClaim {
  std::string_view bucket;
  EventRate rate;  // At least one event in a day, so that every wait has an end, and a burst of 1.
};

struct RateVerdict {
  bool allowed = false;
  EventRate rate;   // Of the bucket that allows least.
  double left = 0;  // Its tokens afterwards, below 0 after a batch that was larger than the bucket.
  std::chrono::seconds retry_after{0};  // Unless allowed: when as many would be.
};

class RateLimit {
 public:
  // More buckets than these at a time: those that were not asked longest begin anew, full.
  explicit RateLimit(std::size_t buckets_max) : buckets_max_(buckets_max) {}

  // Takes `events` tokens from every bucket, or from none unless each has as many or is full: a
  // batch larger than a bucket passes once that is full, and is paid for afterwards. `claims`: at
  // least one, of different buckets. `now` is of a clock that never jumps.
  RateVerdict Take(std::span<const RateClaim> claims, std::size_t events,
                   std::chrono::microseconds now);

  // As above, of the buckets of an API key; `tenant_rate` is Identity::RateOf its tenant.
  RateVerdict TakeOf(const ApiKey& key, const EventRate& tenant_rate, std::size_t events,
                     std::chrono::microseconds now);

 private:
  struct Bucket {
    double tokens = 0;
    std::chrono::microseconds at{0};
  };
  Bucket& Filled(const RateClaim& claim, std::chrono::microseconds now);
  void MakeRoom();

  const std::size_t buckets_max_;
  std::mutex mutex_;
  std::map<std::string, Bucket, std::less<>> buckets_;
};

// RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers), and Retry-After unless
// allowed.
void AddRateLimitFields(const RateVerdict& verdict, http::Headers* headers);

}  // namespace alertstream::api

// InFlight: the keys whose events are on their way to the log right now, so that a client that
// repeats a request before it was answered gets the answer of the first. Thread-safe. Used by the
// ingest door; what is on the log already, IdempotencyIndex knows.
//
// There are never more keys than events that the log writer has taken.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <vector>

#include "api/ingest/idempotency_index.h"
#include "processor/base/result.h"

namespace alertstream::api {

// One client repeats itself a few times; more is a mistake that would only collect waiters.
inline constexpr std::size_t kWaitersMax = 8;  // Of one key.

class InFlight {
 public:
  // Called once, by whoever calls End; must not block.
  using Waiter = std::function<void(const Result<IdempotencyEntry>&)>;

  enum class Joined {
    kFirst,     // The key is the caller's, who must End it; the waiter is not used.
    kWaiting,   // The waiter will be called.
    kConflict,  // Another body is under way; whether the key will be used by it is not known.
    kFull,      // kWaitersMax wait already.
  };
  Joined Join(const IdempotencyHash& hash, const Digest& body_sha256, Waiter waiter);

  // What became of the event: tells the waiters, after which the key is free.
  // REQUIRES: Join said kFirst, and End was not called since.
  void End(const IdempotencyHash& hash, const Result<IdempotencyEntry>& outcome);

 private:
  struct Entry {
    Digest body_sha256 = {};
    std::vector<Waiter> waiters;
  };
  struct Shard {
    std::mutex mutex;
    std::map<IdempotencyHash, Entry> entries;
  };
  Shard& ShardOf(const IdempotencyHash& hash) { return shards_[hash[0] % shards_.size()]; }

  std::array<Shard, 16> shards_;  // So that threads seldom meet.
};

}  // namespace alertstream::api

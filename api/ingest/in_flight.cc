#include "api/ingest/in_flight.h"

#include <utility>

#include "processor/base/check.h"

namespace alertstream::api {

InFlight::Joined InFlight::Join(const IdempotencyHash& hash, const Digest& body_sha256,
                                Waiter waiter) {
  Shard& shard = ShardOf(hash);
  const std::lock_guard lock(shard.mutex);
  const auto [found, is_first] = shard.entries.try_emplace(hash, Entry{body_sha256, {}});
  if (is_first) {
    return Joined::kFirst;
  }
  Entry& entry = found->second;
  if (entry.body_sha256 != body_sha256) {
    return Joined::kConflict;
  }
  if (entry.waiters.size() >= kWaitersMax) {
    return Joined::kFull;
  }
  entry.waiters.push_back(std::move(waiter));
  return Joined::kWaiting;
}

void InFlight::End(const IdempotencyHash& hash, const Result<IdempotencyEntry>& outcome) {
  std::vector<Waiter> waiters;
  {
    Shard& shard = ShardOf(hash);
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.entries.find(hash);
    ALERTSTREAM_CHECK(found != shard.entries.end());
    waiters = std::move(found->second.waiters);
    shard.entries.erase(found);
  }
  for (const Waiter& waiter : waiters) {
    waiter(outcome);
  }
}

}  // namespace alertstream::api

// IdempotencyFollower: the index on disk. It follows site-events of all partitions from where it
// left off, so that an instance also knows the keys that others took, and after a restart all of
// the last seven days. What this instance appended is found at once. It follows dead-letters as
// well: the key of an event that the fold refused stands for nothing, so that the event can be
// sent again. Thread-safe; used by the program's wiring, which opens the store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "api/ingest/idempotency_index.h"
#include "processor/base/clock.h"
#include "processor/base/result.h"
#include "processor/log/event_log.h"
#include "processor/state/state_store.h"

namespace alertstream::api {

struct IdempotencyFollowerOptions {
  std::string log_id;
  std::int32_t partitions = 0;
  // Then the oldest go before their time. 165 bytes each: about 3.3 GB of disk.
  std::uint64_t entries_max = 20'000'000;
  // Inserted here and not read back from the log yet; what is more is not known until it is.
  std::size_t recent_max = 200'000;
};

class IdempotencyFollower final : public IdempotencyIndex {
 public:
  // Starts the thread. A store of another log is cleared. `log` and `clock` outlive it.
  static Result<std::unique_ptr<IdempotencyFollower>> Start(
      log::EventLog& log, Clock& clock, std::unique_ptr<state::StateStore> store,
      const IdempotencyFollowerOptions& options);
  // As Stop.
  ~IdempotencyFollower() override;

  std::optional<IdempotencyEntry> Find(const IdempotencyHash& hash) const override;
  void Insert(const IdempotencyHash& hash, const IdempotencyEntry& entry) override;

  // It has caught up with the ends that the log had at the start.
  bool Ready() const;
  // Not empty: why it does not go on.
  std::string Problem() const;
  // Ends the thread; look-ups go on.
  void Stop();

 private:
  struct Impl;
  explicit IdempotencyFollower(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace alertstream::api

// A StateStore in RocksDB: one database a partition, two column families: what lasts and is looked
// up again and again, and history, which only grows and is hardly read. Large batches are added as
// sorted files. All stores of a process share one block cache and one bound on memtables.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "processor/state/state_store.h"

namespace alertstream::state {

// Memory that all stores of a process share. Thread-safe.
class StoreMemory {
 public:
  // `bytes`: block cache (three quarters) and memtables together. Filters and indices of what
  // lasts, about two bytes a key, come to it; those of history lie in the cache.
  static std::shared_ptr<StoreMemory> Create(std::size_t bytes);
  virtual ~StoreMemory() = default;
};

// Whether a key belongs to the history. Of one key always the same: it says where the key lies.
using IsHistory = bool (*)(std::string_view key);

// Opens or creates the store in `directory`. kUnavailable: another process holds it, or the disk is
// full. kCorrupt: RocksDB cannot read its files; the remedy (delete the directory, it is rebuilt
// from the journal) is in the message. `memory` is shared with the other stores of the process.
Result<std::unique_ptr<StateStore>> OpenRocksDbStore(const std::string& directory,
                                                     IsHistory is_history,
                                                     std::shared_ptr<StoreMemory> memory);

}  // namespace alertstream::state

// SnapshotStore: the port behind which copies of partitions' states lie, for the day on which a
// state directory is lost. Adapter: directory/ (RocksDB checkpoints, hard links). A snapshot is one
// point of history, named by the seq and hash of the journal record it stands after; whoever
// restores one compares its root with SumOf. Thread-safe for different partitions; calls for one
// partition come from its task's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "processor/base/result.h"
#include "processor/state/state_root.h"
#include "processor/state/state_store.h"

namespace alertstream::state {

struct Snapshot {
  std::int32_t partition = 0;
  std::uint64_t seq = 0;
  std::string journal_hash;  // 32 bytes, of record `seq`.
  StateRoot root;
  std::uint64_t keys = 0;  // About how many, for progress.

  friend bool operator==(const Snapshot&, const Snapshot&) = default;
};

// More would only hold old files on the disk: the newest one that is whole is taken.
inline constexpr std::size_t kSnapshotsKeptMax = 100;

class SnapshotStore {
 public:
  virtual ~SnapshotStore() = default;

  // Keeps what `store` holds as `snapshot`, whole or not at all: after a crash there is nothing of
  // that name. REQUIRES: `store` is at that point, is the partition's own, and nobody writes to it
  // meanwhile. kInvalid: a store of its kind cannot be kept.
  virtual Status Save(const Snapshot& snapshot, StateStore& store) = 0;

  // Newest first; damaged ones, whose name or manifest cannot be read, are left out. An error: it
  // cannot be told which there are.
  virtual Result<std::vector<Snapshot>> List(std::int32_t partition) = 0;

  // Makes `snapshot` the partition's state; what lay there is put aside as PutAside does. The
  // snapshot stays. kCorrupt: its files are missing or cannot be read. After an error nothing is
  // left half made. REQUIRES: the partition's store is not open.
  virtual Status Restore(const Snapshot& snapshot) = 0;

  // Takes the partition's state out of use but keeps it for a person to look at, in place of what
  // was put aside before. REQUIRES: the partition's store is not open.
  virtual Status PutAside(std::int32_t partition) = 0;

  // Deletes the partition's state, which is a restored snapshot that was refused, or empty. What
  // was put aside stays. REQUIRES: the partition's store is not open.
  virtual Status Discard(std::int32_t partition) = 0;

  // Deletes all but the newest `kept` and whatever was left half made.
  virtual Status Trim(std::int32_t partition, std::size_t kept) = 0;
};

// The sum of the hashes of all keys, which is the root of what the store holds. Reads everything.
// `progress` is called now and then with the keys read; it may be null, and ends the sum with
// kUnavailable when it returns false.
using ScanProgress = std::function<bool(std::uint64_t keys)>;
Result<StateRoot> SumOf(StateStore& store, const ScanProgress& progress);

}  // namespace alertstream::state

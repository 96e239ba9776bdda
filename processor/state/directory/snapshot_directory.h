// Snapshots in a directory: DIR/<partition>/<seq>-<hash>/ with a `manifest` (text) and `state/`, a
// RocksDB checkpoint. On the file system of the state its files are hard links, so a snapshot costs
// milliseconds and, until RocksDB merges the files away, no space; on another one it is a copy.
// Linked files are shared: bit rot in one is in both, which the root shows when it is restored.
#pragma once

#include <memory>
#include <string>

#include "processor/state/snapshot_store.h"

namespace alertstream::state {

struct SnapshotDirectoryOptions {
  std::string directory;  // Of one log's snapshots; made when the first one is.
  // Where the state of partition N lies: state_directory/N. Put aside it is
  // state_directory/N.aside.
  std::string state_directory;
};

std::unique_ptr<SnapshotStore> OpenSnapshotDirectory(SnapshotDirectoryOptions options);

}  // namespace alertstream::state

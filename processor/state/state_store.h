// StateStore: the port behind which one partition's state lies. Adapters: rocksdb/ (what runs),
// memory/ (audit, tests). A store is a cache of the fold: it may be deleted at any time and is
// rebuilt from the journal; what it holds together with its meta is always one point of history.
// Not thread-safe: a partition's task owns its store.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "processor/base/result.h"

namespace alertstream::state {

struct StateWrite {
  std::string_view key;
  std::optional<std::string_view> value;  // Nothing: erase.
};

class StateStore {
 public:
  virtual ~StateStore() = default;

  // True and `*value` if the key is there.
  virtual Result<bool> Get(std::string_view key, std::string* value) = 0;

  // Calls `visit` for the keys in [from, to) in byte order until it returns false.
  using Visit = std::function<bool(std::string_view key, std::string_view value)>;
  virtual Status Scan(std::string_view from, std::string_view to, const Visit& visit) = 0;

  // Applies all writes, which are in key order, and replaces the meta, atomically. After any error
  // the store must not be used again before it was opened anew.
  virtual Status Apply(std::span<const StateWrite> writes, std::string_view meta) = 0;

  // What the last Apply stored as meta (a serialised v1::StoreMeta); nothing in a new store.
  virtual Result<std::optional<std::string>> Meta() = 0;

  // About how many keys there are; what it is good for is the size of tables.
  virtual std::uint64_t KeysEstimate() = 0;

  // Removes everything. For a store that is rebuilt.
  virtual Status Clear() = 0;

  // Puts what the last Apply left into `directory`, which does not exist, for a store of the same
  // kind to be opened there. kInvalid: a store of this kind lies in no directory.
  virtual Status CheckpointTo(const std::string& /*directory*/) {
    return Error(ErrorCode::kInvalid, "this state lies in no directory, so none can be made of it");
  }
};

}  // namespace alertstream::state

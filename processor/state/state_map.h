// StateMap: the write-back map between the fold and a partition's StateStore.
//
// The fold reads and writes here; a batch's writes reach the store only after its journal record is
// committed (Flush), several batches at a time, so that a hot key costs one write. The map keeps
// the state root: the sum mod 2^128 of XXH3-128 over (key, value) of all live keys.
//
// A view returned by Get stays valid until the same key is written or the batch is sealed. Not
// thread-safe: it belongs to the partition's task.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/result.h"
#include "processor/state/entry_cache.h"
#include "processor/state/key_filter.h"
#include "processor/state/state_root.h"
#include "processor/state/state_store.h"

namespace alertstream::state {

class StateMap {
 public:
  struct Options {
    // After a flush the oldest entries are forgotten, unless they were used again, until the map
    // holds no more than this (at most 15 GiB), its filter of absent keys included. The filter
    // takes at most a quarter, and as much again while it is made anew.
    std::size_t bytes_max = 48 << 20;
    // Keys that begin with this are ordered: FirstOrdered finds the smallest.
    std::string ordered_prefix;
    // Keys that are hardly used again some batches later: they are forgotten first. Of one key
    // always the same, as the next.
    bool (*passing)(std::string_view key) = [](std::string_view) { return false; };
    // Keys that are asked for without being known to exist, so that it pays to know without the
    // store that they do not.
    bool (*asked_blindly)(std::string_view key) = [](std::string_view) { return true; };
  };

  // `store` must outlive the map and be at the point of history that `root` belongs to.
  StateMap(StateStore& store, Options options, StateRoot root);
  StateMap(const StateMap&) = delete;
  StateMap& operator=(const StateMap&) = delete;

  // The value of `key`, if present. After a failed store read the answer is "absent" and status()
  // holds the error: the caller checks it before it lets anything depend on the batch.
  std::optional<std::string_view> Get(std::string_view key);
  void Put(std::string_view key, std::string_view value);
  // Put of a key that was never used before (it contains an id made from a position): spares the
  // look-up.
  void PutFresh(std::string_view key, std::string_view value);
  void Erase(std::string_view key);

  // The smallest key >= `from` with the ordered prefix, or nothing. The view lives until the next
  // call of a non-const method.
  std::optional<std::string_view> FirstOrdered(std::string_view from);

  // A record's writes can be taken back as long as the next BeginRecord was not called.
  void BeginRecord();
  void RollbackRecord();

  // Ends a batch: brings the root up to date with everything written since the last call.
  const StateRoot& SealBatch();
  const StateRoot& root() const { return root_; }

  // Writes everything dirty, with `meta`, to the store in one batch. Call only after the journal
  // record of the last sealed batch is known to be committed. Writes nothing after an error of the
  // store.
  Status Flush(std::string_view meta);
  std::size_t dirty_count() const { return dirty_.size(); }
  std::size_t bytes() const { return cache_.bytes() + filter_.bytes(); }
  // More than Options::bytes_max: the next Flush makes room.
  bool full() const { return bytes() > options_.bytes_max; }

  // The first error of the store, for ever.
  const Status& status() const { return status_; }

 private:
  // What an entry's value was before a write: a piece of `undo_bytes_`.
  struct Undo {
    Entry* entry;
    std::size_t begin;
    std::size_t bytes;
    bool present;
  };

  Entry& Load(std::string_view key);
  Entry& Insert(std::string_view key, std::uint64_t hash, std::size_t value_capacity);
  void Write(Entry& entry, std::optional<std::string_view> value);
  void SortDirty();
  void FailWith(const Status& status);

  StateStore& store_;
  const Options options_;
  StateRoot root_;
  Status status_;
  EntryCache cache_;
  KeyFilter filter_;
  // Ordered keys that differ from the store.
  std::map<std::string, Entry*, std::less<>> ordered_dirty_;
  std::string first_ordered_;
  std::vector<Entry*> dirty_;
  // Written since the last SealBatch, with what the root holds for it.
  struct Unsealed {
    Entry* entry = nullptr;
    StateRoot rooted;
  };
  std::vector<Unsealed> unsealed_;
  std::vector<Undo> undo_;
  std::string undo_bytes_;
  std::vector<StateWrite> writes_;
  std::string buffer_;
  std::uint8_t batch_ = 1;  // Compared for equality only.
};

}  // namespace alertstream::state

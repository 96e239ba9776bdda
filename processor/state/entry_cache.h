// EntryCache: the entries of a StateMap in memory. An entry, its key and its value lie next to each
// other, and entries made one after the other are neighbours, because what a batch costs is mostly
// waiting for memory: a batch is sealed and flushed in the order in which it was folded.
//
// Entries live in large pages, filled one after the other. Room is made from the oldest page: what
// was used again since it came there moves to the newest one, the rest is forgotten. Internal to
// processor/state. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string_view>
#include <vector>

#include "processor/state/state_root.h"

namespace alertstream::state {

struct Entry {
  StateRoot rooted;  // What the root holds for this key now; zero if absent.
  std::uint64_t hash = 0;
  char* value_data = nullptr;  // Behind the key, or on the heap if it outgrew that place.
  std::uint32_t value_bytes = 0;
  std::uint32_t value_capacity = 0;
  std::uint32_t extent =
      0;                    // Bytes of its page that it takes, key and place of the value included.
  std::uint32_t batch = 0;  // Of the last use.
  std::uint16_t key_bytes = 0;
  bool on_heap = false;
  bool used_again = false;  // In a later batch than the one that made the entry or moved it.
  bool present = false;
  bool dirty = false;     // Differs from the store.
  bool unsealed = false;  // Written since the last SealBatch.

  std::string_view key() const { return {reinterpret_cast<const char*>(this + 1), key_bytes}; }
  std::string_view value() const { return {value_data, value_bytes}; }
};

class EntryCache {
 public:
  EntryCache();
  ~EntryCache();
  EntryCache(const EntryCache&) = delete;
  EntryCache& operator=(const EntryCache&) = delete;

  static std::uint64_t HashOf(std::string_view key);

  // Null if there is none.
  Entry* Find(std::string_view key, std::uint64_t hash) const;
  // A new entry, absent, with room for a value of `value_capacity` bytes. REQUIRES: Find gives
  // null.
  Entry* Insert(std::string_view key, std::uint64_t hash, std::size_t value_capacity);
  // `value` may lie in the entry's present value.
  void SetValue(Entry* entry, std::string_view value);
  // Forgets entries until at most `bytes_max` are in use, as far as possible. Pointers to entries
  // become invalid. REQUIRES: no entry is dirty.
  void Shrink(std::size_t bytes_max);

  // Pages that hold entries, values on the heap and the index.
  std::size_t bytes() const;

 private:
  struct Slot {
    std::uint64_t hash;
    Entry* entry;  // Null: free.
  };
  struct Page {
    char* bytes;
    std::size_t used;
  };

  Entry* Allocate(std::size_t key_bytes, std::size_t value_capacity);
  void Index(Entry* entry);
  void Unindex(const Entry& entry);
  void GrowIndex();
  void Move(const Entry& entry);
  void ReleaseHeap(Entry* entry);

  std::deque<Page> pages_;    // Oldest first.
  std::vector<char*> spare_;  // Emptied pages; the next batches need as many.
  std::vector<Slot> slots_;
  std::size_t count_ = 0;
  std::size_t heap_bytes_ = 0;
};

}  // namespace alertstream::state

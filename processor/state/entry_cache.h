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
#include <cstring>
#include <deque>
#include <string_view>
#include <vector>

namespace alertstream::state {

struct Entry {
  std::uint32_t value_bytes = 0;
  // Bytes of its page that it takes: this, the key, and the place of the value.
  std::uint32_t extent = 0;
  std::uint32_t batch = 0;        // Of the last use.
  std::uint32_t filtered_in = 0;  // The KeyFilter's round in which the key was added to it.
  std::uint16_t key_bytes = 0;
  bool on_heap : 1 = false;     // The value outgrew its place, which now says where it lies.
  bool used_again : 1 = false;  // In a later batch than the one that made the entry or moved it.
  bool present : 1 = false;
  bool dirty : 1 = false;     // Differs from the store.
  bool unsealed : 1 = false;  // Written since the last SealBatch.

  std::string_view key() const { return {reinterpret_cast<const char*>(this + 1), key_bytes}; }
  std::string_view value() const {
    const char* place = reinterpret_cast<const char*>(this + 1) + key_bytes;
    if (!on_heap) [[likely]] {
      return {place, value_bytes};
    }
    const char* elsewhere = nullptr;
    std::memcpy(static_cast<void*>(&elsewhere), place, sizeof(elsewhere));
    return {elsewhere, value_bytes};
  }
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
  // A new entry, absent, with room for a value of `value_capacity` bytes (and some; the newest
  // entry's place grows with its value). REQUIRES: Find gives null.
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

  // A value on the heap: what its place in the page holds instead of it.
  struct HeapValue {
    char* bytes;
    std::size_t capacity;
  };

  static char* PlaceOf(Entry* entry) {
    return reinterpret_cast<char*>(entry + 1) + entry->key_bytes;
  }
  static std::size_t RoomOf(const Entry& entry) {
    return entry.extent - sizeof(Entry) - entry.key_bytes;
  }
  static HeapValue HeapValueOf(Entry* entry);

  Entry* Allocate(std::size_t key_bytes, std::size_t value_capacity);
  bool GrowInPlace(Entry* entry, std::size_t value_capacity);
  void Index(std::uint64_t hash, Entry* entry);
  void Unindex(const Entry& entry, std::uint64_t hash);
  void GrowIndex();
  void Move(Entry* entry, std::uint64_t hash);
  void ReleaseHeap(Entry* entry);

  std::deque<Page> pages_;    // Oldest first.
  std::vector<char*> spare_;  // Emptied pages; the next batches need as many.
  std::vector<Slot> slots_;
  std::size_t count_ = 0;
  std::size_t heap_bytes_ = 0;
};

}  // namespace alertstream::state

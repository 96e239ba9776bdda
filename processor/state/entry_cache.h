// EntryCache: the entries of a StateMap in memory. An entry, its key and its value lie next to each
// other, and entries made one after the other are neighbours, because what a batch costs is mostly
// waiting for memory: a batch is sealed and flushed in the order in which it was folded.
//
// Entries live in large pages, filled one after the other, those of what passes (most is never used
// again) apart from those of what lasts. Room is made from the oldest page, of what passes as long
// as there is much of it: what was used again since it came there moves to the newest one, the rest
// is forgotten. Internal to processor/state. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <string_view>
#include <vector>

#include "processor/state/large_array.h"

namespace alertstream::state {

struct Entry {
  std::uint32_t value_bytes = 0;
  std::uint16_t key_bytes = 0;
  // What it takes of its page, in units of its alignment: this, the key, the place of the value.
  std::uint16_t extent = 0;
  std::uint8_t batch = 0;       // Of the last use; compared for equality only.
  bool on_heap : 1 = false;     // The value outgrew its place, which now says where it lies.
  bool used_again : 1 = false;  // In a later batch than the one that made the entry or moved it.
  bool present : 1 = false;
  bool dirty : 1 = false;     // Differs from the store.
  bool unsealed : 1 = false;  // Written since the last SealBatch.
  bool passing : 1 = false;   // Its page is one of what passes.
  bool filtered : 1 = false;  // The KeyFilter knows the key.

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
  // Of bytes(): what places in the index can name, but for what is not forgotten yet.
  static constexpr std::size_t kBytesMax = std::size_t{15} << 30;

  EntryCache();
  ~EntryCache();
  EntryCache(const EntryCache&) = delete;
  EntryCache& operator=(const EntryCache&) = delete;

  static std::uint64_t HashOf(std::string_view key);

  // Null if there is none.
  Entry* Find(std::string_view key, std::uint64_t hash) const;
  // A new entry, absent, with room for a value of `value_capacity` bytes (and some; the newest
  // entry's place grows with its value). `passing`: likely not to be used again. REQUIRES: Find
  // gives null.
  Entry* Insert(std::string_view key, std::uint64_t hash, std::size_t value_capacity, bool passing);
  // `value` may lie in the entry's present value.
  void SetValue(Entry* entry, std::string_view value);
  // Forgets entries until at most `bytes_max` are in use, as far as possible, and keeps the memory
  // of at most `spare_max` bytes for the next. Pointers to entries become invalid. REQUIRES: no
  // entry is dirty.
  void Shrink(std::size_t bytes_max, std::size_t spare_max);

  // No entry is `filtered` any more.
  void ForgetFiltered();

  // Pages that hold entries, values on the heap and the index.
  std::size_t bytes() const;

 private:
  // Where an entry lies, in eight bytes: there are as many as entries, and most of a look-up is
  // waiting for one.
  struct Slot {
    std::uint32_t hash;   // Its lower half, of which the lowest bits are the place in the index.
    std::uint32_t place;  // The page's number and the offset in it; 0: free.
  };
  struct Page {
    char* bytes;
    std::size_t used;
    std::uint32_t number;
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
    return entry.extent * alignof(Entry) - sizeof(Entry) - entry.key_bytes;
  }
  static HeapValue HeapValueOf(Entry* entry);

  using Pages = std::deque<Page>;  // Oldest first.

  Pages& PagesOf(bool passing) { return pages_[passing ? 1 : 0]; }
  // An entry and its place.
  struct Made {
    Entry* entry;
    std::uint32_t place;
  };
  Made Allocate(std::size_t key_bytes, std::size_t value_capacity, bool passing);
  void EmptyOldest(Pages& pages);
  bool GrowInPlace(Entry* entry, std::size_t value_capacity);
  Entry* EntryOf(Slot slot) const;
  void Index(Slot slot);
  void Unindex(Slot slot);
  void GrowIndex();
  void Move(Entry* entry, Slot slot);
  void ReleaseHeap(Entry* entry);

  std::array<Pages, 2> pages_;   // Of what lasts, of what passes.
  std::vector<Page> spare_;      // Emptied pages; the next batches need most of them.
  std::size_t returned_ = 0;     // So many of them, the first, take no memory at present.
  std::vector<char*> numbered_;  // Every page by its number; the first is none.
  LargeArray<Slot> slots_;
  std::size_t count_ = 0;
  std::size_t heap_bytes_ = 0;
};

}  // namespace alertstream::state

#include "processor/state/entry_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

#include <xxhash.h>

#include "processor/base/check.h"

namespace alertstream::state {
namespace {

// A huge page of the hardware, so that a page of ours costs one entry of its address cache.
constexpr std::size_t kPageBytes = std::size_t{2} << 20;
// Longer values live on the heap: a page must hold many entries to be worth filling.
constexpr std::size_t kValueInPageMax = 4096;
constexpr std::size_t kKeyBytesMax = std::numeric_limits<std::uint16_t>::max();
constexpr std::size_t kAlignment = alignof(Entry);
constexpr std::size_t kSlotsMin = 1024;
// A heap value's own overhead, and room to grow again.
constexpr std::size_t kHeapSlack = 32;

constexpr std::size_t Aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// The least room for a value: where one on the heap lies.
constexpr std::size_t kPlaceBytesMin = sizeof(char*) + sizeof(std::size_t);

static_assert(sizeof(Entry) == 20, "there are many");
static_assert(sizeof(Entry) + kKeyBytesMax + kValueInPageMax + kAlignment <= kPageBytes);

// Aligned, as huge pages must be. Without memory left both throw std::bad_alloc, as every
// container.
char* NewPage() {
  auto* bytes = static_cast<char*>(::operator new (kPageBytes, std::align_val_t{kPageBytes}));
  static_cast<void>(madvise(bytes, kPageBytes, MADV_HUGEPAGE));  // A wish only.
  return bytes;
}

void DeletePage(char* bytes) { ::operator delete (bytes, std::align_val_t{kPageBytes}); }

Entry* EntryAt(char* bytes) { return std::launder(reinterpret_cast<Entry*>(bytes)); }

}  // namespace

EntryCache::EntryCache() : slots_(kSlotsMin) {}

EntryCache::~EntryCache() {
  for (Slot& slot : slots_) {
    if (slot.entry != nullptr) {
      ReleaseHeap(slot.entry);
    }
  }
  for (const Page& page : pages_) {
    DeletePage(page.bytes);
  }
  for (char* bytes : spare_) {
    DeletePage(bytes);
  }
}

std::uint64_t EntryCache::HashOf(std::string_view key) {
  return XXH3_64bits(key.data(), key.size());
}

Entry* EntryCache::Find(std::string_view key, std::uint64_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t i = hash & mask; slots_[i].entry != nullptr; i = (i + 1) & mask) {
    if (slots_[i].hash == hash && slots_[i].entry->key() == key) {
      return slots_[i].entry;
    }
  }
  return nullptr;
}

Entry* EntryCache::Allocate(std::size_t key_bytes, std::size_t value_capacity) {
  ALERTSTREAM_CHECK(key_bytes <= kKeyBytesMax);
  const std::size_t in_page =
      value_capacity > kValueInPageMax ? kPlaceBytesMin : std::max(value_capacity, kPlaceBytesMin);
  const std::size_t extent = Aligned(sizeof(Entry) + key_bytes + in_page);
  if (pages_.empty() || pages_.back().used + extent > kPageBytes) {
    char* bytes = nullptr;
    if (spare_.empty()) {
      bytes = NewPage();
    } else {
      bytes = spare_.back();
      spare_.pop_back();
    }
    pages_.push_back(Page{bytes, 0});
  }
  Page& page = pages_.back();
  auto* entry = new (page.bytes + page.used) Entry();
  page.used += extent;
  entry->extent = static_cast<std::uint32_t>(extent);
  entry->key_bytes = static_cast<std::uint16_t>(key_bytes);
  return entry;
}

// Only the newest entry can: behind it the page is free.
bool EntryCache::GrowInPlace(Entry* entry, std::size_t value_capacity) {
  Page& page = pages_.back();
  const char* end = reinterpret_cast<const char*>(entry) + entry->extent;
  const std::size_t extent = Aligned(sizeof(Entry) + entry->key_bytes + value_capacity);
  if (entry->on_heap || end != page.bytes + page.used || value_capacity > kValueInPageMax ||
      page.used - entry->extent + extent > kPageBytes) {
    return false;
  }
  page.used += extent - entry->extent;
  entry->extent = static_cast<std::uint32_t>(extent);
  return true;
}

Entry* EntryCache::Insert(std::string_view key, std::uint64_t hash, std::size_t value_capacity) {
  Entry* entry = Allocate(key.size(), value_capacity);
  std::memcpy(reinterpret_cast<char*>(entry + 1), key.data(), key.size());
  Index(hash, entry);
  return entry;
}

EntryCache::HeapValue EntryCache::HeapValueOf(Entry* entry) {
  HeapValue value{};
  std::memcpy(&value, PlaceOf(entry), sizeof(value));
  return value;
}

void EntryCache::SetValue(Entry* entry, std::string_view value) {
  ALERTSTREAM_CHECK(value.size() < std::numeric_limits<std::uint32_t>::max() / 2);
  const std::size_t room = entry->on_heap ? HeapValueOf(entry).capacity : RoomOf(*entry);
  if (value.size() > room && !GrowInPlace(entry, value.size())) {
    HeapValue heap{.bytes = nullptr, .capacity = value.size() + value.size() / 2};
    heap.bytes = static_cast<char*>(::operator new(heap.capacity));
    std::memcpy(heap.bytes, value.data(), value.size());
    ReleaseHeap(entry);
    std::memcpy(PlaceOf(entry), &heap, sizeof(heap));
    entry->on_heap = true;
    heap_bytes_ += heap.capacity + kHeapSlack;
  } else if (!value.empty()) {
    std::memmove(entry->on_heap ? HeapValueOf(entry).bytes : PlaceOf(entry), value.data(),
                 value.size());
  }
  entry->value_bytes = static_cast<std::uint32_t>(value.size());
}

void EntryCache::ReleaseHeap(Entry* entry) {
  if (entry->on_heap) {
    const HeapValue value = HeapValueOf(entry);
    heap_bytes_ -= value.capacity + kHeapSlack;
    ::operator delete(value.bytes);
    entry->on_heap = false;
  }
}

void EntryCache::Index(std::uint64_t hash, Entry* entry) {
  if ((count_ + 1) * 4 > slots_.size() * 3) {
    GrowIndex();
  }
  const std::size_t mask = slots_.size() - 1;
  std::size_t i = hash & mask;
  while (slots_[i].entry != nullptr) {
    i = (i + 1) & mask;
  }
  slots_[i] = Slot{hash, entry};
  ++count_;
}

void EntryCache::GrowIndex() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  count_ = 0;
  for (const Slot& slot : old) {
    if (slot.entry != nullptr) {
      Index(slot.hash, slot.entry);
    }
  }
}

void EntryCache::Unindex(const Entry& entry, std::uint64_t hash) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t i = hash & mask;
  while (slots_[i].entry != &entry) {
    ALERTSTREAM_CHECK(slots_[i].entry != nullptr);
    i = (i + 1) & mask;
  }
  // Later ones of the same run move up, so that no search stops at a gap before it found its key.
  for (std::size_t next = (i + 1) & mask; slots_[next].entry != nullptr; next = (next + 1) & mask) {
    const std::size_t home = slots_[next].hash & mask;
    if (((next - home) & mask) >= ((next - i) & mask)) {
      slots_[i] = slots_[next];
      i = next;
    }
  }
  slots_[i].entry = nullptr;
  --count_;
}

void EntryCache::Move(Entry* entry, std::uint64_t hash) {
  Entry* moved = Allocate(entry->key_bytes, entry->on_heap ? 0 : entry->value_bytes);
  std::memcpy(reinterpret_cast<char*>(moved + 1), entry->key().data(), entry->key_bytes);
  moved->batch = entry->batch;
  moved->filtered_in = entry->filtered_in;
  moved->present = entry->present;
  moved->on_heap = entry->on_heap;
  moved->value_bytes = entry->value_bytes;
  std::memcpy(PlaceOf(moved), PlaceOf(entry),
              entry->on_heap ? sizeof(HeapValue) : entry->value_bytes);
  Index(hash, moved);
}

void EntryCache::Shrink(std::size_t bytes_max) {
  // What was used again is moved once and forgotten when it comes round unused.
  while (bytes() > bytes_max && !pages_.empty()) {
    const Page page = pages_.front();
    pages_.pop_front();
    for (std::size_t at = 0; at < page.used;) {
      Entry* entry = EntryAt(page.bytes + at);
      at += entry->extent;
      ALERTSTREAM_CHECK(!entry->dirty);
      const std::uint64_t hash = HashOf(entry->key());
      Unindex(*entry, hash);
      if (entry->used_again) {
        Move(entry, hash);
      } else {
        ReleaseHeap(entry);
      }
    }
    spare_.push_back(page.bytes);
  }
}

std::size_t EntryCache::bytes() const {
  return pages_.size() * kPageBytes + heap_bytes_ + slots_.size() * sizeof(Slot);
}

}  // namespace alertstream::state

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
constexpr int kPageBits = 21;
static_assert(kPageBytes == std::size_t{1} << kPageBits);
// A place counts in the entries' alignment, so that 32 bits are enough for 16 GiB.
constexpr int kOffsetBits = kPageBits - 2;
constexpr std::size_t kPagesMax = std::size_t{1} << (32 - kOffsetBits);
// Longer values live on the heap: a page must hold many entries to be worth filling.
constexpr std::size_t kValueInPageMax = 4096;
constexpr std::size_t kKeyBytesMax = std::numeric_limits<std::uint16_t>::max();
constexpr std::size_t kAlignment = alignof(Entry);
static_assert(kAlignment == std::size_t{1} << (kPageBits - kOffsetBits));
constexpr std::size_t kSlotsMin = 1024;
// Of the memory that what passes is left when there is not enough for what lasts: a message is
// followed by its attempts and receipts soon.
constexpr std::size_t kPassingShare = 16;
// A heap value's own overhead, and room to grow again.
constexpr std::size_t kHeapSlack = 32;

constexpr std::size_t Aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// The least room for a value: where one on the heap lies.
constexpr std::size_t kPlaceBytesMin = sizeof(char*) + sizeof(std::size_t);

static_assert(sizeof(Entry) == 12, "there are many");
static_assert((sizeof(Entry) + kKeyBytesMax + kValueInPageMax) / kAlignment <
              std::numeric_limits<std::uint16_t>::max());

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

EntryCache::EntryCache() : numbered_{nullptr}, slots_(kSlotsMin, PageSize::kNormal) {}

EntryCache::~EntryCache() {
  for (const Slot& slot : slots_) {
    if (slot.place != 0) {
      ReleaseHeap(EntryOf(slot));
    }
  }
  for (char* bytes : numbered_) {
    if (bytes != nullptr) {
      DeletePage(bytes);
    }
  }
}

std::uint64_t EntryCache::HashOf(std::string_view key) {
  return XXH3_64bits(key.data(), key.size());
}

Entry* EntryCache::EntryOf(Slot slot) const {
  constexpr std::uint32_t kOffsetMask = (std::uint32_t{1} << kOffsetBits) - 1;
  return EntryAt(numbered_[slot.place >> kOffsetBits] + (slot.place & kOffsetMask) * kAlignment);
}

Entry* EntryCache::Find(std::string_view key, std::uint64_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  const auto low = static_cast<std::uint32_t>(hash);
  for (std::size_t i = low & mask; slots_[i].place != 0; i = (i + 1) & mask) {
    if (slots_[i].hash == low) {
      Entry* entry = EntryOf(slots_[i]);
      if (entry->key() == key) {
        return entry;
      }
    }
  }
  return nullptr;
}

EntryCache::Made EntryCache::Allocate(std::size_t key_bytes, std::size_t value_capacity,
                                      bool passing) {
  ALERTSTREAM_CHECK(key_bytes <= kKeyBytesMax);
  const std::size_t in_page =
      value_capacity > kValueInPageMax ? kPlaceBytesMin : std::max(value_capacity, kPlaceBytesMin);
  const std::size_t extent = Aligned(sizeof(Entry) + key_bytes + in_page);
  Pages& pages = PagesOf(passing);
  if (pages.empty() || pages.back().used + extent > kPageBytes) {
    if (spare_.empty()) {
      ALERTSTREAM_CHECK(numbered_.size() < kPagesMax);
      spare_.push_back({NewPage(), 0, static_cast<std::uint32_t>(numbered_.size())});
      numbered_.push_back(spare_.back().bytes);
    }
    pages.push_back(spare_.back());
    spare_.pop_back();
    returned_ = std::min(returned_, spare_.size());
  }
  Page& page = pages.back();
  const auto offset = static_cast<std::uint32_t>(page.used / kAlignment);
  auto* entry = new (page.bytes + page.used) Entry();
  page.used += extent;
  entry->extent = static_cast<std::uint16_t>(extent / kAlignment);
  entry->key_bytes = static_cast<std::uint16_t>(key_bytes);
  entry->passing = passing;
  return {entry, page.number << kOffsetBits | offset};
}

// Only the newest entry can: behind it the page is free.
bool EntryCache::GrowInPlace(Entry* entry, std::size_t value_capacity) {
  Page& page = PagesOf(entry->passing).back();
  const std::size_t taken = entry->extent * kAlignment;
  const char* end = reinterpret_cast<const char*>(entry) + taken;
  const std::size_t extent = Aligned(sizeof(Entry) + entry->key_bytes + value_capacity);
  if (entry->on_heap || end != page.bytes + page.used || value_capacity > kValueInPageMax ||
      page.used - taken + extent > kPageBytes) {
    return false;
  }
  page.used += extent - taken;
  entry->extent = static_cast<std::uint16_t>(extent / kAlignment);
  return true;
}

Entry* EntryCache::Insert(std::string_view key, std::uint64_t hash, std::size_t value_capacity,
                          bool passing) {
  const Made made = Allocate(key.size(), value_capacity, passing);
  std::memcpy(reinterpret_cast<char*>(made.entry + 1), key.data(), key.size());
  Index({static_cast<std::uint32_t>(hash), made.place});
  return made.entry;
}

EntryCache::HeapValue EntryCache::HeapValueOf(Entry* entry) {
  HeapValue value{};
  std::memcpy(&value, PlaceOf(entry), sizeof(value));
  return value;
}

void EntryCache::SetValue(Entry* entry, std::string_view value) {
  ALERTSTREAM_CHECK(value.size() < std::numeric_limits<std::uint32_t>::max() / 2);
  // No more than Move takes along, even if the alignment leaves a few bytes more.
  const std::size_t room =
      entry->on_heap ? HeapValueOf(entry).capacity : std::min(RoomOf(*entry), kValueInPageMax);
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

void EntryCache::Index(Slot slot) {
  if ((count_ + 1) * 4 > slots_.size() * 3) {
    GrowIndex();
  }
  const std::size_t mask = slots_.size() - 1;
  std::size_t i = slot.hash & mask;
  while (slots_[i].place != 0) {
    i = (i + 1) & mask;
  }
  slots_[i] = slot;
  ++count_;
}

void EntryCache::GrowIndex() {
  LargeArray<Slot> old(slots_.size() * 2, PageSize::kLarge);
  std::swap(old, slots_);
  count_ = 0;
  for (const Slot& slot : old) {
    if (slot.place != 0) {
      Index(slot);
    }
  }
}

void EntryCache::Unindex(Slot slot) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t i = slot.hash & mask;
  while (slots_[i].place != slot.place) {
    ALERTSTREAM_CHECK(slots_[i].place != 0);
    i = (i + 1) & mask;
  }
  // Later ones of the same run move up, so that no search stops at a gap before it found its key.
  for (std::size_t next = (i + 1) & mask; slots_[next].place != 0; next = (next + 1) & mask) {
    const std::size_t home = slots_[next].hash & mask;
    if (((next - home) & mask) >= ((next - i) & mask)) {
      slots_[i] = slots_[next];
      i = next;
    }
  }
  slots_[i].place = 0;
  --count_;
}

void EntryCache::Move(Entry* entry, Slot slot) {
  const Made made =
      Allocate(entry->key_bytes, entry->on_heap ? 0 : entry->value_bytes, entry->passing);
  Entry* moved = made.entry;
  ALERTSTREAM_CHECK(entry->on_heap || entry->value_bytes <= RoomOf(*moved));
  std::memcpy(reinterpret_cast<char*>(moved + 1), entry->key().data(), entry->key_bytes);
  moved->batch = entry->batch;
  moved->filtered = entry->filtered;
  moved->present = entry->present;
  moved->on_heap = entry->on_heap;
  moved->value_bytes = entry->value_bytes;
  std::memcpy(PlaceOf(moved), PlaceOf(entry),
              entry->on_heap ? sizeof(HeapValue) : entry->value_bytes);
  Index({slot.hash, made.place});
}

// What was used again is moved once and forgotten when it comes round unused.
void EntryCache::EmptyOldest(Pages& pages) {
  const Page page = pages.front();
  pages.pop_front();
  for (std::size_t at = 0; at < page.used;) {
    Entry* entry = EntryAt(page.bytes + at);
    const Slot slot{static_cast<std::uint32_t>(HashOf(entry->key())),
                    page.number << kOffsetBits | static_cast<std::uint32_t>(at / kAlignment)};
    at += entry->extent * kAlignment;
    ALERTSTREAM_CHECK(!entry->dirty);
    Unindex(slot);
    if (entry->used_again) {
      Move(entry, slot);
    } else {
      ReleaseHeap(entry);
    }
  }
  spare_.push_back({page.bytes, 0, page.number});
}

void EntryCache::Shrink(std::size_t bytes_max, std::size_t spare_max) {
  Pages& lasting = PagesOf(false);
  Pages& passing = PagesOf(true);
  const std::size_t passing_min = bytes_max / kPassingShare / kPageBytes;
  while (bytes() > bytes_max && !(lasting.empty() && passing.empty())) {
    const bool enough = passing.size() > passing_min || lasting.empty();
    EmptyOldest(enough ? passing : lasting);
  }
  for (; (spare_.size() - returned_) * kPageBytes > spare_max; ++returned_) {
    ALERTSTREAM_CHECK(madvise(spare_[returned_].bytes, kPageBytes, MADV_DONTNEED) == 0);
  }
}

void EntryCache::ForgetFiltered() {
  for (const Slot& slot : slots_) {
    if (slot.place != 0) {
      EntryOf(slot)->filtered = false;
    }
  }
}

std::size_t EntryCache::bytes() const {
  return (pages_[0].size() + pages_[1].size()) * kPageBytes + heap_bytes_ +
         slots_.size() * sizeof(Slot);
}

}  // namespace alertstream::state

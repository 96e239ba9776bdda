#include "processor/state/state_map.h"

#include <algorithm>
#include <utility>

#include "processor/base/check.h"

namespace alertstream::state {
namespace {

// Values of what passes grow by a timestamp or a status rather than by a multiple, and others
// seldom.
constexpr std::size_t kLoadedValueSlack = 16;
// How far a batch takes the filter of the store's keys: reading a key is far cheaper than the
// look-ups that it will spare, and a busy partition is to be done within seconds.
constexpr std::size_t kFilterKeysMin = 256;
constexpr std::size_t kFilterKeysPerWrite = 8;

std::uint64_t BigEndianAt(std::string_view text, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = at; i < at + sizeof(value); ++i) {
    value = (value << 8) | (i < text.size() ? static_cast<unsigned char>(text[i]) : 0);
  }
  return value;
}

StateMap::Options Bounded(StateMap::Options options) {
  options.bytes_max = std::min(options.bytes_max, EntryCache::kBytesMax);
  return options;
}

}  // namespace

StateMap::StateMap(StateStore& store, Options options, StateRoot root)
    : store_(store),
      options_(Bounded(std::move(options))),
      root_(root),
      filter_(store, options_.bytes_max / 4, options_.asked_blindly) {}

std::optional<std::string_view> StateMap::Get(std::string_view key) {
  const Entry& entry = Load(key);
  if (!entry.present) {
    return std::nullopt;
  }
  return entry.value();
}

void StateMap::Put(std::string_view key, std::string_view value) { Write(Load(key), value); }

void StateMap::PutFresh(std::string_view key, std::string_view value) {
  const std::uint64_t hash = EntryCache::HashOf(key);
  Entry* entry = cache_.Find(key, hash);
  Write(entry == nullptr ? Insert(key, hash, value.size()) : *entry, value);
}

void StateMap::Erase(std::string_view key) {
  Entry& entry = Load(key);
  if (entry.present) {
    Write(entry, std::nullopt);
  }
}

Entry& StateMap::Load(std::string_view key) {
  const std::uint64_t hash = EntryCache::HashOf(key);
  if (Entry* found = cache_.Find(key, hash); found != nullptr) {
    found->used_again = found->used_again || found->batch != batch_;
    found->batch = batch_;
    return *found;
  }
  if (!filter_.MayContain(hash) && options_.asked_blindly(key)) {
    return Insert(key, hash, 0);
  }
  const auto present = store_.Get(key, &buffer_);
  if (!present.ok()) {
    FailWith(present.error());
    return Insert(key, hash, 0);
  }
  if (!present.value()) {
    return Insert(key, hash, 0);
  }
  const std::size_t slack = options_.passing(key) ? kLoadedValueSlack : 0;
  Entry& entry = Insert(key, hash, buffer_.size() + slack);
  cache_.SetValue(&entry, buffer_);
  entry.present = true;
  // The filter knows everything that the store holds, unless it is still being filled: then the
  // key may be erased before its turn comes, and written again afterwards.
  entry.filtered = !filter_.building();
  return entry;
}

// The first failure is kept for ever.
void StateMap::FailWith(const Status& status) {
  if (!status.ok() && status_.ok()) {
    status_ = status;
  }
}

Entry& StateMap::Insert(std::string_view key, std::uint64_t hash, std::size_t value_capacity) {
  Entry* entry = cache_.Insert(key, hash, value_capacity, options_.passing(key));
  entry->batch = batch_;
  return *entry;
}

void StateMap::Write(Entry& entry, std::optional<std::string_view> value) {
  undo_.push_back(Undo{.entry = &entry,
                       .begin = undo_bytes_.size(),
                       .bytes = entry.value_bytes,
                       .present = entry.present});
  undo_bytes_.append(entry.value());
  if (!entry.unsealed) {
    entry.unsealed = true;
    unsealed_.push_back(
        {.entry = &entry,
         .rooted = entry.present ? StateRoot::OfEntry(entry.key(), entry.value()) : StateRoot{}});
  }
  entry.present = value.has_value();
  cache_.SetValue(&entry, value.value_or(std::string_view()));
  if (value && !entry.filtered) {
    entry.filtered = true;
    if (options_.asked_blindly(entry.key())) {
      filter_.Add(EntryCache::HashOf(entry.key()));
    }
  }
  if (!entry.dirty) {
    entry.dirty = true;
    dirty_.push_back(&entry);
    if (!options_.ordered_prefix.empty() && entry.key().starts_with(options_.ordered_prefix)) {
      ordered_dirty_.emplace(entry.key(), &entry);
    }
  }
}

void StateMap::BeginRecord() {
  undo_.clear();
  undo_bytes_.clear();
}

void StateMap::RollbackRecord() {
  while (!undo_.empty()) {
    const Undo& undo = undo_.back();
    cache_.SetValue(undo.entry, std::string_view(undo_bytes_).substr(undo.begin, undo.bytes));
    undo.entry->present = undo.present;
    undo_.pop_back();
  }
  undo_bytes_.clear();
}

std::optional<std::string_view> StateMap::FirstOrdered(std::string_view from) {
  const std::string& prefix = options_.ordered_prefix;
  ALERTSTREAM_CHECK(!prefix.empty() && from.starts_with(prefix));
  std::optional<std::string_view> best;
  auto dirty = ordered_dirty_.lower_bound(from);
  while (dirty != ordered_dirty_.end() && !dirty->second->present) {
    ++dirty;
  }
  if (dirty != ordered_dirty_.end()) {
    best = dirty->first;
  }
  std::string end = prefix;
  end.back() = static_cast<char>(end.back() + 1);
  const Status scanned = store_.Scan(from, end, [&](std::string_view key, std::string_view) {
    if (best && *best <= key) {
      return false;
    }
    const auto changed = ordered_dirty_.find(key);
    if (changed != ordered_dirty_.end()) {
      return true;  // Erased, or already considered.
    }
    first_ordered_.assign(key);
    best = first_ordered_;
    return false;
  });
  FailWith(scanned);
  return best;
}

const StateRoot& StateMap::SealBatch() {
  if (filter_.building()) {
    FailWith(filter_.Advance(kFilterKeysMin + unsealed_.size() * kFilterKeysPerWrite));
  }
  for (const Unsealed& unsealed : unsealed_) {
    Entry& entry = *unsealed.entry;
    root_.Subtract(unsealed.rooted);
    if (entry.present) {
      root_.Add(StateRoot::OfEntry(entry.key(), entry.value()));
    }
    entry.unsealed = false;
  }
  unsealed_.clear();
  BeginRecord();
  ++batch_;
  return root_;
}

// Into `writes_`, by key: neighbours are cheaper to insert for every ordered store. Comparing keys
// where they lie would cost a memory access each time, so the 16 bytes after what all keys have in
// common are compared first.
void StateMap::SortDirty() {
  struct Item {
    std::uint64_t first;
    std::uint64_t second;
    const Entry* entry;
  };
  std::size_t common = dirty_.empty() ? 0 : dirty_.front()->key_bytes;
  for (const Entry* entry : dirty_) {
    const std::string_view key = entry->key();
    const std::string_view other = dirty_.front()->key();
    const auto end = key.begin() + static_cast<std::ptrdiff_t>(std::min(common, key.size()));
    const auto differs = std::mismatch(key.begin(), end, other.begin()).first;
    common = static_cast<std::size_t>(differs - key.begin());
  }
  std::vector<Item> items;
  items.reserve(dirty_.size());
  for (const Entry* entry : dirty_) {
    items.push_back({BigEndianAt(entry->key(), common),
                     BigEndianAt(entry->key(), common + sizeof(std::uint64_t)), entry});
  }
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return a.first != b.first     ? a.first < b.first
           : a.second != b.second ? a.second < b.second
                                  : a.entry->key() < b.entry->key();
  });
  writes_.clear();
  writes_.reserve(items.size());
  for (const Item& item : items) {
    const auto value = item.entry->present ? std::optional(item.entry->value()) : std::nullopt;
    writes_.push_back(StateWrite{item.entry->key(), value});
  }
}

Status StateMap::Flush(std::string_view meta) {
  ALERTSTREAM_CHECK(unsealed_.empty());
  // What was read wrongly may lie among what was written since.
  ALERTSTREAM_RETURN_IF_ERROR(status_);
  SortDirty();
  Status applied = store_.Apply(writes_, meta);
  if (!applied.ok()) {
    FailWith(applied);
    return applied;
  }
  for (Entry* entry : dirty_) {
    entry->dirty = false;
  }
  dirty_.clear();
  ordered_dirty_.clear();
  BeginRecord();  // What could be undone may be forgotten now.
  if (full()) {
    // By more than is needed now, so that not every flush has to. The filter takes at most half.
    const std::size_t room = options_.bytes_max - std::min(options_.bytes_max / 2, filter_.bytes());
    cache_.Shrink(room / 8 * 7, room / 8);
  }
  if (filter_.RestartIfFull()) {
    cache_.ForgetFiltered();
  }
  return Status::Ok();
}

}  // namespace alertstream::state

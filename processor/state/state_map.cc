#include "processor/state/state_map.h"

#include <cstring>
#include <utility>

#include <xxhash.h>

#include "processor/base/check.h"

namespace alertstream::state {
namespace {

void StoreLittleEndian64(std::uint64_t value, char* bytes) {
  for (int i = 0; i < 8; ++i) {
    bytes[i] = static_cast<char>(value >> (8 * i));
  }
}

std::uint64_t LoadLittleEndian64(const char* bytes) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) {
    value = (value << 8) | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

}  // namespace

void StateRoot::Add(const StateRoot& other) {
  low += other.low;
  high += other.high + (low < other.low ? 1 : 0);
}

void StateRoot::Subtract(const StateRoot& other) {
  const bool borrow = low < other.low;
  low -= other.low;
  high -= other.high + (borrow ? 1 : 0);
}

std::string StateRoot::ToBytes() const {
  std::string bytes(16, '\0');
  StoreLittleEndian64(low, bytes.data());
  StoreLittleEndian64(high, bytes.data() + 8);
  return bytes;
}

std::optional<StateRoot> StateRoot::FromBytes(std::string_view bytes) {
  if (bytes.size() != 16) {
    return std::nullopt;
  }
  return StateRoot{LoadLittleEndian64(bytes.data()), LoadLittleEndian64(bytes.data() + 8)};
}

StateRoot StateRoot::OfEntry(std::string_view key, std::string_view value) {
  // Most entries are short: one contiguous buffer beats the streaming interface.
  std::array<char, 512> small;
  const std::size_t size = 4 + key.size() + value.size();
  std::string large;
  char* bytes = small.data();
  if (size > small.size()) {
    large.resize(size);
    bytes = large.data();
  }
  for (int i = 0; i < 4; ++i) {
    bytes[i] = static_cast<char>(key.size() >> (8 * i));
  }
  std::memcpy(bytes + 4, key.data(), key.size());
  std::memcpy(bytes + 4 + key.size(), value.data(), value.size());
  const XXH128_hash_t hash = XXH3_128bits(bytes, size);
  return StateRoot{hash.low64, hash.high64};
}

std::size_t StateMap::KeyHash::operator()(std::string_view key) const {
  return static_cast<std::size_t>(XXH3_64bits(key.data(), key.size()));
}

StateMap::StateMap(StateStore& store, Options options, StateRoot root)
    : store_(store), options_(std::move(options)), root_(root) {}

std::optional<std::string_view> StateMap::Get(std::string_view key) {
  const Entry& entry = Load(key);
  if (!entry.present) {
    return std::nullopt;
  }
  return entry.value;
}

void StateMap::Put(std::string_view key, std::string_view value) { Write(Load(key), value); }

void StateMap::PutFresh(std::string_view key, std::string_view value) {
  const auto found = entries_.find(key);
  Write(found == entries_.end() ? Insert(key) : found->second, value);
}

void StateMap::Erase(std::string_view key) {
  Entry& entry = Load(key);
  if (entry.present) {
    Write(entry, std::nullopt);
  }
}

StateMap::Entry& StateMap::Load(std::string_view key) {
  const auto found = entries_.find(key);
  if (found != entries_.end()) {
    Touch(found->second);
    return found->second;
  }
  Entry& entry = Insert(key);
  auto present = store_.Get(key, &buffer_);
  if (!present.ok()) {
    if (status_.ok()) {
      status_ = present.error();
    }
    return entry;
  }
  if (present.value()) {
    entry.value = buffer_;
    entry.present = true;
    entry.rooted = StateRoot::OfEntry(key, entry.value);
    bytes_ += entry.value.size();
  }
  return entry;
}

StateMap::Entry& StateMap::Insert(std::string_view key) {
  const auto [it, inserted] = entries_.try_emplace(std::string(key));
  Entry& entry = it->second;
  entry.key = &it->first;
  entry.used_in_batch = batch_;
  entry.older = newest_;
  if (newest_ != nullptr) {
    newest_->newer = &entry;
  } else {
    oldest_ = &entry;
  }
  newest_ = &entry;
  bytes_ += SizeOf(entry);
  return entry;
}

void StateMap::Write(Entry& entry, std::optional<std::string_view> value) {
  undo_.push_back(Undo{&entry, std::move(entry.value), entry.present});
  bytes_ -= undo_.back().value.size();
  entry.present = value.has_value();
  entry.value.clear();
  if (value) {
    entry.value.assign(*value);
  }
  bytes_ += entry.value.size();
  if (!entry.unsealed) {
    entry.unsealed = true;
    unsealed_.push_back(&entry);
  }
  if (!entry.dirty) {
    entry.dirty = true;
    dirty_.push_back(&entry);
    if (!options_.ordered_prefix.empty() && entry.key->starts_with(options_.ordered_prefix)) {
      ordered_dirty_.emplace(*entry.key, &entry);
    }
  }
}

void StateMap::BeginRecord() { undo_.clear(); }

void StateMap::RollbackRecord() {
  while (!undo_.empty()) {
    Undo& undo = undo_.back();
    bytes_ += undo.value.size();
    bytes_ -= undo.entry->value.size();
    undo.entry->value = std::move(undo.value);
    undo.entry->present = undo.present;
    undo_.pop_back();
  }
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
  if (!scanned.ok() && status_.ok()) {
    status_ = scanned;
  }
  return best;
}

const StateRoot& StateMap::SealBatch() {
  for (Entry* entry : unsealed_) {
    root_.Subtract(entry->rooted);
    entry->rooted = entry->present ? StateRoot::OfEntry(*entry->key, entry->value) : StateRoot{};
    root_.Add(entry->rooted);
    entry->unsealed = false;
  }
  unsealed_.clear();
  undo_.clear();
  ++batch_;
  return root_;
}

Status StateMap::Flush(std::string_view meta) {
  ALERTSTREAM_CHECK(unsealed_.empty());
  writes_.clear();
  writes_.reserve(dirty_.size());
  for (const Entry* entry : dirty_) {
    writes_.push_back(StateWrite{*entry->key, entry->present
                                                  ? std::optional<std::string_view>(entry->value)
                                                  : std::nullopt});
  }
  const Status applied = store_.Apply(writes_, meta);
  if (!applied.ok()) {
    if (status_.ok()) {
      status_ = applied;
    }
    return applied;
  }
  for (Entry* entry : dirty_) {
    entry->dirty = false;
  }
  dirty_.clear();
  ordered_dirty_.clear();
  EvictClean();
  return Status::Ok();
}

void StateMap::Touch(Entry& entry) {
  // Once a batch is enough, and spares moving the entries that every record uses.
  if (entry.used_in_batch == batch_) {
    return;
  }
  entry.used_in_batch = batch_;
  if (newest_ == &entry) {
    return;
  }
  Unlink(entry);
  entry.older = newest_;
  entry.newer = nullptr;
  newest_->newer = &entry;
  newest_ = &entry;
}

void StateMap::Unlink(Entry& entry) {
  (entry.newer != nullptr ? entry.newer->older : newest_) = entry.older;
  (entry.older != nullptr ? entry.older->newer : oldest_) = entry.newer;
}

void StateMap::EvictClean() {
  // Right after a flush every entry is clean.
  while (bytes_ > options_.bytes_max && oldest_ != nullptr) {
    Entry& entry = *oldest_;
    ALERTSTREAM_CHECK(!entry.dirty);
    bytes_ -= SizeOf(entry) + entry.value.size();
    Unlink(entry);
    entries_.erase(entries_.find(std::string_view(*entry.key)));
  }
}

std::size_t StateMap::SizeOf(const Entry& entry) const {
  // The node, its allocation header, and both strings' heap blocks (values are added by the
  // caller).
  return sizeof(Entry) + sizeof(std::string) + 48 + entry.key->size();
}

}  // namespace alertstream::state

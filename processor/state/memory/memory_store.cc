#include "processor/state/memory/memory_store.h"

namespace alertstream::state {

Result<bool> MemoryStore::Get(std::string_view key, std::string* value) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) {
    return false;
  }
  *value = found->second;
  return true;
}

Status MemoryStore::Scan(std::string_view from, std::string_view to, const Visit& visit) {
  for (auto it = entries_.lower_bound(from); it != entries_.end() && it->first < to; ++it) {
    if (!visit(it->first, it->second)) {
      break;
    }
  }
  return Status::Ok();
}

Status MemoryStore::Apply(std::span<const StateWrite> writes, std::string_view meta) {
  for (const auto& write : writes) {
    if (write.value) {
      entries_.insert_or_assign(std::string(write.key), std::string(*write.value));
    } else if (const auto found = entries_.find(write.key); found != entries_.end()) {
      entries_.erase(found);
    }
  }
  meta_ = std::string(meta);
  return Status::Ok();
}

std::uint64_t MemoryStore::KeysEstimate() { return entries_.size(); }

Result<std::optional<std::string>> MemoryStore::Meta() { return meta_; }

Status MemoryStore::Clear() {
  entries_.clear();
  meta_.reset();
  return Status::Ok();
}

}  // namespace alertstream::state

#include "tests/simulation/sim_store.h"

namespace alertstream::simulation {
namespace {

// What the operating system may still hold back.
constexpr std::size_t kUnsyncedMax = 4;
constexpr Micros kWriteMin{50};
constexpr Micros kWriteMax{1'500};

Error Rotten() {
  return {ErrorCode::kCorrupt, "simulation: checksum mismatch in the state (bit rot)"};
}

}  // namespace

void SimDisk::LosePower(std::size_t writes) {
  for (std::size_t i = 0; i < writes && !unsynced_.empty(); ++i) {
    entries_ = std::move(unsynced_.back().entries);
    meta_ = std::move(unsynced_.back().meta);
    unsynced_.pop_back();
  }
}

void SimDisk::Wipe() {
  entries_.clear();
  meta_.reset();
  unsynced_.clear();
  rotten_ = false;
}

Result<bool> SimStore::Get(std::string_view key, std::string* value) {
  if (disk_.rotten_) {
    return Rotten();
  }
  const auto found = disk_.entries_.find(key);
  if (found == disk_.entries_.end()) {
    return false;
  }
  *value = found->second;
  return true;
}

Status SimStore::Scan(std::string_view from, std::string_view to, const Visit& visit) {
  if (disk_.rotten_) {
    return Rotten();
  }
  for (auto it = disk_.entries_.lower_bound(from); it != disk_.entries_.end() && it->first < to;
       ++it) {
    if (!visit(it->first, it->second)) {
      break;
    }
  }
  return Status::Ok();
}

Status SimStore::Apply(std::span<const state::StateWrite> writes, std::string_view meta) {
  if (!world_.Delay(kWriteMin, kWriteMax)) {
    return Error(ErrorCode::kUnavailable, "simulation: the process is dead");
  }
  disk_.unsynced_.push_back({disk_.entries_, disk_.meta_});
  if (disk_.unsynced_.size() > kUnsyncedMax) {
    disk_.unsynced_.pop_front();
  }
  for (const auto& write : writes) {
    if (write.value) {
      disk_.entries_.insert_or_assign(std::string(write.key), std::string(*write.value));
    } else if (const auto found = disk_.entries_.find(write.key); found != disk_.entries_.end()) {
      disk_.entries_.erase(found);
    }
  }
  disk_.meta_ = std::string(meta);
  static_cast<void>(world_.Delay(kWriteMin, kWriteMax));
  return Status::Ok();
}

Result<std::optional<std::string>> SimStore::Meta() {
  if (disk_.rotten_) {
    return Rotten();
  }
  return disk_.meta_;
}

Status SimStore::Clear() {
  disk_.Wipe();
  return Status::Ok();
}

}  // namespace alertstream::simulation

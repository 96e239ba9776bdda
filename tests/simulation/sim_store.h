// SimDisk and SimStore: the state store of a simulated process. The disk outlives its process; a
// write is applied whole or not at all, what was not synced is lost with the power, and rotten
// bytes are found by their checksum when they are read. Belongs to the world's thread.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "processor/state/state_store.h"
#include "tests/simulation/world.h"

namespace alertstream::simulation {

class SimDisk {
 public:
  using Entries = std::map<std::string, std::string, std::less<>>;

  // The machine loses power: the newest `writes` writes are gone, as far as they were not synced.
  void LosePower(std::size_t writes);
  // From now on reads fail until the disk is wiped.
  void Rot() { rotten_ = true; }
  void Wipe();
  bool empty() const { return !meta_.has_value(); }

 private:
  friend class SimStore;
  Entries entries_;
  std::optional<std::string> meta_;
  bool rotten_ = false;
  struct Point {
    Entries entries;
    std::optional<std::string> meta;
  };
  std::deque<Point> unsynced_;  // Before each of the newest writes, oldest first.
};

class SimStore final : public state::StateStore {
 public:
  SimStore(World& world, SimDisk& disk) : world_(world), disk_(disk) {}

  Result<bool> Get(std::string_view key, std::string* value) override;
  Status Scan(std::string_view from, std::string_view to, const Visit& visit) override;
  Status Apply(std::span<const state::StateWrite> writes, std::string_view meta) override;
  Result<std::optional<std::string>> Meta() override;
  std::uint64_t KeysEstimate() override { return disk_.entries_.size(); }
  Status Clear() override;

 private:
  World& world_;
  SimDisk& disk_;
};

}  // namespace alertstream::simulation

// MemoryStore: a StateStore in an ordered map. For tests and the simulator.
#pragma once

#include <map>
#include <string>

#include "processor/state/state_store.h"

namespace alertstream::state {

class MemoryStore final : public StateStore {
 public:
  Result<bool> Get(std::string_view key, std::string* value) override;
  Status Scan(std::string_view from, std::string_view to, const Visit& visit) override;
  Status Apply(std::span<const StateWrite> writes, std::string_view meta) override;
  std::uint64_t KeysEstimate() override;
  Result<std::optional<std::string>> Meta() override;
  Status Clear() override;

  const std::map<std::string, std::string, std::less<>>& entries() const { return entries_; }

 private:
  std::map<std::string, std::string, std::less<>> entries_;
  std::optional<std::string> meta_;
};

}  // namespace alertstream::state

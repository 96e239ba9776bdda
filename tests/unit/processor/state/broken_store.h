// A StateStore that fails every call, with an error that the test may change. For tests.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "processor/state/state_store.h"

namespace alertstream::state {

class BrokenStore final : public StateStore {
 public:
  Result<bool> Get(std::string_view, std::string*) override { return error; }
  Status Scan(std::string_view, std::string_view, const Visit&) override { return error; }
  Status Apply(std::span<const StateWrite>, std::string_view) override { return error; }
  std::uint64_t KeysEstimate() override { return 0; }
  Result<std::optional<std::string>> Meta() override { return error; }
  Status Clear() override { return error; }

  Error error{ErrorCode::kUnavailable, "no disk"};
};

}  // namespace alertstream::state

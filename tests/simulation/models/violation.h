// What a model found: which invariant, and what happened. Pure.
#pragma once

#include <string>
#include <vector>

namespace alertstream::simulation {

struct Violation {
  std::string invariant;  // "I1" to "I9", as ops/guarantees.md names them.
  std::string what;
};

using Violations = std::vector<Violation>;

}  // namespace alertstream::simulation

// One run of a plan, and the search for the fewest faults that still break the same invariant. Used
// by the simulation's two programs.
#pragma once

#include <cstdint>
#include <string>

#include "tests/simulation/deployment.h"

namespace alertstream::simulation {

Violations RunPlan(std::uint64_t seed, const FaultPlan& plan, bool verbose);

// Leaves out halves, quarters, ..., single faults, as long as `invariant` breaks.
FaultPlan Shrink(std::uint64_t seed, FaultPlan plan, const std::string& invariant);

}  // namespace alertstream::simulation

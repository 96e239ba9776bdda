#include "tests/simulation/runner.h"

#include <algorithm>
#include <cstdio>

namespace alertstream::simulation {
namespace {

bool StillFails(std::uint64_t seed, const FaultPlan& plan, const std::string& invariant) {
  const Violations found = RunPlan(seed, plan, false);
  return std::any_of(found.begin(), found.end(),
                     [&](const Violation& each) { return each.invariant == invariant; });
}

}  // namespace

Violations RunPlan(std::uint64_t seed, const FaultPlan& plan, bool verbose) {
  Deployment deployment(seed, plan, {.verbose = verbose});
  Violations found = deployment.Run();
  if (verbose) {
    std::printf("seed %llu: %llu steps, at rest after %.3f s, digest %016llx\n",
                static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(deployment.steps()),
                static_cast<double>(deployment.rested_after().count()) / 1e6,
                static_cast<unsigned long long>(deployment.digest()));
  }
  return found;
}

FaultPlan Shrink(std::uint64_t seed, FaultPlan plan, const std::string& invariant) {
  for (std::size_t chunk = std::max<std::size_t>(1, plan.size() / 2);; chunk /= 2) {
    for (std::size_t at = 0; at < plan.size();) {
      FaultPlan thinner = plan;
      const auto begin = thinner.begin() + static_cast<std::ptrdiff_t>(at);
      thinner.erase(begin, begin + static_cast<std::ptrdiff_t>(std::min(chunk, plan.size() - at)));
      if (StillFails(seed, thinner, invariant)) {
        plan = std::move(thinner);
      } else {
        at += chunk;
      }
    }
    if (chunk <= 1) {
      return plan;
    }
  }
}

}  // namespace alertstream::simulation

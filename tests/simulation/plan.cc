#include "tests/simulation/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace alertstream::simulation {
namespace {

constexpr std::size_t kFaultsMax = 40;

struct KindSpec {
  const char* name;
  // Which processes it can hit, as a range of roles.
  Role first;
  Role last;
  std::int64_t low;
  std::int64_t high;
  double weight;
};

// As FaultKind.
constexpr std::array<KindSpec, kFaultKinds> kKinds = {{
    {"crash", Role::kProcessorOne, Role::kProjectorTwo, 0, 60, 4},
    {"power-loss", Role::kProcessorOne, Role::kStandby, 1, 3, 1},
    {"pause", Role::kProcessorOne, Role::kProjectorTwo, 20, 6'000, 2},
    {"commit-request-lost", Role::kProcessorOne, Role::kDispatcherTwo, 0, 0, 1},
    {"commit-answer-lost", Role::kProcessorOne, Role::kDispatcherTwo, 0, 0, 1.5},
    {"commit-request-late", Role::kProcessorOne, Role::kDispatcherTwo, 2, 3'000, 2},
    {"commit-refused", Role::kProcessorOne, Role::kDispatcherTwo, 0, 0, 1},
    {"slow-markers", Role::kProcessorOne, Role::kDispatcherTwo, 20, 1'500, 1.5},
    {"slow-permissions", Role::kProcessorOne, Role::kDispatcherTwo, 300, 3'000, 2},
    {"slow-outputs", Role::kDispatcherOne, Role::kProjectorTwo, 50, 1'500, 1},
    {"log-away", Role::kProcessorOne, Role::kProjectorTwo, 20, 2'500, 1.5},
    {"clock-step", Role::kProcessorOne, Role::kDispatcherTwo, -1'500, 1'500, 0.7},
    {"take-over", Role::kProcessorOne, Role::kProcessorTwo, 0, 0, 2},
    {"race", Role::kProcessorOne, Role::kDispatcherTwo, 0, 25, 2},
    {"bit-rot", Role::kProcessorOne, Role::kStandby, 0, 0, 0.7},
    {"disk-lost", Role::kProcessorOne, Role::kStandby, 0, 0, 0.5},
    {"stray-output", Role::kProcessorOne, Role::kProcessorOne, 0, 1, 0.7},
    {"provider-slow", Role::kDispatcherOne, Role::kDispatcherOne, 200, 4'000, 1},
    {"provider-silent", Role::kDispatcherOne, Role::kDispatcherOne, 200, 1'500, 1},
    {"provider-errors", Role::kDispatcherOne, Role::kDispatcherOne, 200, 2'000, 1},
    {"provider-resets", Role::kDispatcherOne, Role::kDispatcherOne, 200, 2'000, 1},
    {"database-away", Role::kProjectorOne, Role::kProjectorTwo, 20, 2'000, 1},
    {"database-answer-lost", Role::kProjectorOne, Role::kProjectorTwo, 0, 0, 1},
    {"database-request-lost", Role::kProjectorOne, Role::kProjectorTwo, 0, 0, 1},
}};

constexpr std::array<const char*, kRoles> kRoleNames = {
    "processor-1",  "processor-2", "standby",    "dispatcher-1",
    "dispatcher-2", "projector-1", "projector-2"};

}  // namespace

const char* NameOf(Role role) { return kRoleNames[static_cast<std::size_t>(role)]; }
const char* NameOf(FaultKind kind) { return kKinds[static_cast<std::size_t>(kind)].name; }

std::string TextOf(const Fault& fault) {
  return fmt::format("{:7.3f} s  {} {} {}", static_cast<double>(fault.at.count()) / 1e6,
                     NameOf(fault.kind), NameOf(fault.target), fault.amount);
}

FaultPlan MakePlan(std::uint64_t seed) {
  Rng rng(seed ^ 0x706c616eULL);
  std::array<double, kFaultKinds> weights{};
  double total = 0;
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    weights[i] = rng.Chance(0.5) ? 0 : kKinds[i].weight * static_cast<double>(rng.Between(1, 10));
    total += weights[i];
  }
  FaultPlan plan;
  const std::uint64_t count = total > 0 ? rng.Below(kFaultsMax + 1) : 0;
  for (std::uint64_t n = 0; n < count; ++n) {
    double at = static_cast<double>(rng.Below(1'000'000)) / 1e6 * total;
    std::size_t kind = 0;
    while (kind + 1 < kFaultKinds && (weights[kind] == 0 || at >= weights[kind])) {
      at -= weights[kind++];
    }
    const KindSpec& spec = kKinds[kind];
    plan.push_back({.at = rng.Time(Micros{200'000}, kFaultsEnd),
                    .kind = static_cast<FaultKind>(kind),
                    .target = static_cast<Role>(
                        rng.Between(static_cast<int>(spec.first), static_cast<int>(spec.last))),
                    .amount = rng.Between(spec.low, spec.high)});
  }
  std::stable_sort(plan.begin(), plan.end(),
                   [](const Fault& a, const Fault& b) { return a.at < b.at; });
  return plan;
}

}  // namespace alertstream::simulation

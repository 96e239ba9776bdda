// FaultPlan: what goes wrong in one run, as a list that can be thinned: the rest of the run depends
// on the seed alone. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/simulation/world.h"

namespace alertstream::simulation {

// The processes that faults name.
enum class Role : std::uint8_t {
  kProcessorOne,
  kProcessorTwo,
  kStandby,
  kDispatcherOne,
  kDispatcherTwo,
  kProjectorOne,
  kProjectorTwo,
};
inline constexpr std::size_t kRoles = 7;
const char* NameOf(Role role);

enum class FaultKind : std::uint8_t {
  kCrash,      // In the port call that is `amount` calls away.
  kPowerLoss,  // As kCrash now; the newest `amount` writes of its store are lost.
  kPause,      // SIGSTOP for `amount` ms.
  kCommitRequestLost,
  kCommitAnswerLost,
  kCommitRequestLate,  // `amount` ms.
  kCommitRefused,
  kSlowMarkers,          // `amount` ms.
  kSlowPermissions,      // Opt-outs and inbound messages reach the process `amount` ms late.
  kSlowOutputs,          // The same for commands and decisions.
  kLogAway,              // `amount` ms.
  kClockStep,            // The wall clock is `amount` ms wrong.
  kTakeOver,             // The process tries to own its partition.
  kRace,                 // Both of a kind start anew at once; one is held up after `amount` ms.
  kBitRot,               // Of the process's store.
  kDiskLost,             // The process dies and its store is gone.
  kStrayOutput,          // A copy of an old command or decision is appended to its topic.
  kProviderSlow,         // `amount` ms an answer.
  kProviderSilent,       // Accepts and does not answer, for `amount` ms.
  kProviderErrors,       // 500 and 429, for `amount` ms.
  kProviderResets,       // The connection breaks after the request, for `amount` ms.
  kDatabaseAway,         // `amount` ms.
  kDatabaseAnswerLost,   // The next commit is applied, its answer lost.
  kDatabaseRequestLost,  // The next commit is not applied; nobody knows.
};
inline constexpr std::size_t kFaultKinds = 24;
const char* NameOf(FaultKind kind);

struct Fault {
  Micros at{};
  FaultKind kind{};
  Role target{};
  std::int64_t amount = 0;
};

// "  3.214 s crash processor-1 17".
std::string TextOf(const Fault& fault);

using FaultPlan = std::vector<Fault>;

// Until then faults happen; after it everybody has to come to rest.
inline constexpr Micros kFaultsEnd{15'000'000};

// Swarm testing: each seed has its own weights, many of them zero, so that rare kinds meet often.
FaultPlan MakePlan(std::uint64_t seed);

}  // namespace alertstream::simulation

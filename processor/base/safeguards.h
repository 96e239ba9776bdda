// Safeguards: the checks without which a guarantee would break (ops/guarantees.md). Each is asked
// for where it is made, so that the simulator can leave one out and show that it is missed
// (tests/simulation). In every program that runs they are constants: nothing can switch them off
// and they cost nothing. Only the simulator's mutants are compiled with ALERTSTREAM_MUTATION.
#pragma once

#include <cstdint>

namespace alertstream {

enum class Safeguard : std::uint8_t {
  kPrevHash,            // A journal record names the hash of the one before it.
  kClaimOnA,            // A CLAIM is always committed on transactional id A.
  kTailAfterFences,     // The journal's tail is read after both ids were fenced.
  kApplyAfterCommit,    // The store is written once the commit is known.
  kPermissionFirst,     // Events wait until the permission topics have been read.
  kReadThroughJournal,  // Outputs count once the journal names them.
  kPositionRow,         // The read model's position moves from where the projector left it.
  kDispatcherFence,     // A dispatcher fences the one before it.
  kRootComparison,      // What is folded again is compared with the journal.
  kDedupeWindow,        // An id is remembered.
};

#if defined(ALERTSTREAM_MUTATION)
bool Holds(Safeguard safeguard);
#else
constexpr bool Holds(Safeguard /*safeguard*/) { return true; }
#endif

}  // namespace alertstream

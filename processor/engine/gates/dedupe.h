// Gate dedupe: an event whose key was seen within kDedupeWindow is a duplicate if its body is the
// same, a conflict if it is not. Pure.
#pragma once

#include <string_view>

#include "processor/base/safeguards.h"
#include "processor/engine/limits.h"
#include "schemas/state.pb.h"

namespace alertstream::engine {

enum class DedupeVerdict { kFirst, kDuplicate, kConflict };

// `seen` is null if the key is not in the state. An entry exactly kDedupeWindow old is forgotten,
// also when its sweep has not run yet.
inline DedupeVerdict DedupeGate(const v1::DedupeState* seen, std::string_view body_sha256,
                                LogTime now) {
  if (!Holds(Safeguard::kDedupeWindow) || seen == nullptr ||
      now - FromMicros(seen->at_us()) >= kDedupeWindow) {
    return DedupeVerdict::kFirst;
  }
  return seen->body_sha256() == body_sha256 ? DedupeVerdict::kDuplicate : DedupeVerdict::kConflict;
}

}  // namespace alertstream::engine

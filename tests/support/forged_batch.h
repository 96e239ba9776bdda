// ForgeBatch: a batch that no fold made, appended to a story's log as its owner would have. For
// what is hard to come by: older engine versions in force, letters of crashes and of timers.
// Readers accept it and the owner goes on behind it; an audit would not agree. Tests only.
#pragma once

#include <cstdint>

#include "processor/engine/effects.h"
#include "processor/engine/limits.h"
#include "tests/support/runtime_story.h"

namespace alertstream::runtime {

// The owner's next batch: consumes nothing and has the effects' outputs. Its engine version is in
// force from then on.
void ForgeBatch(Story& story, Instance& owner, const engine::Effects& effects,
                std::uint32_t engine_version = engine::kEngineVersion);

}  // namespace alertstream::runtime

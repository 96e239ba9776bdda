// DecisionModel: what the rules of the workload decide, written a second time: every event once, a
// repeated id as a duplicate, nobody after an opt-out, no more than cap and quota allow (I1, I5).
// The journal tells the order; what the records say comes from the workload. Pure.
#pragma once

#include "tests/simulation/models/journal_model.h"
#include "tests/simulation/workload.h"

namespace alertstream::simulation {

void CheckDecisions(const History& history, const Inputs& inputs, Violations* violations);

}  // namespace alertstream::simulation

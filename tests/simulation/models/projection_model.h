// ProjectionModel: the read model is the fold of the log (I6): every decided event and every
// decision stands there exactly once, and usage is what was sent. Pure.
#pragma once

#include "tests/simulation/models/journal_model.h"
#include "tests/simulation/sim_database.h"

namespace alertstream::simulation {

void CheckProjection(const History& history, const SimDatabase& database, Violations* violations);

}  // namespace alertstream::simulation

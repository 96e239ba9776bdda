// DeliveryModel: what may have been sent (I9): nothing that was not started on the log, nothing
// twice but as a recorded re-send of an attempt whose outcome was unknown. Reads the broker's own
// records. Pure.
#pragma once

#include <map>
#include <string>

#include "tests/simulation/models/journal_model.h"

namespace alertstream::simulation {

// `accepted`: notification (ntf_…) to how often the provider took it.
void CheckDeliveries(const SimBroker& broker, const std::map<std::string, int>& accepted,
                     Violations* violations);

// "": every command of `history` has come to its end; else the first that has not.
std::string UnfinishedCommand(const SimBroker& broker, const History& history);

}  // namespace alertstream::simulation

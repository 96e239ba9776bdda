// JournalModel: what the stored journal must be, checked on the broker's own records without any of
// the code that reads or writes it: one unbroken chain, one owner an epoch (I2), every input
// covered once and in order (I1), and outputs that belong to it. The other models stand on its
// chain. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "schemas/decision.pb.h"
#include "schemas/journal.pb.h"
#include "schemas/output.pb.h"
#include "tests/simulation/models/violation.h"
#include "tests/simulation/sim_log.h"

namespace alertstream::simulation {

struct History {
  std::vector<v1::JournalRecord> journal;
  std::vector<std::int64_t> journal_offsets;
  // Of visible records whose stamp names a record of the journal; in their order.
  std::vector<v1::DecisionRecord> decisions;
  std::vector<v1::NotificationCommand> commands;
  // Of each input topic, everything below was consumed.
  std::map<schemas::Topic, std::int64_t> consumed;
};

// `strays`: outputs that somebody else copied may lie on the topics.
History ReadHistory(const SimBroker& broker, bool strays, Violations* violations);

}  // namespace alertstream::simulation

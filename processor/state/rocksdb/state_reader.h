// A partition's state as it lies in a directory, for commands that look: nothing is written there,
// not even a log file, and a processor may have it open. What its owner writes afterwards is not
// seen. Apply and Clear are refused.
#pragma once

#include <memory>
#include <string>

#include "processor/state/rocksdb/rocksdb_store.h"
#include "processor/state/state_store.h"

namespace alertstream::state {

// kNotFound: there is no state in `directory`. kCorrupt: its files cannot be read; beside a running
// processor once more may help, since it may have replaced them meanwhile.
Result<std::unique_ptr<StateStore>> OpenStateReader(const std::string& directory,
                                                    IsHistory is_history);

}  // namespace alertstream::state

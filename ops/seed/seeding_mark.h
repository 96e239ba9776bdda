// The mark of a seeding that is under way: the file `seeding` in the data directory. It is on disk
// before the log is made and goes when the whole history is on disk, so that a history that was
// interrupted is never taken for a whole one. Used by the seeder and by everything that opens a
// data directory. Thread-safe.
#pragma once

#include <string>

#include "processor/base/result.h"

namespace alertstream::seed {

// kConflict: the history in `data_dir` is not whole; the message says what can be done.
Status CheckNotSeeding(const std::string& data_dir);

// Makes the directory if it is missing, and the mark. kConflict: CheckNotSeeding. kUnavailable: the
// disk.
Status BeginSeeding(const std::string& data_dir);
// Takes the mark away: nothing was written.
Status AbandonSeeding(const std::string& data_dir);
// Waits until every file below the directory is on disk, then takes the mark away.
Status FinishSeeding(const std::string& data_dir);

}  // namespace alertstream::seed

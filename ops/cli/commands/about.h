// `version` and `config show`: what runs, and with which settings. Pure but for the streams.
#pragma once

#include "ops/cli/commands/session.h"
#include "ops/cli/settings.h"

namespace alertstream::cli {

// The program's version with its git hash, the engine's, the hash of its tables, and the libraries
// it was built with.
Result<ExitCode> ShowVersion(const Streams& io);

// Every setting; `origin`: also where its value comes from. Secrets show as "(set)".
Result<ExitCode> ShowConfig(const Settings& settings, bool origin, const Streams& io);

}  // namespace alertstream::cli

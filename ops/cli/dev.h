// `dev`: all of a server in one process, with a provider simulator and the demo's keys, for trying
// out and for tests. Part of the wiring; belongs to one thread.
#pragma once

#include <cstdint>
#include <string>

#include "ops/cli/program.h"
#include "ops/seed/seeder.h"

namespace alertstream::cli {

struct DevArguments {
  std::string seed = "none";  // none or demo.
  std::uint64_t rng_seed = seed::kRngSeedDefault;
  std::string provider_url;  // Of a simulator elsewhere; "": one inside.
  bool reset = false;
  bool yes = false;
};

// Until it is interrupted; what it wrote stays. Prints what there is when everything is ready, with
// -o json the content of dev.json in one line. kConflict: another dev holds the data directory.
Result<ExitCode> RunDev(Program& program, const DevArguments& arguments);

}  // namespace alertstream::cli

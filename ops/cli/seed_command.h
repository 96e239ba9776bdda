// `seed demo`, and what `dev --seed demo` calls: the demo history in a new data directory. Belongs
// to one thread.
#pragma once

#include <cstdint>
#include <iosfwd>

#include "ops/cli/program.h"
#include "ops/seed/seeder.h"

namespace alertstream::cli {

struct SeedArguments {
  int days = seed::kDaysDefault;
  std::uint64_t rng_seed = seed::kRngSeedDefault;
};

// Makes the local log of `settings` with the demo history, and closes it. Progress goes to `err`;
// null: nowhere. kConflict: there is a log already, or a seeding was interrupted. kInvalid: the log
// is not a local one.
Result<seed::SeedReport> SeedDataDir(const Settings& settings, Clock& clock,
                                     const SeedArguments& arguments, std::ostream* err);

Result<ExitCode> RunSeedDemo(Program& program, const SeedArguments& arguments);

}  // namespace alertstream::cli

// The database of the read side, opened from the settings. Part of the wiring: the one place
// besides dev that knows which adapter it is.
#pragma once

#include <memory>
#include <string>

#include "ops/cli/settings.h"
#include "processor/base/clock.h"
#include "processor/base/result.h"
#include "projections/sql/database.h"

namespace alertstream::cli {

// The database of postgres.url, or null if that is empty. Connects nowhere yet. kInvalid: the
// setting is no URL, or holds a password. `clock` outlives it.
Result<std::unique_ptr<sql::Database>> OpenReadSide(const Settings& settings, Clock& clock);

// For commands that cannot work without: of postgres.url, else of the dev that runs on data_dir.
// kInvalid: there is neither.
Result<std::unique_ptr<sql::Database>> RequireReadSide(const Settings& settings, Clock& clock);

}  // namespace alertstream::cli

// One connection to PostgreSQL as a sql::Session. Belongs to one thread at a time.
#pragma once

#include <memory>
#include <string>

#include "processor/base/result.h"
#include "projections/postgres/target.h"
#include "projections/postgres/watchdog.h"
#include "projections/sql/database.h"

namespace alertstream::postgres {

// Where and as whom; `password` may be empty.
struct SessionTarget {
  Target target;
  std::string password;
  std::string described;  // For messages.
};

// kUnavailable: cannot be reached or refuses. `watchdog` outlives the session.
Result<std::unique_ptr<sql::Session>> OpenSession(const SessionTarget& target,
                                                  const sql::SessionOptions& options,
                                                  Watchdog& watchdog);

}  // namespace alertstream::postgres

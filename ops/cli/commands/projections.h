// `projections status|rebuild|verify`: the read model as it is, made anew from the log, and
// compared with it. Over ports; the wiring gives the database and the tables' files.
#pragma once

#include <functional>
#include <string>

#include "ops/cli/commands/session.h"
#include "projections/sql/database.h"

namespace alertstream::cli {

// Makes the tables of the read model in that schema, which exists and is empty.
using MakeTables = std::function<Status(sql::Session& session, const std::string& schema)>;

// One row a partition: how far it is projected, and how far the log goes.
Result<ExitCode> ProjectionsStatus(const Session& session, sql::Database& database);

Result<ExitCode> ProjectionsRebuild(const Session& session, sql::Database& database,
                                    const MakeTables& make_tables);

// kMismatch: a row differs; table and key are printed.
Result<ExitCode> ProjectionsVerify(const Session& session, sql::Database& database,
                                   const MakeTables& make_tables);

}  // namespace alertstream::cli

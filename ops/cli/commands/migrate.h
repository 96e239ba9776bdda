// `migrate status|up|verify`: the tables of the database and what they lack. Library functions over
// the database's port.
#pragma once

#include <span>

#include "ops/cli/commands/session.h"
#include "projections/migrations/migrations.h"
#include "projections/sql/database.h"

namespace alertstream::cli {

// Every migration and what holds of it; changes nothing.
Result<ExitCode> MigrateStatus(sql::Session& session,
                               std::span<const migrations::Migration> migrations,
                               const Streams& io);
// Applies what is pending; with `dry_run` in one transaction that is taken back.
Result<ExitCode> MigrateUp(sql::Session& session, std::span<const migrations::Migration> migrations,
                           bool dry_run, const Streams& io);
// kMismatch unless the database has exactly the migrations of this program, unchanged, and the user
// may act as the roles.
Result<ExitCode> MigrateVerify(sql::Session& session,
                               std::span<const migrations::Migration> migrations,
                               const Streams& io);

}  // namespace alertstream::cli

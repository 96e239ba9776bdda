// Migrations: the files of migrations/, which the program carries with it, and what a database has
// of them. Forward only, in the order of their numbers, one transaction each; never edited after
// they have landed, which checksums keep. Used by `alertstream migrate`, by dev, by a rebuild of
// the read model and by tests.
//
// A file is NNNN_name.sql and begins with `-- schema: read_model` or `-- schema: identity`: it runs
// with that schema as its search_path and uses unqualified names, so that a rebuild can run the
// files of the read model into another schema.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/result.h"
#include "processor/base/time.h"
#include "projections/sql/database.h"

namespace alertstream::migrations {

struct MigrationFile {
  std::string_view name;  // "0001_read_model.sql"
  std::string_view text;
};

struct Migration {
  int number = 0;
  std::string name;  // "read_model"
  std::string schema;
  std::string sha256;  // Of the whole file, hexadecimal.
  std::string_view text;
};

// In the order of their numbers. kInvalid names the file that is none, or two of one number.
Result<std::vector<Migration>> ParseMigrations(std::span<const MigrationFile> files);
// Those of this program.
const std::vector<Migration>& ProgramMigrations();

enum class MigrationState : std::uint8_t {
  kApplied,
  kPending,
  kChanged,  // The file has another checksum than when it was applied.
  kUnknown,  // The database has it and this program does not: a newer one was here.
  kLate,     // Not applied, but one with a higher number is.
};
std::string_view MigrationStateName(MigrationState state);  // "applied", ...

struct MigrationLine {
  int number = 0;
  std::string name;
  std::string schema;  // "" of an unknown one.
  MigrationState state = MigrationState::kPending;
  std::optional<LogTime> applied_at;
  std::string sha256;  // As applied; of a pending one the file's.
};

// What holds of each migration; changes nothing, also in a database where none was ever applied.
Result<std::vector<MigrationLine>> ReadMigrations(sql::Session& session,
                                                  std::span<const Migration> migrations);

// kUnavailable: a migration is pending (a server waits for `alertstream migrate up`). kConflict: a
// changed, unknown or late one, as MigrateUp refuses it.
Status CheckMigrated(const std::vector<MigrationLine>& lines);

// kUnavailable names the roles that are missing or that the session's user may not act as.
Status CheckRoles(sql::Session& session);

struct MigrateOptions {
  // How long a migration waits for a lock, three times, before it fails (kUnavailable).
  std::chrono::milliseconds lock_wait{10'000};
  // Runs everything in one transaction and takes it back.
  bool dry_run = false;
  // After each one. May be empty.
  std::function<void(const Migration& migration)> applied = {};
};

// Makes the schema `alertstream` with the table of what was applied, the roles and their grants to
// the user that migrates, where they are missing, and applies what is pending; returns how many
// were. Whoever comes second waits for the first. `session` has no role and a statement_timeout
// that the longest migration fits in. kConflict: nothing was done, because one is changed, unknown
// or late, or two migrations of one number wait; the message says which. kUnavailable also: the
// user may not make roles; the message has the statements for a superuser.
Result<std::size_t> MigrateUp(sql::Session& session, std::span<const Migration> migrations,
                              const MigrateOptions& options = {});

// Runs the files of `schema` into the schema `target`, which is there and empty; within the open
// transaction if there is one, and records nothing.
Status RunFilesInto(sql::Session& session, std::span<const Migration> migrations,
                    std::string_view schema, const std::string& target);

// How long a migration's statement may take: an index on a large table.
inline constexpr std::chrono::minutes kMigrationStatementMax{30};

}  // namespace alertstream::migrations

#include "ops/cli/commands/migrate.h"

#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace alertstream::cli {
namespace {

using migrations::Migration;
using migrations::MigrationLine;
using migrations::MigrationState;

CellStyle StyleOf(MigrationState state) {
  switch (state) {
    case MigrationState::kApplied:
      return CellStyle::kGood;
    case MigrationState::kPending:
      return CellStyle::kWarning;
    case MigrationState::kChanged:
    case MigrationState::kUnknown:
    case MigrationState::kLate:
      return CellStyle::kBad;
  }
  return CellStyle::kPlain;
}

Status PrintLines(const std::vector<MigrationLine>& lines, const Streams& io) {
  Table table({{.key = "number", .right = true},
               {.key = "name"},
               {.key = "schema"},
               {.key = "state"},
               {.key = "applied_at"},
               {.key = "sha256", .wide = true}});
  for (const MigrationLine& line : lines) {
    table.Add({{std::int64_t{line.number}},
               {line.name},
               {line.schema.empty() ? Cell::Value(Absent{}) : Cell::Value(line.schema)},
               {std::string(migrations::MigrationStateName(line.state)), StyleOf(line.state)},
               {line.applied_at ? Cell::Value(*line.applied_at) : Cell::Value(Absent{})},
               {line.sha256}});
  }
  return Print(io, table);
}

std::size_t CountOf(const std::vector<MigrationLine>& lines, MigrationState state) {
  return static_cast<std::size_t>(std::count_if(
      lines.begin(), lines.end(), [&](const MigrationLine& line) { return line.state == state; }));
}

}  // namespace

Result<ExitCode> MigrateStatus(sql::Session& session, std::span<const Migration> migrations,
                               const Streams& io) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto lines, migrations::ReadMigrations(session, migrations));
  ALERTSTREAM_RETURN_IF_ERROR(PrintLines(lines, io));
  const std::size_t pending = CountOf(lines, MigrationState::kPending);
  const Status migrated = migrations::CheckMigrated(lines);
  if (pending > 0) {
    io.err << fmt::format("{} pending. Next: alertstream migrate up\n", pending);
  } else if (!migrated.ok()) {
    io.err << migrated.error().message() << "\n";
  }
  return ExitCode::kOk;
}

Result<ExitCode> MigrateUp(sql::Session& session, std::span<const Migration> migrations,
                           bool dry_run, const Streams& io) {
  Table table({{.key = "number", .right = true}, {.key = "name"}, {.key = "schema"}});
  const auto applied = migrations::MigrateUp(
      session, migrations,
      {.dry_run = dry_run, .applied = [&](const Migration& migration) {
         table.Add({{std::int64_t{migration.number}}, {migration.name}, {migration.schema}});
       }});
  // Those before the one that failed are applied all the same.
  ALERTSTREAM_RETURN_IF_ERROR(Print(io, table));
  ALERTSTREAM_RETURN_IF_ERROR(applied);
  io.err << fmt::format("{} {}\n", applied.value(),
                        dry_run ? "would be applied; nothing was changed" : "applied");
  return ExitCode::kOk;
}

Result<ExitCode> MigrateVerify(sql::Session& session, std::span<const Migration> migrations,
                               const Streams& io) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto lines, migrations::ReadMigrations(session, migrations));
  ALERTSTREAM_RETURN_IF_ERROR(PrintLines(lines, io));
  Status verified = migrations::CheckMigrated(lines);
  if (verified.ok()) {
    verified = migrations::CheckRoles(session);
  }
  if (!verified.ok() && !session.alive()) {
    return verified.error();
  }
  io.err << (verified.ok() ? "the database has what this program needs"
                           : verified.error().message())
         << "\n";
  return verified.ok() ? ExitCode::kOk : ExitCode::kMismatch;
}

}  // namespace alertstream::cli

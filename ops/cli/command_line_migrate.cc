// The commands about the tables of the database.
#include "ops/cli/command_line.h"
#include "ops/cli/commands/migrate.h"
#include "ops/cli/read_side.h"

namespace alertstream::cli {
namespace {

using Body = std::function<Result<ExitCode>(sql::Session& session)>;

// With a session of whoever owns the database, not of one of our roles.
Result<ExitCode> WithOwner(Program& program, const Body& body) {
  const auto database = RequireReadSide(program.settings(), program.clock());
  if (!database.ok()) {
    return program.Refuse(database.error(), ExitCode::kConfiguration, "alertstream migrate --help");
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto session,
      database.value()->Open({.application_name = "alertstream-migrate",
                              .statement_timeout = migrations::kMigrationStatementMax}));
  return body(*session);
}

}  // namespace

void CommandLine::AddMigrate() {
  CLI::App* migrate = Group("migrate", "The tables of the database (postgres.url)");
  Add(migrate, "status", "Every migration and whether the database has it",
      "migrate status --postgres postgres://alerts@db.example/alerts", [](Program& program) {
        return WithOwner(program, [&](sql::Session& session) {
          return MigrateStatus(session, migrations::ProgramMigrations(), program.io());
        });
      });
  auto* dry_run = Keep(false);
  Add(migrate, "up", "Apply what is pending, each in a transaction of its own",
      "migrate up --dry-run",
      [dry_run](Program& program) {
        return WithOwner(program, [&](sql::Session& session) {
          return MigrateUp(session, migrations::ProgramMigrations(), *dry_run, program.io());
        });
      })
      ->add_flag("--dry-run", *dry_run, "run it all in one transaction and take that back");
  Add(migrate, "verify", "Exit 9 unless the database has exactly what this program needs",
      "migrate verify -o json", [](Program& program) {
        return WithOwner(program, [&](sql::Session& session) {
          return MigrateVerify(session, migrations::ProgramMigrations(), program.io());
        });
      });
}

}  // namespace alertstream::cli

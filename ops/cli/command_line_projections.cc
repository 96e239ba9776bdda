// The commands about the read model.
#include "ops/cli/command_line.h"
#include "ops/cli/commands/projections.h"
#include "ops/cli/read_side.h"
#include "projections/migrations/migrations.h"
#include "projections/partition_projector.h"

namespace alertstream::cli {
namespace {

Status MakeReadModelTables(sql::Session& session, const std::string& schema) {
  return migrations::RunFilesInto(session, migrations::ProgramMigrations(), projections::kSchema,
                                  schema);
}

// The tables in use are those of this program's files, so that those beside them can be compared
// with them and take their place.
Status CheckTables(sql::Database& database) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto session,
                               database.Open({.application_name = "alertstream-projections"}));
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto lines, migrations::ReadMigrations(*session, migrations::ProgramMigrations()));
  return migrations::CheckMigrated(lines);
}

using Body = Result<ExitCode> (*)(const Session&, sql::Database&, const MakeTables&);

Result<ExitCode> RunBeside(Program& program, Body body) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto database,
                               RequireReadSide(program.settings(), program.clock()));
  ALERTSTREAM_RETURN_IF_ERROR(CheckTables(*database));
  return program.Read(
      [&](const Session& session) { return body(session, *database, MakeReadModelTables); });
}

}  // namespace

void CommandLine::AddProjections() {
  CLI::App* group = Group("projections", "The read model in PostgreSQL");
  Add(group, "status", "How far each partition is projected", "projections status",
      [](Program& program) -> Result<ExitCode> {
        ALERTSTREAM_ASSIGN_OR_RETURN(const auto database,
                                     RequireReadSide(program.settings(), program.clock()));
        return program.Read(
            [&](const Session& session) { return ProjectionsStatus(session, *database); });
      });
  Add(group, "rebuild", "Make the tables anew from the log, beside those in use, and swap them",
      "projections rebuild",
      [](Program& program) { return RunBeside(program, ProjectionsRebuild); });
  Add(group, "verify", "Fold the log anew and compare with the tables row by row; 9: they differ",
      "projections verify", [](Program& program) { return RunBeside(program, ProjectionsVerify); });
}

}  // namespace alertstream::cli

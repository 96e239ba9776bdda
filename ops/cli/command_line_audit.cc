// `audit verify`: the proof that history is what was decided.
#include <unistd.h>

#include <utility>

#include "ops/cli/audit_directory.h"
#include "ops/cli/command_line.h"
#include "ops/cli/commands/audit.h"
#include "processor/base/duration.h"

namespace alertstream::cli {
namespace {

struct Values {
  AuditWords words;
  std::size_t jobs = 0;
  std::string resume;
  std::string checkpoint_every = "2s";
  bool from_zero = false;
};

constexpr const char* kExamples =
    "audit verify -o json\n"
    "  alertstream audit verify --jobs 4 --resume /var/tmp/audit\n"
    "  alertstream audit verify --from 2026-01-01T00:00:00Z --to 2026-01-31T23:59:59Z\n"
    "  alertstream audit verify --from journal/3/88213 --tenant acme\n"
    "With --tenant all is decided again, since the state's root is over everybody's, but only the\n"
    "decisions and the differing records of that tenant are counted and told. A partition that\n"
    "cannot be decided again (an input was changed, the engine differs) is told in any case.\n"
    "With --from the state is folded from the newest snapshot before it that proves whole, else\n"
    "from zero; on the way the roots are compared, what is stored is not. With --resume the\n"
    "scratch states lie in FILE.state, each as large as the partition's own state; both are\n"
    "removed when all was compared. Exit 9: something differs.";

Result<ExitCode> Verify(Program& program, const Values& values) {
  auto parsed = ParseAuditOptions(values.words);
  if (!parsed.ok()) {
    return program.Refuse(parsed.error(), ExitCode::kUsage, "alertstream audit verify --help");
  }
  AuditOptions options = std::move(parsed).value();
  ALERTSTREAM_ASSIGN_OR_RETURN(options.checkpoint_every, ParseDuration(values.checkpoint_every));
  options.jobs = values.jobs;
  options.resume = values.resume;
  // A tenant that the surroundings name does not narrow a proof.
  if (program.settings().source(Setting::kTenant) == SettingSource::kFlag) {
    options.tenant = program.settings().Text(Setting::kTenant);
  }
  options.terminal = ::isatty(STDERR_FILENO) == 1 && !program.quiet();
  return program.Read([&](const Session& session) -> Result<ExitCode> {
    const std::string snapshots =
        values.from_zero ? std::string()
                         : SnapshotsPath(program.settings(), session.log, session.identity);
    ALERTSTREAM_ASSIGN_OR_RETURN(
        const auto directory,
        AuditDirectory::Create({.resume = values.resume, .snapshots = snapshots}));
    options.states_directory = directory->path();
    return AuditVerify(session, options, directory->states());
  });
}

}  // namespace

void CommandLine::AddAudit() {
  auto* values = Keep(Values{});
  CLI::App* audit = Group("audit", "Proof");
  CLI::App* app = Add(audit, "verify", "Decide history again and compare it bit for bit", kExamples,
                      [values](Program& program) { return Verify(program, *values); });
  app->add_option("--partition", values->words.partitions,
                  "these only: a number or a list, 0,2; may be repeated")
      ->allow_extra_args(false);
  app->add_option("--from", values->words.from,
                  "compare from here on: a time (RFC 3339) or journal/PARTITION/OFFSET");
  app->add_option("--to", values->words.to, "and read no further than here");
  app->add_flag("--from-zero", values->from_zero, "with --from: begin from no snapshot");
  app->add_option("--jobs", values->jobs, "partitions at once; the cores, up to 8, if not given")
      ->check(CLI::Range(std::size_t{1}, kAuditJobsMax));
  app->add_option("--resume", values->resume,
                  "keep the progress in this file, and go on from it if it is there");
  app->add_option("--checkpoint-every", values->checkpoint_every, "how often; 2s if not given")
      ->check(Checked(ParseDuration));
}

}  // namespace alertstream::cli

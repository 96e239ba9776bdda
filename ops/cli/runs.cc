#include "ops/cli/runs.h"

#include <iostream>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ops/cli/commands/rules.h"
#include "ops/cli/commands/status.h"
#include "ops/cli/commands/tail.h"
#include "ops/cli/doctor_kafka.h"
#include "ops/cli/words.h"
#include "processor/base/duration.h"

namespace alertstream::cli {
namespace {

void PrintNext(Program& program) {
  if (program.quiet()) {
    return;
  }
  const std::string flags = program.SameLog();
  program.io().err << fmt::format(
      "\nNext:\n  alertstream explain last{0}\n  alertstream tail decisions "
      "--no-follow{0}\n  alertstream audit verify{0}\n",
      flags);
}

// --tenant, else the only tenant of the rules.
std::string TenantOfEvents(const Session& session, const std::optional<RuleSet>& rules) {
  std::set<std::string> tenants;
  for (const RuleChange& change : rules ? rules->changes : std::vector<RuleChange>()) {
    tenants.insert(change.tenant);
  }
  return session.tenant.empty() && tenants.size() == 1 ? *tenants.begin() : session.tenant;
}

}  // namespace

log::TopicPlan PlanOf(const Settings& settings) {
  return {.partitions = static_cast<std::int32_t>(settings.Integer(Setting::kPartitions)),
          .replication = static_cast<std::int16_t>(settings.Integer(Setting::kKafkaReplication))};
}

Result<RuleSet> LoadRulesOf(Program& program, const std::string& path) {
  std::vector<RuleProblem> problems;
  auto rules = LoadRules(path, program.settings().Text(Setting::kTenant), &problems);
  for (const RuleProblem& problem : problems) {
    program.io().err << FormatRuleProblem(problem) << "\n";
  }
  return rules;
}

Result<ExitCode> RefuseRules(Program& program, const Error& error) {
  if (error.code() != ErrorCode::kInvalid) {
    return error;
  }
  const bool json = program.io().render.format == OutputFormat::kJson ||
                    program.io().render.format == OutputFormat::kJsonLines;
  if (json) {
    program.io().out << ErrorJson(error, "alertstream triggers apply --help");
  }
  program.io().err << "nothing was appended\n";
  return ExitCode::kConfiguration;
}

std::string NameOfInput(const std::string& file) { return file == "-" ? "stdin" : file; }

Result<std::unique_ptr<EventsInput>> EventsInput::Open(const std::string& file) {
  auto input = std::make_unique<EventsInput>();
  if (file != "-") {
    input->file_.open(file, std::ios::binary);
    if (!input->file_.is_open()) {
      return Error(ErrorCode::kNotFound, fmt::format("--events: {} cannot be opened", file));
    }
    input->from_file_ = true;
  }
  return input;
}

std::istream& EventsInput::stream() {
  return from_file_ ? static_cast<std::istream&>(file_) : std::cin;
}

Result<ExitCode> RunDecide(Program& program, const DecideArguments& arguments) {
  std::optional<RuleSet> rules;
  if (!arguments.rules.empty()) {
    auto loaded = LoadRulesOf(program, arguments.rules);
    if (!loaded.ok()) {
      return RefuseRules(program, loaded.error());
    }
    rules = std::move(loaded).value();
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto events, EventsInput::Open(arguments.events));
  auto result =
      program.Write(LogAccess::kCreate, true, [&](const Session& session) -> Result<ExitCode> {
        if (rules) {
          ALERTSTREAM_ASSIGN_OR_RETURN(const RulesReport report, ApplyRules(session, *rules));
          for (const std::string& line : report.rejected) {
            session.io.err << line << "\n";
          }
          session.io.err << DescribeRules(report) << "\n";
          if (report.unsent > 0) {
            return Error(ErrorCode::kUnavailable, report.why_unsent + "; no event was appended");
          }
          if (!report.rejected.empty()) {
            return Error(ErrorCode::kInvalid, "the log rejected rules: no event was appended");
          }
        }
        return Decide(session, {.events = events->stream(),
                                .file = NameOfInput(arguments.events),
                                .tenant = TenantOfEvents(session, rules),
                                .rows_max = arguments.limit});
      });
  if (result.ok()) {
    PrintNext(program);
  }
  return result;
}

Result<ExitCode> RunTail(Program& program, const TailArguments& arguments) {
  TailOptions options{.follow = !arguments.no_follow, .records_max = arguments.count};
  ALERTSTREAM_ASSIGN_OR_RETURN(options.topic, TailTopic(arguments.what));
  const std::string from =
      arguments.from.empty() ? (arguments.no_follow ? "beginning" : "end") : arguments.from;
  ALERTSTREAM_ASSIGN_OR_RETURN(options.from, ParseTailFrom(from));
  if (!arguments.since.empty()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const LogDuration since, ParseDuration(arguments.since));
    options.from = {.kind = TailFrom::Kind::kTime, .time = program.clock().Now() - since};
  }
  if (arguments.partition >= 0) {
    options.partition = arguments.partition;
  }
  // Without the flag a tail waits for ever; the setting bounds the questions of other commands.
  if (program.settings().source(Setting::kTimeout) == SettingSource::kFlag) {
    options.silence_max = program.settings().Duration(Setting::kTimeout);
  }
  options.filter.trigger = arguments.trigger;
  options.filter.reason = arguments.reason;
  if (!arguments.channel.empty()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(options.filter.channel,
                                 ParseWord<v1::Channel>("--channel", arguments.channel));
  }
  if (!arguments.outcome.empty()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(options.filter.outcome,
                                 ParseWord<v1::Outcome>("--outcome", arguments.outcome));
  }
  if (const Status fits = CheckTailFilter(options.topic, options.filter); !fits.ok()) {
    return program.Refuse(fits.error(), ExitCode::kUsage, "alertstream tail --help");
  }
  return program.Read([&](const Session& session) { return Tail(session, options); });
}

namespace {

// Rights first: what fails for want of one is better explained by it. False: the rest would say
// nothing new.
Result<bool> CheckCluster(Program& program, log::EventLog& log, std::vector<DoctorCheck>* checks) {
  const Settings& settings = program.settings();
  const auto timeout = AskTimeout(settings);
  ALERTSTREAM_ASSIGN_OR_RETURN(const LogTarget target,
                               ParseLogTarget(settings.Text(Setting::kLog)));
  const log::KafkaLogOptions options = KafkaOptions(settings, target);
  const auto rights = CheckRights(options, timeout);
  if (!rights.ok()) {
    checks->back() = {CheckResult::kFailed, "log", rights.error().message()};
    return false;
  }
  checks->push_back(rights.value());
  if (rights.value().result == CheckResult::kFailed) {
    return false;
  }
  checks->push_back(CheckTopics(log, timeout));
  if (checks->back().result == CheckResult::kFailed) {
    return false;
  }
  checks->push_back(CheckClock(log, program.clock(), timeout));
  checks->push_back(CheckTransactions(options, program.clock(), timeout));
  return true;
}

}  // namespace

Result<ExitCode> RunDoctor(Program& program, bool strict) {
  const Settings& settings = program.settings();
  std::vector<DoctorCheck> checks;
  checks.push_back(
      {CheckResult::kOk, "config",
       fmt::format("{} settings, {}", kSettingCount,
                   settings.file().empty() ? std::string("no file") : "from " + settings.file())});
  checks.push_back(CheckDisk(settings.Text(Setting::kDataDir)));
  const auto log = OpenLog(settings, program.clock(), LogAccess::kRead);
  if (!log.ok()) {
    checks.push_back({CheckResult::kFailed, "log", log.error().message()});
    return ReportChecks(checks, strict, program.io());
  }
  checks.push_back({CheckResult::kOk, "log", log.value()->Describe()});
  bool usable = true;
  if (program.local()) {
    checks.push_back(CheckTopics(*log.value(), AskTimeout(settings)));
    usable = checks.back().result != CheckResult::kFailed;
  } else {
    ALERTSTREAM_ASSIGN_OR_RETURN(usable, CheckCluster(program, *log.value(), &checks));
  }
  if (!usable) {
    return ReportChecks(checks, strict, program.io());
  }
  const auto key = OpenTokenKey(settings, LogAccess::kRead);
  if (!key.ok()) {
    checks.push_back({CheckResult::kFailed, "token key", key.error().message()});
  } else {
    checks.push_back(CheckIdentity(*log.value(), key.value(), AskTimeout(settings)));
  }
  return ReportChecks(checks, strict, program.io());
}

}  // namespace alertstream::cli

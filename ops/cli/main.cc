// The program `alertstream`: parses arguments, opens what the command needs, runs it, and turns its
// result into an exit code. What the commands do stands in ops/cli/commands.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <exception>
#include <fstream>
#include <functional>
#include <iostream>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ops/cli/commands/about.h"
#include "ops/cli/commands/audit.h"
#include "ops/cli/commands/dead_letters.h"
#include "ops/cli/commands/decide.h"
#include "ops/cli/commands/explain.h"
#include "ops/cli/commands/outcomes.h"
#include "ops/cli/commands/people.h"
#include "ops/cli/commands/rules.h"
#include "ops/cli/commands/serve.h"
#include "ops/cli/commands/status.h"
#include "ops/cli/commands/tail.h"
#include "ops/cli/commands/topics.h"
#include "ops/cli/exit_code.h"
#include "ops/cli/rules_file.h"
#include "ops/cli/settings.h"
#include "ops/cli/version.h"
#include "ops/cli/wiring.h"
#include "ops/cli/words.h"
#include "processor/base/config_env.h"
#include "processor/base/log.h"

namespace alertstream::cli {
namespace {

// Set by SIGINT and SIGTERM, which may only store.
std::atomic<bool> g_interrupted{false};

void OnSignal(int) { g_interrupted = true; }

// What the user wrote, before it means anything.
struct Arguments {
  std::string config;
  std::vector<std::string> set;
  std::map<std::string, std::string> named;  // --data-dir and others, by the setting's key.
  std::string output = "text";
  std::string color = "auto";
  std::vector<std::string> columns;
  std::string actor;
  bool quiet = false;
  bool verbose = false;
};

// A run of the program: settings resolved, streams at hand.
class Program {
 public:
  Program(const Arguments& arguments, Settings settings, Streams io)
      : arguments_(arguments), settings_(std::move(settings)), io_(std::move(io)) {}

  const Settings& settings() const { return settings_; }
  const Streams& io() const { return io_; }
  Clock& clock() { return SystemClock(); }
  bool local() const { return settings_.Text(Setting::kLog) == "local"; }
  bool quiet() const { return arguments_.quiet; }

  using Body = std::function<Result<ExitCode>(const Session& session)>;
  // With the log open for reading, beside whoever owns it.
  Result<ExitCode> Read(const Body& body);
  // With the log open for writing. A local log is decided by this process meanwhile; on Kafka the
  // servers do it, or this process if `may_decide` and there is none.
  Result<ExitCode> Write(LogAccess access, bool may_decide, const Body& body);

  // The flags that lead another command to the same log.
  std::string SameLog() const;

 private:
  Session MakeSession(const Deployment& deployment);

  const Arguments& arguments_;
  Settings settings_;
  Streams io_;
};

using Command = std::function<Result<ExitCode>(Program& program)>;

Session Program::MakeSession(const Deployment& deployment) {
  std::string actor = arguments_.actor;
  if (actor.empty()) {
    actor = Environment("USER").value_or("");
  }
  return Session{.log = *deployment.log,
                 .identity = deployment.identity,
                 .token_key = deployment.token_key,
                 .clock = clock(),
                 .io = io_,
                 .tenant = settings_.Text(Setting::kTenant),
                 .actor = actor.empty() ? "cli" : actor,
                 .processor = nullptr,
                 .interrupted = &g_interrupted};
}

Result<ExitCode> Program::Read(const Body& body) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const Deployment deployment,
                               OpenDeployment(settings_, clock(), LogAccess::kRead));
  return body(MakeSession(deployment));
}

Result<ExitCode> Program::Write(LogAccess access, bool may_decide, const Body& body) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const Deployment deployment,
                               OpenDeployment(settings_, clock(), access));
  Session session = MakeSession(deployment);
  bool decides = deployment.log->ExclusiveWriter();
  if (!decides && may_decide) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto leases, ReadLiveLeases(session));
    decides = leases.empty();
    if (!decides) {
      io_.err << "a server owns the log and decides\n";
    }
  }
  if (!decides) {
    return body(session);
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      auto options,
      MakeProcessorOptions(settings_, deployment,
                           {.instance = fmt::format("cli-{}", ::getpid()), .assigned = "all"}));
  runtime::Processor processor(*deployment.log, clock(), std::move(options));
  session.processor = &processor;
  processor.Start();
  auto result = body(session);
  processor.Stop();
  return result;
}

std::string Program::SameLog() const {
  std::string flags;
  if (settings_.source(Setting::kDataDir) == SettingSource::kFlag) {
    flags += " --data-dir " + settings_.Text(Setting::kDataDir);
  }
  if (settings_.source(Setting::kLog) == SettingSource::kFlag) {
    flags += " --log " + settings_.Text(Setting::kLog);
  }
  for (const std::string& pair : arguments_.set) {
    flags += " --set " + pair;
  }
  if (!arguments_.config.empty()) {
    flags += " --config " + arguments_.config;
  }
  return flags;
}

log::TopicPlan PlanOf(const Settings& settings) {
  return {.partitions = static_cast<std::int32_t>(settings.Integer(Setting::kPartitions)),
          .replication = static_cast<std::int16_t>(settings.Integer(Setting::kKafkaReplication))};
}

// Everything that is wrong with the rules, on stderr; the error carries the first.
Result<RuleSet> LoadRulesOf(Program& program, const std::string& path) {
  std::vector<RuleProblem> problems;
  auto rules = LoadRules(path, program.settings().Text(Setting::kTenant), &problems);
  for (const RuleProblem& problem : problems) {
    program.io().err << FormatRuleProblem(problem) << "\n";
  }
  return rules;
}

// Rule files are configuration: they end with that exit code. The error itself goes the usual way.
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

std::string NameOfInput(const std::string& file) { return file == "-" ? "stdin" : file; }

// A stream of `file`, or of stdin for "-".
class EventsInput {
 public:
  static Result<std::unique_ptr<EventsInput>> Open(const std::string& file) {
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
  std::istream& stream() { return from_file_ ? static_cast<std::istream&>(file_) : std::cin; }

 private:
  std::ifstream file_;
  bool from_file_ = false;
};

// --tenant, else the only tenant of the rules.
std::string TenantOfEvents(const Session& session, const std::optional<RuleSet>& rules) {
  std::set<std::string> tenants;
  for (const RuleChange& change : rules ? rules->changes : std::vector<RuleChange>()) {
    tenants.insert(change.tenant);
  }
  return session.tenant.empty() && tenants.size() == 1 ? *tenants.begin() : session.tenant;
}

struct DecideArguments {
  std::string rules;
  std::string events;
  std::size_t limit = kDecideRowsMax;
};

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

Result<ExitCode> RunServe(Program& program) {
  std::signal(SIGPIPE, SIG_IGN);  // A scraper that goes away must not end the processor.
  const Settings& settings = program.settings();
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const Deployment deployment,
      OpenDeployment(settings, program.clock(),
                     program.local() ? LogAccess::kCreate : LogAccess::kWrite));
  ServeOptions options;
  ALERTSTREAM_ASSIGN_OR_RETURN(
      options.processor,
      MakeProcessorOptions(settings, deployment,
                           {.instance = settings.Text(Setting::kInstance),
                            .assigned = settings.Text(Setting::kRuntimeAssigned)}));
  options.health.address = settings.Text(Setting::kMetricsAddress);
  options.health.port = static_cast<std::uint16_t>(settings.Integer(Setting::kMetricsPort));
  options.drain_timeout = std::chrono::duration_cast<std::chrono::milliseconds>(
      settings.Duration(Setting::kRuntimeDrainTimeout));
  const Session session{.log = *deployment.log,
                        .identity = deployment.identity,
                        .token_key = deployment.token_key,
                        .clock = program.clock(),
                        .io = program.io(),
                        .tenant = "",
                        .actor = "",
                        .processor = nullptr,
                        .interrupted = &g_interrupted};
  return Serve(session, std::move(options));
}

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
  for (DoctorCheck& check : CheckLog(*log.value(), program.clock(), !program.local())) {
    checks.push_back(std::move(check));
  }
  const auto key = OpenTokenKey(settings, LogAccess::kRead);
  if (!key.ok()) {
    checks.push_back({CheckResult::kFailed, "token key", key.error().message()});
  } else {
    checks.push_back(CheckIdentity(*log.value(), key.value()));
  }
  return ReportChecks(checks, strict, program.io());
}

// The tree of commands. Every lambda below only carries parsed values into a library function.
class CommandLine {
 public:
  CommandLine() : app_("AlertStream: decides which notifications are sent, and proves it.") {
    app_.name("alertstream");
    app_.require_subcommand(0, 1);
    app_.fallthrough();
    app_.set_version_flag("--version", std::string(kVersion) + " (" + kGitHash + ")");
    app_.footer(
        "Example:\n  alertstream decide --rules ops/examples/payments/rules \\\n"
        "    --events ops/examples/payments/events.jsonl --data-dir .alertstream\n"
        "Exit codes: 0 ok, 1 failed, 2 usage, 3 configuration, 4 not found, 5 not allowed,\n"
        "6 conflict, 7 unreachable, 8 partly done, 9 mismatch, 124 timeout, 130 interrupted.");
    AddGlobals();
    AddRun();
    AddLook();
    AddAuthor();
    AddComply();
    AddRepair();
  }

  // The exit code if the program ends here: help, version, a usage error.
  std::optional<int> Parse(int argc, char** argv);

  const Arguments& arguments() const { return arguments_; }
  const Command& command() const { return command_; }
  const std::string& path() const { return path_; }
  bool serves() const { return path_ == "serve"; }

 private:
  CLI::App* Add(CLI::App* parent, const std::string& name, const std::string& help,
                const std::string& example, Command command);
  void AddNamed(CLI::App* app, const std::string& flag, const std::string& key,
                const std::string& help);
  void AddNamedSwitch(CLI::App* app, const std::string& flag, const std::string& key,
                      const std::string& help);
  void AddGlobals();
  void AddRun();
  void AddTopics();
  void AddLook();
  void AddTail();
  void AddTopic();
  void AddAuthor();
  void AddComply();
  void AddConsent();
  void AddOptOut();
  void AddRepair();

  // A group of commands that does nothing itself.
  CLI::App* Group(const std::string& name, const std::string& help) {
    CLI::App* group = app_.add_subcommand(name, help);
    group->require_subcommand(1);
    return group;
  }
  // A value that lives as long as the parser, for an option to be written to.
  template <typename T>
  T* Keep(T value) {
    auto kept = std::make_shared<T>(std::move(value));
    kept_.push_back(kept);
    return kept.get();
  }

  CLI::App app_;
  Arguments arguments_;
  Command command_;
  std::string path_;
  std::vector<std::shared_ptr<void>> kept_;
};

CLI::App* CommandLine::Add(CLI::App* parent, const std::string& name, const std::string& help,
                           const std::string& example, Command command) {
  CLI::App* app = parent->add_subcommand(name, help);
  app->footer("Example:\n  alertstream " + example);
  const std::string path = parent->get_parent() == nullptr ? name : parent->get_name() + " " + name;
  app->callback([this, path, command = std::move(command)] {
    command_ = command;
    path_ = path;
  });
  return app;
}

void CommandLine::AddNamed(CLI::App* app, const std::string& flag, const std::string& key,
                           const std::string& help) {
  app->add_option_function<std::string>(
      flag, [this, key](const std::string& value) { arguments_.named[key] = value; }, help);
}

void CommandLine::AddNamedSwitch(CLI::App* app, const std::string& flag, const std::string& key,
                                 const std::string& help) {
  app->add_flag_function(
      flag, [this, key](std::int64_t) { arguments_.named[key] = "true"; }, help);
}

void CommandLine::AddGlobals() {
  app_.add_option("--config", arguments_.config, "settings file (TOML)");
  app_.add_option("--set", arguments_.set, "one setting: key=value; may be repeated")
      ->allow_extra_args(false);
  app_.add_option("-o,--output", arguments_.output, "text, wide, json, jsonl or csv");
  app_.add_option("--columns", arguments_.columns, "columns of a table: a,b")->delimiter(',');
  app_.add_option("--color", arguments_.color, "auto, always or never");
  app_.add_option("--actor", arguments_.actor, "who makes a change; $USER if not given");
  app_.add_flag("-q,--quiet", arguments_.quiet, "no hints on stderr");
  app_.add_flag("-v,--verbose", arguments_.verbose, "also log what the program does");
  AddNamed(&app_, "--data-dir", "data_dir", "local log, state and keys");
  AddNamed(&app_, "--log", "log", "local, or kafka://HOST:PORT");
  AddNamed(&app_, "--tenant", "tenant", "tenant of what names none");
  AddNamed(&app_, "--partitions", "partitions", "of every topic, when a log is created");
  AddNamed(&app_, "--log-level", "log_output.level", "debug, info, warning or error");
  AddNamed(&app_, "--log-format", "log_output.format", "text or json");
  AddNamed(&app_, "--instance", "instance", "name of this instance in leases");
  AddNamedSwitch(&app_, "--accept-clock", "accept_clock",
                 "start although the clock jumped by more than 7 days");
}

void CommandLine::AddRun() {
  auto* decide = Keep(DecideArguments{});
  CLI::App* app = Add(&app_, "decide", "Apply rules, append events, show what is decided",
                      "decide --rules rules/ --events events.jsonl --data-dir .alertstream",
                      [decide](Program& program) { return RunDecide(program, *decide); });
  app->add_option("--rules", decide->rules, "rule file, or directory of them (YAML, JSON)");
  app->add_option("--events", decide->events, "events, one JSON object a line; - for stdin")
      ->required();
  app->add_option("--limit", decide->limit, "rows of the tables");

  auto* target = Keep(std::string());
  CLI::App* serve = Add(&app_, "serve", "Run until SIGTERM",
                        "serve --target=processor --log kafka://127.0.0.1:9092",
                        [](Program& program) { return RunServe(program); });
  serve->add_option("--target", *target, "what to run")
      ->required()
      ->check(CLI::IsMember({"processor"}));
  AddNamed(serve, "--partitions-owned", "runtime.assigned", "all, none, or such as 0-3,8");
  AddNamed(serve, "--metrics-port", "metrics.port", "of /metrics and /health; 0: a free one");
  AddNamedSwitch(serve, "--take-over", "take_over",
                 "start although another instance holds a live lease");
  AddTopics();
}

void CommandLine::AddTopics() {
  CLI::App* topics = Group("topics", "Create and check the topics of the log");
  Add(topics, "plan", "What apply would do", "topics plan --log kafka://127.0.0.1:9092",
      [](Program& program) -> Result<ExitCode> {
        ALERTSTREAM_ASSIGN_OR_RETURN(
            const auto log, OpenLog(program.settings(), program.clock(), LogAccess::kRead));
        return TopicsPlan(*log, PlanOf(program.settings()), program.io());
      });
  Add(topics, "apply", "Create what is missing, mend settings, write the markers",
      "topics apply --log kafka://127.0.0.1:9092 --partitions 8",
      [](Program& program) -> Result<ExitCode> {
        const Settings& settings = program.settings();
        ALERTSTREAM_ASSIGN_OR_RETURN(const Deployment deployment,
                                     OpenDeployment(settings, program.clock(), LogAccess::kCreate));
        return TopicsApply(*deployment.log, deployment.token_key, PlanOf(settings), program.io());
      });
  Add(topics, "status", "Topics as they are, and what is wrong with them",
      "topics status --log kafka://127.0.0.1:9092", [](Program& program) -> Result<ExitCode> {
        ALERTSTREAM_ASSIGN_OR_RETURN(
            const auto log, OpenLog(program.settings(), program.clock(), LogAccess::kRead));
        return TopicsStatus(*log, program.io());
      });
}

void CommandLine::AddLook() {
  Add(&app_, "status", "Partitions: owner, journal, lag", "status --data-dir .alertstream",
      [](Program& program) {
        return program.Read([](const Session& session) { return ShowStatus(session); });
      });
  AddTail();
  auto* what = Keep(std::string());
  Add(&app_, "explain", "Why something was or was not sent, gate by gate",
      "explain last        (or the beginning of an id: evt_, dec_, ntf_)",
      [what](Program& program) {
        return program.Read([&](const Session& session) { return Explain(session, *what); });
      })
      ->add_option("id", *what, "last, or an event, decision or notification")
      ->required();
  AddTopic();
  auto* strict = Keep(false);
  Add(&app_, "doctor", "Check settings, log, keys, clock and disk", "doctor",
      [strict](Program& program) { return RunDoctor(program, *strict); })
      ->add_flag("--strict", *strict, "exit 10 if there are warnings only");
  Add(&app_, "version", "Versions of the program, the engine and its libraries", "version -o json",
      [](Program& program) { return ShowVersion(program.io()); });
  auto* origin = Keep(false);
  CLI::App* config = Group("config", "The settings");
  Add(config, "show", "Every setting and its value", "config show --origin",
      [origin](Program& program) { return ShowConfig(program.settings(), *origin, program.io()); })
      ->add_flag("--origin", *origin, "also where each value comes from");
}

void CommandLine::AddTail() {
  struct Values {
    std::string what;
    std::string from;
    bool no_follow = false;
    std::uint64_t count = 0;
  };
  auto* values = Keep(Values{});
  CLI::App* tail =
      Add(&app_, "tail", "Show outputs as they are decided", "tail decisions --no-follow -o json",
          [values](Program& program) -> Result<ExitCode> {
            ALERTSTREAM_ASSIGN_OR_RETURN(const auto topic, TailTopic(values->what));
            return program.Read([&](const Session& session) {
              return Tail(session,
                          {.topic = topic,
                           .from_beginning = values->from.empty() ? values->no_follow
                                                                  : values->from == "beginning",
                           .follow = !values->no_follow,
                           .records_max = values->count});
            });
          });
  tail->add_option("what", values->what, "decisions, commands, facts, journal or dead-letters")
      ->required()
      ->check(CLI::IsMember({"decisions", "commands", "facts", "journal", "dead-letters"}));
  tail->add_option("--from", values->from,
                   "beginning or end; without it end, with --no-follow beginning")
      ->check(CLI::IsMember({"beginning", "end"}));
  tail->add_flag("--no-follow", values->no_follow, "stop at the end");
  tail->add_option("-n", values->count, "stop after so many");
}

void CommandLine::AddTopic() {
  struct Values {
    std::string topic;
    std::int32_t partition = -1;
    std::int64_t offset = 0;
    std::uint64_t count = 0;
    bool personal = false;
  };
  auto* values = Keep(Values{});
  CLI::App* topic = Group("topic", "Records as they lie in the log");
  CLI::App* dump = Add(
      topic, "dump", "Committed records as JSON lines",
      "topic dump site-events --partition 0 -n 10", [values](Program& program) -> Result<ExitCode> {
        const auto wanted = schemas::TopicByName(values->topic);
        if (!wanted) {
          return Error(ErrorCode::kNotFound,
                       "there is no topic of that name; see: alertstream topic stats");
        }
        return program.Read([&](const Session& session) {
          return TopicDump(
              session,
              {.topic = *wanted,
               .partition = values->partition < 0 ? std::nullopt : std::optional(values->partition),
               .offset = values->offset,
               .records_max = values->count,
               .show_personal = values->personal});
        });
      });
  dump->add_option("topic", values->topic, "its name in the catalogue")->required();
  dump->add_option("--partition", values->partition, "one of them")->check(CLI::NonNegativeNumber);
  dump->add_option("--offset", values->offset, "the first one")->check(CLI::NonNegativeNumber);
  dump->add_option("-n", values->count, "stop after so many");
  dump->add_flag("--show-personal", values->personal, "addresses and texts as they are");
  Add(topic, "stats", "End offsets and last times", "topic stats", [](Program& program) {
    return program.Read([](const Session& session) { return TopicStats(session); });
  });
}

void CommandLine::AddAuthor() {
  CLI::App* triggers = Group("triggers", "The rules");
  auto* path = Keep(std::string());
  Add(triggers, "apply", "Apply rule files", "triggers apply -f rules/",
      [path](Program& program) -> Result<ExitCode> {
        const auto rules = LoadRulesOf(program, *path);
        if (!rules.ok()) {
          return RefuseRules(program, rules.error());
        }
        return program.Write(LogAccess::kWrite, false, [&](const Session& session) {
          return TriggersApply(session, rules.value());
        });
      })
      ->add_option("-f,--file", *path, "rule file or directory")
      ->required();
  Add(triggers, "list", "Triggers in force", "triggers list -o wide", [](Program& program) {
    return program.Read([](const Session& session) { return TriggersList(session); });
  });

  CLI::App* events = Group("events", "Events");
  auto* file = Keep(std::string());
  Add(events, "import", "Append events; they are decided like any others",
      "events import events.jsonl --tenant acme",
      [file](Program& program) -> Result<ExitCode> {
        ALERTSTREAM_ASSIGN_OR_RETURN(const auto input, EventsInput::Open(*file));
        return program.Write(LogAccess::kWrite, false, [&](const Session& session) {
          return Decide(session, {.events = input->stream(),
                                  .file = NameOfInput(*file),
                                  .tenant = session.tenant,
                                  .print_decisions = false});
        });
      })
      ->add_option("file", *file, "one JSON object a line; - for stdin")
      ->required();
  struct Get {
    std::string id;
    bool show_data = false;
  };
  auto* get = Keep(Get{});
  CLI::App* get_app = Add(events, "get", "One event as it lies in the log",
                          "events get evt_01JD3J --show-data", [get](Program& program) {
                            return program.Read([&](const Session& session) {
                              return EventsGet(session, get->id, get->show_data);
                            });
                          });
  get_app->add_option("id", get->id, "evt_, dec_, ntf_ or last")->required();
  get_app->add_flag("--show-data", get->show_data, "also its data, which may be about people");

  CLI::App* engine = Group("engine", "The version of the rules of deciding");
  auto* version = Keep(std::uint32_t{0});
  Add(engine, "activate", "Put an engine version in force on every partition", "engine activate 2",
      [version](Program& program) {
        return program.Write(LogAccess::kWrite, false, [&](const Session& session) {
          return EngineActivate(session, *version);
        });
      })
      ->add_option("version", *version, "above the one in force")
      ->required();
}

void CommandLine::AddComply() {
  AddConsent();
  AddOptOut();
  CLI::App* audit = Group("audit", "Proof");
  Add(audit, "verify", "Decide all of history again and compare it bit for bit",
      "audit verify -o json", [](Program& program) {
        return program.Read([](const Session& session) -> Result<ExitCode> {
          ALERTSTREAM_ASSIGN_OR_RETURN(const auto scratch, ScratchStores::Create());
          return AuditVerify(session,
                             [&](std::int32_t partition) { return scratch->Open(partition); });
        });
      });
}

void CommandLine::AddConsent() {
  struct Values {
    std::string address;
    std::string channel = "all";
    std::string message_class = "informational";
    std::string source = "operator";
    std::string evidence;
    bool written = false;
  };
  auto* values = Keep(Values{});
  CLI::App* consent = Group("consent", "What a person allowed");
  const auto change = [values](v1::ConsentStatus status) -> Command {
    return [values, status](Program& program) -> Result<ExitCode> {
      ConsentOptions options{.address = values->address,
                             .status = status,
                             .source = values->source,
                             .evidence = values->evidence,
                             .written = values->written};
      ALERTSTREAM_ASSIGN_OR_RETURN(options.channel,
                                   ParseWord<v1::Channel>("--channel", values->channel));
      ALERTSTREAM_ASSIGN_OR_RETURN(options.message_class,
                                   ParseWord<v1::MessageClass>("--class", values->message_class));
      return program.Write(LogAccess::kWrite, false,
                           [&](const Session& session) { return ChangeConsent(session, options); });
    };
  };
  for (const auto& [name, status] : {std::pair("grant", v1::CONSENT_STATUS_GRANTED),
                                     std::pair("revoke", v1::CONSENT_STATUS_REVOKED)}) {
    CLI::App* app =
        Add(consent, name,
            std::string("Record that consent was ") +
                (status == v1::CONSENT_STATUS_GRANTED ? "granted" : "revoked"),
            fmt::format("consent {} +254700000001 --tenant acme --class informational", name),
            change(status));
    app->add_option("phone", values->address, "the person, +254...")->required();
    app->add_option("--channel", values->channel, "sms, whatsapp, email, push, voice or all");
    app->add_option("--class", values->message_class, "transactional, informational or marketing");
    app->add_option("--source", values->source, "where it comes from: web_form, paper, ...");
    app->add_option("--evidence", values->evidence, "kind of evidence; later than a STOP lifts it");
    app->add_flag("--written", values->written, "express written consent, for marketing");
  }
  Add(consent, "show", "What is in force for a person", "consent show +254700000001 --tenant acme",
      [values](Program& program) {
        return program.Read(
            [&](const Session& session) { return ShowConsent(session, values->address); });
      })
      ->add_option("phone", values->address, "the person, +254...")
      ->required();
}

void CommandLine::AddOptOut() {
  struct Values {
    std::string address;
    std::string channel = "all";
    std::string reason;
  };
  auto* values = Keep(Values{});
  CLI::App* optout = Group("optout", "Who must not be sent to");
  for (const auto& [name, status] : {std::pair("add", v1::OPT_OUT_STATUS_ACTIVE),
                                     std::pair("remove", v1::OPT_OUT_STATUS_REMOVED)}) {
    CLI::App* app =
        Add(optout, name,
            status == v1::OPT_OUT_STATUS_ACTIVE ? "Send a person nothing any more"
                                                : "Lift an opt-out that an operator made",
            fmt::format("optout {} +254700000001 --tenant acme --reason 'asked by phone'", name),
            [values, status = status](Program& program) -> Result<ExitCode> {
              OptOutOptions options{
                  .address = values->address, .status = status, .reason = values->reason};
              ALERTSTREAM_ASSIGN_OR_RETURN(options.channel,
                                           ParseWord<v1::Channel>("--channel", values->channel));
              return program.Write(LogAccess::kWrite, false, [&](const Session& session) {
                return ChangeOptOut(session, options);
              });
            });
    app->add_option("phone", values->address, "the person, +254...")->required();
    app->add_option("--channel", values->channel, "sms, whatsapp, email, push, voice or all");
    app->add_option("--reason", values->reason, "for the audit trail")->required();
  }
  Add(optout, "list", "Everybody who is opted out", "optout list --tenant acme",
      [](Program& program) {
        return program.Read([](const Session& session) { return ListOptOuts(session); });
      });
}

void CommandLine::AddRepair() {
  CLI::App* dlq = Group("dlq", "Records that could not be decided");
  constexpr std::size_t kRows = 50;
  auto* limit = Keep(kRows);
  Add(dlq, "list", "The newest dead letters", "dlq list --limit 100", [limit](Program& program) {
    return program.Read([&](const Session& session) { return ListDeadLetters(session, *limit); });
  })->add_option("--limit", *limit, "rows");
  struct Show {
    std::string id;
    bool original = false;
  };
  auto* show = Keep(Show{});
  CLI::App* show_app =
      Add(dlq, "show", "One dead letter", "dlq show dlq_01JD3J", [show](Program& program) {
        return program.Read([&](const Session& session) {
          return ShowDeadLetter(session, show->id, show->original);
        });
      });
  show_app->add_option("id", show->id, "the beginning of its id, or last")->required();
  show_app->add_flag("--show-original", show->original, "the record's bytes, in hexadecimal");
  struct Skip {
    std::string record;
    std::string reason;
  };
  auto* skip = Keep(Skip{});
  CLI::App* skip_app =
      Add(dlq, "skip", "Let a stopped partition pass one record",
          "dlq skip site-events/3/88213 --reason 'crashes the engine, case 17'",
          [skip](Program& program) -> Result<ExitCode> {
            ALERTSTREAM_ASSIGN_OR_RETURN(const v1::Position record, ParsePosition(skip->record));
            ALERTSTREAM_ASSIGN_OR_RETURN(
                const Deployment deployment,
                OpenDeployment(program.settings(), program.clock(), LogAccess::kWrite));
            const Session session{.log = *deployment.log,
                                  .identity = deployment.identity,
                                  .token_key = deployment.token_key,
                                  .clock = program.clock(),
                                  .io = program.io(),
                                  .tenant = "",
                                  .actor = Environment("USER").value_or("cli"),
                                  .processor = nullptr,
                                  .interrupted = &g_interrupted};
            return SkipRecord(session, record, skip->reason);
          });
  skip_app->add_option("record", skip->record, "TOPIC/PARTITION/OFFSET")->required();
  skip_app->add_option("--reason", skip->reason, "for the audit trail")->required();
}

// Before the arguments are parsed, only their text can say that errors are wanted as JSON.
bool WantsJson(int argc, char** argv) {
  std::string joined;
  for (int i = 1; i < argc; ++i) {
    joined += fmt::format(" {}", argv[i]);
  }
  for (const std::string_view form :
       {" -o json", " -ojson", " -o=json", " --output json", " --output=json"}) {
    if (joined.find(form) != std::string::npos) {
      return true;
    }
  }
  return false;
}

std::optional<int> CommandLine::Parse(int argc, char** argv) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      return app_.exit(error);
    }
    if (WantsJson(argc, argv)) {
      std::cout << ErrorJson(Error(ErrorCode::kInvalid, error.what()), "alertstream --help");
    }
    std::cerr << "alertstream: " << error.what() << "\nsee: alertstream --help, or --help after a "
              << "command\n";
    return static_cast<int>(ExitCode::kUsage);
  }
  if (!command_) {
    std::cout << app_.help();
    return static_cast<int>(ExitCode::kUsage);
  }
  return std::nullopt;
}

Result<Settings> SettingsOf(const Arguments& arguments) {
  SettingsInput input;
  input.flags = arguments.named;
  for (const std::string& pair : arguments.set) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Error(ErrorCode::kInvalid, "--set: expected key=value");
    }
    input.flags[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  input.environment = EnvironmentWithPrefix("ALERTSTREAM_");
  if (!arguments.config.empty()) {
    input.config_file = arguments.config;
  }
  return ResolveSettings(input);
}

Result<RenderOptions> RenderOf(const Arguments& arguments) {
  RenderOptions render;
  ALERTSTREAM_ASSIGN_OR_RETURN(render.format, ParseOutputFormat(arguments.output));
  ALERTSTREAM_ASSIGN_OR_RETURN(const ColorMode color, ParseColorMode(arguments.color));
  render.color = UseColor(color, ::isatty(STDOUT_FILENO) == 1, Environment("NO_COLOR").value_or(""),
                          Environment("TERM").value_or(""));
  render.columns = arguments.columns;
  return render;
}

int Fail(const Error& error, ExitCode exit, const RenderOptions& render, std::string_view path) {
  if (render.format == OutputFormat::kJson || render.format == OutputFormat::kJsonLines) {
    std::cout << ErrorJson(error, fmt::format("alertstream {} --help", path));
  }
  std::cerr << "alertstream: " << error.message() << "\n";
  if (const std::string_view hint = HintFor(error.code()); !hint.empty()) {
    std::cerr << hint << "\n";
  }
  std::cout.flush();
  return static_cast<int>(exit);
}

void Configure(const CommandLine& line, const Settings& settings) {
  LogOptions options;
  const auto level = ParseLogLevel(settings.Text(Setting::kLogOutputLevel));
  const auto format = ParseLogFormat(settings.Text(Setting::kLogOutputFormat));
  options.level = level.ok() ? level.value() : LogLevel::kInfo;
  options.format = format.ok() ? format.value() : LogFormat::kText;
  options.lines_per_second_max =
      static_cast<std::uint32_t>(settings.Integer(Setting::kLogOutputLinesPerSecond));
  // A command's own words are enough, unless it serves or the user asks for more.
  const bool asked = settings.source(Setting::kLogOutputLevel) != SettingSource::kDefault;
  if (!line.serves() && !asked && !line.arguments().verbose) {
    options.level = LogLevel::kError;
  }
  ConfigureLogging(options);
}

int Main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  CommandLine line;
  if (const auto exit = line.Parse(argc, argv)) {
    return *exit;
  }
  auto render = RenderOf(line.arguments());
  if (!render.ok()) {
    return Fail(render.error(), ExitCode::kUsage, {}, line.path());
  }
  auto settings = SettingsOf(line.arguments());
  if (!settings.ok()) {
    return Fail(settings.error(), ExitCode::kConfiguration, render.value(), line.path());
  }
  Configure(line, settings.value());
  std::signal(SIGINT, OnSignal);
  std::signal(SIGTERM, OnSignal);
  Program program(line.arguments(), std::move(settings).value(),
                  {.out = std::cout, .err = std::cerr, .render = render.value()});
  const auto result = line.command()(program);
  if (!result.ok()) {
    const ExitCode exit =
        g_interrupted ? ExitCode::kInterrupted : ExitCodeOf(result.error().code());
    return Fail(result.error(), exit, render.value(), line.path());
  }
  std::cout.flush();
  return std::cout.good() ? static_cast<int>(result.value())
                          : static_cast<int>(ExitCode::kUnavailable);
}

}  // namespace
}  // namespace alertstream::cli

int main(int argc, char** argv) {
  try {
    return alertstream::cli::Main(argc, argv);
  } catch (const std::exception& error) {
    // Only a library can be the origin: out of memory, or a fault of its own.
    std::fprintf(stderr, "alertstream: unexpected: %s\n", error.what());
    return static_cast<int>(alertstream::cli::ExitCode::kFailed);
  }
}

#include "ops/cli/command_line.h"

#include <iostream>
#include <string_view>

#include <fmt/format.h>

#include "api/docs/embedded.h"
#include "ops/cli/commands/about.h"
#include "ops/cli/commands/explain.h"
#include "ops/cli/commands/progress_file.h"
#include "ops/cli/commands/status.h"
#include "ops/cli/commands/tail.h"
#include "ops/cli/commands/topics.h"
#include "ops/cli/dev.h"
#include "ops/cli/runs.h"
#include "ops/cli/server_run.h"
#include "ops/cli/version.h"
#include "ops/cli/words.h"
#include "processor/base/duration.h"

namespace alertstream::cli {
namespace {

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

template <typename Enum>
CLI::Validator CheckedWord() {
  return CLI::Validator(
      [](const std::string& text) {
        const auto parsed = ParseWord<Enum>("not known", text);
        return parsed.ok() ? std::string() : parsed.error().message();
      },
      "");
}

}  // namespace

CommandLine::CommandLine()
    : app_("AlertStream: decides which notifications are sent, and proves it.") {
  app_.name("alertstream");
  app_.require_subcommand(0, 1);
  app_.fallthrough();
  app_.set_version_flag("--version", std::string(kVersion) + " (" + kGitHash + ")");
  app_.footer(
      "Example:\n  alertstream dev --seed demo\n"
      "  alertstream fire payment.failed --to +254700000001 --set amount=49 --set currency=USD "
      "--wait\n"
      "Exit codes: 0 ok, 1 failed, 2 usage, 3 configuration, 4 not found, 5 not allowed,\n"
      "6 conflict, 7 unreachable, 8 partly done, 9 mismatch, 10 warnings (doctor --strict),\n"
      "124 timeout, 130 interrupted.");
  AddGlobals();
  AddRun();
  AddLook();
  AddAuthor();
  AddComply();
  AddRepair();
  AddStandby();
  AddState();
  AddReplay();
  AddClient();
  AddProviders();
  AddProjections();
  AddKeys();
  AddUsers();
  AddNumbers();
  AddWebhook();
  AddNotifications();
  AddMigrate();
}

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

void CommandLine::AddNamedWord(CLI::App* app, const std::string& flag, const std::string& key,
                               const std::string& value, const std::string& help) {
  app->add_flag_function(
      flag, [this, key, value](std::int64_t) { arguments_.named[key] = value; }, help);
}

void CommandLine::AddNamedSwitch(CLI::App* app, const std::string& flag, const std::string& key,
                                 const std::string& help) {
  app->add_flag_function(
      flag, [this, key](std::int64_t) { arguments_.named[key] = "true"; }, help);
}

void CommandLine::AddGlobals() {
  app_.add_option("--config", arguments_.config, "settings file (TOML)");
  app_.add_option("--profile", arguments_.profile, "the part [profile.NAME] of the settings file");
  app_.add_option("--set", arguments_.set, "one setting: key=value; may be repeated")
      ->allow_extra_args(false);
  app_.add_option("-o,--output", arguments_.output, "text, wide, json, jsonl or csv");
  app_.add_option("--columns", arguments_.columns, "columns of a table: a,b")->delimiter(',');
  app_.add_option("--color", arguments_.color, "auto, always or never");
  app_.add_option("--time", arguments_.time, "times in text: utc, local or relative");
  app_.add_option("--actor", arguments_.actor, "who makes a change; $USER if not given");
  app_.add_flag("-q,--quiet", arguments_.quiet, "no hints on stderr");
  app_.add_flag("-v,--verbose", arguments_.verbose, "also log what the program does");
  AddNamed(&app_, "--data-dir", "data_dir", "local log, state and keys");
  AddNamed(&app_, "--log", "log", "local, or kafka://HOST:PORT");
  AddNamed(&app_, "--tenant", "tenant", "tenant of what names none");
  AddNamed(&app_, "--partitions", "partitions", "of every topic, when a log is created");
  AddNamed(&app_, "--log-level", "log_output.level", "debug, info, warning or error");
  AddNamed(&app_, "--log-format", "log_output.format", "text or json");
  AddNamed(&app_, "--timeout", "timeout",
           "how long to wait for an answer of the log, such as 30s; tail: for a new record");
  AddNamed(&app_, "--postgres", "postgres.url",
           "database of the read side, postgres://USER@HOST/NAME; without it dev's own");
  AddNamed(&app_, "--api-url", "api_url",
           "server that fire and other client commands talk to; without it the dev of --data-dir");
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

  AddDev();
  auto* target = Keep(std::string());
  CLI::App* serve = Add(&app_, "serve", "Run until SIGTERM",
                        "serve --target=all\n"
                        "  alertstream serve --target=processor --log kafka://127.0.0.1:9092\n"
                        "  alertstream serve --target=processor --standby --auto --instance two "
                        "--log kafka://127.0.0.1:9092",
                        [target](Program& program) { return RunServe(program, *target); });
  serve
      ->add_option("--target", *target, "what to run: processor, api, dispatcher, projector or all")
      ->required()
      ->check(Checked(ParseServerTarget));
  AddNamed(serve, "--partitions-owned", "runtime.assigned", "all, none, or such as 0-3,8");
  AddNamed(serve, "--port", "api.port", "of the API; 0: a free one");
  AddNamed(serve, "--metrics-port", "metrics.port", "of /metrics and /health; 0: a free one");
  AddNamedSwitch(serve, "--take-over", "take_over",
                 "start although another instance holds a live lease");
  AddNamedWord(serve, "--standby", "runtime.standby", "all",
               "follow the owned partitions instead, ready to take over (Kafka)");
  AddNamedSwitch(serve, "--auto", "runtime.auto_take_over",
                 "with --standby: take over when the owner's lease is stale");
  AddTopics();
  AddSeed();
}

void CommandLine::AddDev() {
  auto* values = Keep(DevArguments{});
  CLI::App* dev =
      Add(&app_, "dev", "All of it in one process, with a provider simulator, for trying out",
          "dev --seed demo        (then, in another terminal: alertstream fire ...)",
          [values](Program& program) { return RunDev(program, *values); });
  dev->add_option("--seed", values->seed, "what a new local log begins with: none or demo")
      ->check(CLI::IsMember({"none", "demo"}));
  dev->add_option("--rng-seed", values->rng_seed, "another one tells another story");
  dev->add_option("--provider-url", values->provider_url,
                  "a provider simulator elsewhere (alertstream providers simulate)");
  AddNamed(dev, "--port", "api.port", "of the API, 8080 if not given; 0: a free one");
  dev->add_flag("--reset", values->reset, "empty the data directory first");
  dev->add_flag("--yes", values->yes, "do not ask before --reset");
}

void CommandLine::AddTopics() {
  CLI::App* topics = Group("topics", "Create and check the topics of the log");
  Add(topics, "plan", "What apply would do", "topics plan --log kafka://127.0.0.1:9092",
      [](Program& program) -> Result<ExitCode> {
        ALERTSTREAM_ASSIGN_OR_RETURN(
            const auto log, OpenLog(program.settings(), program.clock(), LogAccess::kRead));
        return TopicsPlan(*log, PlanOf(program.settings()), AskTimeout(program.settings()),
                          program.io());
      });
  Add(topics, "apply", "Create what is missing, mend settings, write the markers",
      "topics apply --log kafka://127.0.0.1:9092 --partitions 8",
      [](Program& program) -> Result<ExitCode> {
        const Settings& settings = program.settings();
        ALERTSTREAM_ASSIGN_OR_RETURN(const Deployment deployment,
                                     OpenDeployment(settings, program.clock(), LogAccess::kCreate));
        return TopicsApply(*deployment.log, deployment.token_key, PlanOf(settings),
                           AskTimeout(settings), program.io());
      });
  Add(topics, "status", "Topics as they are, and what is wrong with them",
      "topics status --log kafka://127.0.0.1:9092", [](Program& program) -> Result<ExitCode> {
        ALERTSTREAM_ASSIGN_OR_RETURN(
            const auto log, OpenLog(program.settings(), program.clock(), LogAccess::kRead));
        return TopicsStatus(*log, AskTimeout(program.settings()), program.io());
      });
}

void CommandLine::AddLook() {
  Add(&app_, "status", "Partitions: owner, journal, lag", "status --data-dir .alertstream",
      [](Program& program) {
        return program.Read([&](const Session& session) {
          return ShowStatus(
              session,
              [&](std::int32_t partition) {
                return runtime::CrashMarker::Peek(
                    CrashMarkerPath(program.settings(), session.log, partition));
              },
              [&](std::int32_t partition) {
                return ReadProgress(ProgressPath(program.settings(), session.log, partition),
                                    session.clock.Now());
              });
        });
      });
  AddTail();
  auto* what = Keep(std::string());
  auto* past = Keep(PastArguments{});
  CLI::App* explain =
      Add(&app_, "explain", "Why something was or was not sent, gate by gate",
          "explain last        (or the beginning of an id: evt_, dec_, ntf_)\n"
          "  alertstream explain dec_01JD3J --at 2026-01-31T12:00:00Z",
          [what, past](Program& program) {
            return WithPast(program, *past, [&](const Session& session, const PastOptions& then) {
              return Explain(session, *what, then);
            });
          });
  explain->add_option("id", *what, "last, or an event, decision or notification")->required();
  AddPast(explain, past);
  AddTopic();
  auto* strict = Keep(false);
  Add(&app_, "doctor", "Check settings, log, rights, keys, clock and disk",
      "doctor --log kafka://127.0.0.1:9092",
      [strict](Program& program) { return RunDoctor(program, *strict); })
      ->add_flag("--strict", *strict, "exit 10 if there are warnings only");
  Add(&app_, "version", "Versions of the program, the engine and its libraries", "version -o json",
      [](Program& program) { return ShowVersion(program.io()); });
  Add(&app_, "openapi", "The description of the REST API (OpenAPI 3.1, JSON)",
      "openapi > openapi.json", [](Program& program) -> Result<ExitCode> {
        program.io().out << api::OpenApiJson() << "\n";
        return ExitCode::kOk;
      });
  auto* origin = Keep(false);
  CLI::App* config = Group("config", "The settings");
  Add(config, "show", "Every setting and its value", "config show --origin",
      [origin](Program& program) { return ShowConfig(program.settings(), *origin, program.io()); })
      ->add_flag("--origin", *origin, "also where each value comes from");
}

void CommandLine::AddTail() {
  auto* values = Keep(TailArguments{});
  CLI::App* tail =
      Add(&app_, "tail", "Show outputs as they are decided",
          "tail decisions --outcome suppress --since 10m\n"
          "  alertstream tail commands --from 2026-01-31T12:00:00Z --no-follow -o jsonl\n"
          "  alertstream tail journal --partition 0 --from 88213 --limit 5 --timeout 30s",
          [values](Program& program) { return RunTail(program, *values); });
  tail->add_option("what", values->what, "decisions, commands, facts, journal or dead-letters")
      ->required()
      ->check(Checked(TailTopic));
  auto* from = tail->add_option("--from", values->from,
                                "beginning, end, an offset of the topic, or a time (RFC 3339); "
                                "without it end, with --no-follow beginning");
  from->check(Checked(ParseTailFrom));
  tail->add_option("--since", values->since, "from so long ago: 10m, 2h, 7d")
      ->check(Checked(ParseDuration))
      ->excludes(from);
  tail->add_option("--partition", values->partition, "one of them; without it all")
      ->check(CLI::NonNegativeNumber);
  tail->add_option("--trigger", values->trigger, "decisions and commands of this trigger");
  tail->add_option("--channel", values->channel, "decisions and commands of this channel: sms, ...")
      ->check(CheckedWord<v1::Channel>());
  tail->add_option("--outcome", values->outcome, "decisions: send, defer, suppress or fail")
      ->check(CheckedWord<v1::Outcome>());
  tail->add_option("--reason", values->reason,
                   "decisions and dead letters: the word of the reason");
  tail->add_flag("--no-follow", values->no_follow, "stop at the end");
  tail->add_option("-n,--limit", values->count, "stop after so many");
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
  dump->add_option("-n,--limit", values->count, "stop after so many");
  dump->add_flag("--show-personal", values->personal, "addresses and texts as they are");
  Add(topic, "stats", "End offsets and last times", "topic stats", [](Program& program) {
    return program.Read([](const Session& session) { return TopicStats(session); });
  });
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

}  // namespace alertstream::cli

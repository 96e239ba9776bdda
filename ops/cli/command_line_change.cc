// The commands that change something, or prove it: rules, events, consent, opt-outs, repair.
#include <fstream>
#include <sstream>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "ops/cli/command_line.h"
#include "ops/cli/commands/dead_letters.h"
#include "ops/cli/commands/explain.h"
#include "ops/cli/commands/people.h"
#include "ops/cli/commands/redrive.h"
#include "ops/cli/commands/rules.h"
#include "ops/cli/runs.h"
#include "ops/cli/seed_command.h"
#include "ops/cli/words.h"
#include "processor/base/duration.h"
#include "processor/base/id.h"

namespace alertstream::cli {

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
  auto* rows = Keep(kListRowsMax);
  Add(triggers, "list", "Triggers in force", "triggers list -o wide", [rows](Program& program) {
    return program.Read([&](const Session& session) { return TriggersList(session, *rows); });
  })->add_option("--limit", *rows, "rows");

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
  Add(engine, "activate", "Put an engine version in force on every partition", "engine activate 1",
      [version](Program& program) -> Result<ExitCode> {
        if (const Status known = CheckEngineVersion(*version); !known.ok()) {
          return program.Refuse(known.error(), ExitCode::kUsage,
                                "alertstream engine activate --help");
        }
        return program.Write(LogAccess::kWrite, false, [&](const Session& session) {
          return EngineActivate(session, *version);
        });
      })
      ->add_option("version", *version,
                   "above the one in force, and known to this program (alertstream version)")
      ->required();
}

void CommandLine::AddSeed() {
  CLI::App* group = Group("seed", "Fill a new data directory");
  auto* values = Keep(SeedArguments{});
  CLI::App* demo = Add(group, "demo", "Days of a made-up shop, decided as they would have been",
                       "seed demo --data-dir .alertstream",
                       [values](Program& program) { return RunSeedDemo(program, *values); });
  demo->add_option("--days", values->days, "how many, up to now")
      ->check(CLI::Range(1, seed::kDaysMax));
  demo->add_option("--rng-seed", values->rng_seed, "another one tells another story");
}

void CommandLine::AddComply() {
  AddConsent();
  AddOptOut();
  AddAudit();
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
  auto* past = Keep(PastArguments{});
  CLI::App* show =
      Add(consent, "show", "What is in force for a person",
          "consent show +254700000001 --tenant acme\n"
          "  alertstream consent show +254700000001 --tenant acme --at 2026-01-31T12:00:00Z",
          [values, past](Program& program) {
            return WithPast(program, *past, [&](const Session& session, const PastOptions& then) {
              return ShowConsent(session, values->address, then);
            });
          });
  show->add_option("phone", values->address, "the person, +254...")->required();
  AddPast(show, past);
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
  auto* rows = Keep(kListRowsMax);
  Add(optout, "list", "Everybody who is opted out", "optout list --tenant acme",
      [rows](Program& program) {
        return program.Read([&](const Session& session) { return ListOptOuts(session, *rows); });
      })
      ->add_option("--limit", *rows, "rows");
}

namespace {

// The filters of the dlq commands, as they are given.
struct FilterWords {
  std::string stage;
  std::string reason;
  std::string status;
  std::string message_class;
  std::string type;
  std::string older_than;
  std::string newer_than;
};

void AddFilters(CLI::App* app, FilterWords* words) {
  app->add_option("--stage", words->stage, "where it died: decode, schema, tenant, ...");
  app->add_option("--cause", words->reason, "why: malformed_json, site_not_active, ...");
  app->add_option("--status", words->status,
                  "open, retried, resolved, failed_again, dropped or purged");
  app->add_option("--class", words->message_class, "message class that the record names");
  app->add_option("--type", words->type, "event type");
  app->add_option("--older-than", words->older_than, "died at least so long ago: 2h, 7d");
  app->add_option("--newer-than", words->newer_than, "died less than so long ago");
}

Status ReadDuration(const std::string& text, std::optional<LogDuration>* duration) {
  if (!text.empty()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(*duration, ParseDuration(text));
  }
  return Status::Ok();
}

template <typename Enum>
Status ReadWord(std::string_view option, const std::string& text, std::optional<Enum>* word) {
  if (!text.empty()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(*word, ParseWord<Enum>(option, text));
  }
  return Status::Ok();
}

Result<LetterFilters> FiltersOf(const FilterWords& words) {
  LetterFilters filters;
  ALERTSTREAM_RETURN_IF_ERROR(ReadWord("--stage", words.stage, &filters.stage));
  ALERTSTREAM_RETURN_IF_ERROR(ReadWord("--cause", words.reason, &filters.reason));
  ALERTSTREAM_RETURN_IF_ERROR(ReadWord("--status", words.status, &filters.status));
  ALERTSTREAM_RETURN_IF_ERROR(ReadWord("--class", words.message_class, &filters.message_class));
  ALERTSTREAM_RETURN_IF_ERROR(ReadDuration(words.older_than, &filters.older_than));
  ALERTSTREAM_RETURN_IF_ERROR(ReadDuration(words.newer_than, &filters.newer_than));
  filters.type = words.type;
  return filters;
}

struct RedriveWords {
  FilterWords filters;
  std::vector<std::string> ids;
  std::string max_age = "24h";
  RedriveOptions options;
};

void AddRedrive(CLI::App* app, RedriveWords* words) {
  app->add_option("ids", words->ids, "whole ids, dlq_...");
  AddFilters(app, &words->filters);
  app->add_flag("--all", words->options.all, "all of them, or of --tenant");
  app->add_flag("--force", words->options.forced,
                "also what was acted on before; retry: what ended the process");
  app->add_flag("--dry-run", words->options.dry_run, "only say what would be done");
  app->add_option("--rate", words->options.rate, "at most so many a second")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{100'000}));
  app->add_option("--reason", words->options.reason, "for the audit trail")->required();
}

Result<RedriveOptions> OptionsOf(const RedriveWords& words) {
  RedriveOptions options = words.options;
  ALERTSTREAM_ASSIGN_OR_RETURN(options.filters, FiltersOf(words.filters));
  options.filters.ids = words.ids;
  ALERTSTREAM_ASSIGN_OR_RETURN(options.max_age, ParseDuration(words.max_age));
  return options;
}

// Runs a command with what its words say, or says what is wrong with them.
template <typename Run>
Result<ExitCode> WithFilters(Program& program, const FilterWords& words, const Run& run) {
  const auto filters = FiltersOf(words);
  if (!filters.ok()) {
    return program.Refuse(filters.error(), ExitCode::kUsage, "alertstream dlq list --help");
  }
  return run(filters.value());
}

template <typename Run>
Result<ExitCode> WithOptions(Program& program, const RedriveWords& words, const Run& run) {
  auto options = OptionsOf(words);
  if (options.ok() && options.value().filters.empty() && !options.value().all) {
    options = Error(ErrorCode::kInvalid, "name dead letters, or a filter, or --all");
  }
  if (!options.ok()) {
    return program.Refuse(options.error(), ExitCode::kUsage, "alertstream dlq retry --help");
  }
  return run(options.value());
}

// "" for no name.
Result<std::string> ReadWhole(const std::string& path) {
  if (path.empty()) {
    return std::string();
  }
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  if (!file.good()) {
    return Error(ErrorCode::kNotFound, fmt::format("{}: cannot be read", path));
  }
  return std::move(bytes).str();
}

}  // namespace

void CommandLine::AddRepair() {
  CLI::App* dlq = Group("dlq", "Records that could not be decided");
  AddDeadLetterLists(dlq);
  AddRedrives(dlq);
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
            return program.Append(
                [&](const Session& session) { return SkipRecord(session, record, skip->reason); });
          });
  skip_app->add_option("record", skip->record, "TOPIC/PARTITION/OFFSET")
      ->required()
      ->check(Checked(ParsePosition));
  skip_app->add_option("--reason", skip->reason, "for the audit trail")->required();
}

void CommandLine::AddDeadLetterLists(CLI::App* dlq) {
  constexpr std::size_t kRows = 50;
  struct List {
    FilterWords filters;
    std::size_t limit = kRows;
    bool original = false;
    std::string id;
  };
  auto* list = Keep(List{});
  CLI::App* list_app =
      Add(dlq, "list", "The newest dead letters",
          "dlq list --status open --older-than 1h --limit 100", [list](Program& program) {
            return WithFilters(program, list->filters, [&](const LetterFilters& filters) {
              return program.Read([&](const Session& session) {
                return ListDeadLetters(session, filters, list->limit);
              });
            });
          });
  AddFilters(list_app, &list->filters);
  list_app->add_option("--limit", list->limit, "rows");
  auto* stats = Keep(List{});
  CLI::App* stats_app =
      Add(dlq, "stats", "How many, by tenant, status, stage and reason", "dlq stats --tenant acme",
          [stats](Program& program) {
            return WithFilters(program, stats->filters, [&](const LetterFilters& filters) {
              return program.Read(
                  [&](const Session& session) { return CountDeadLetters(session, filters); });
            });
          });
  AddFilters(stats_app, &stats->filters);
  auto* exported = Keep(List{});
  CLI::App* export_app =
      Add(dlq, "export", "Dead letters as JSON lines",
          "dlq export --status open --show-original > letters.jsonl", [exported](Program& program) {
            return WithFilters(program, exported->filters, [&](const LetterFilters& filters) {
              return program.Read([&](const Session& session) {
                return ExportDeadLetters(session, filters, exported->original);
              });
            });
          });
  AddFilters(export_app, &exported->filters);
  export_app->add_flag(
      "--show-original", exported->original,
      "also what is about people, and the bytes, in hexadecimal; not what was purged");
  auto* show = Keep(List{});
  CLI::App* show_app = Add(dlq, "show", "One dead letter, decoded as far as it can be",
                           "dlq show dlq_01JD3J", [show](Program& program) {
                             return program.Read([&](const Session& session) {
                               return ShowDeadLetter(session, show->id, show->original);
                             });
                           });
  show_app->add_option("id", show->id, "the beginning of its id, or last")->required();
  show_app->add_flag("--show-original", show->original,
                     "also what is about people, and the bytes, in hexadecimal");
}

void CommandLine::AddRedrives(CLI::App* dlq) {
  auto* retry = Keep(RedriveWords{});
  CLI::App* retry_app =
      Add(dlq, "retry", "Append records again as they were, or ask for a notification again",
          "dlq retry --cause site_not_active --rate 200 --reason 'the site is back'",
          [retry](Program& program) {
            return WithOptions(program, *retry, [&](const RedriveOptions& options) {
              return program.Write(LogAccess::kWrite, true, [&](const Session& session) {
                const auto& ids = options.filters.ids;
                return ids.size() == 1 && KindOf(ids[0]) == IdKind::kNotification
                           ? RetryNotification(session, ids[0], options.forced, options.reason)
                           : RetryDeadLetters(session, options);
              });
            });
          });
  AddRedrive(retry_app, retry);
  retry_app->add_option("--max-age", retry->max_age, "events that happened before are left out");
  retry_app->add_flag("--include-expired", retry->options.include_expired,
                      "also events older than that; triggers decide whether they expire");
  for (const auto& [name, kind, help] :
       {std::tuple("drop", v1::DEAD_LETTER_ACTION_KIND_DROP, "Say that nothing will be done"),
        std::tuple("purge", v1::DEAD_LETTER_ACTION_KIND_PURGE,
                   "As drop, for good; the read side forgets their bytes, and their retries'")}) {
    auto* words = Keep(RedriveWords{});
    CLI::App* app =
        Add(dlq, name, help, fmt::format("dlq {} --older-than 30d --reason 'known, case 17'", name),
            [words, kind = kind](Program& program) {
              return WithOptions(program, *words, [&](const RedriveOptions& options) {
                return program.Write(LogAccess::kWrite, true, [&](const Session& session) {
                  return ChangeDeadLetters(session, kind, options);
                });
              });
            });
    AddRedrive(app, words);
  }
  struct Edit {
    EditOptions options;
    std::string value_file;
    std::string data_file;
  };
  auto* edit = Keep(Edit{});
  CLI::App* edit_app =
      Add(dlq, "edit", "Append a changed copy of a record",
          "dlq edit dlq_01JD3J --data fixed.json --reason 'the phone was misspelt'",
          [edit](Program& program) -> Result<ExitCode> {
            ALERTSTREAM_ASSIGN_OR_RETURN(edit->options.value, ReadWhole(edit->value_file));
            ALERTSTREAM_ASSIGN_OR_RETURN(edit->options.data, ReadWhole(edit->data_file));
            return program.Write(LogAccess::kWrite, true, [&](const Session& session) {
              return EditDeadLetter(session, edit->options);
            });
          });
  edit_app->add_option("id", edit->options.id, "the beginning of its id, or last")->required();
  edit_app->add_option("--value", edit->value_file, "file with the whole new value");
  edit_app->add_option("--data", edit->data_file, "file with the event's new data, JSON");
  edit_app->add_option("--site", edit->options.site, "the event's new website");
  edit_app->add_option("--type", edit->options.type, "the event's new type");
  edit_app->add_flag("--force", edit->options.forced,
                     "also if it was acted on before, or ended the process");
  edit_app->add_option("--reason", edit->options.reason, "for the audit trail")->required();
}

}  // namespace alertstream::cli

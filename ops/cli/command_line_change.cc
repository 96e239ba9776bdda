// The commands that change something, or prove it: rules, events, consent, opt-outs, repair.
#include <utility>

#include <fmt/format.h>

#include "ops/cli/command_line.h"
#include "ops/cli/commands/audit.h"
#include "ops/cli/commands/dead_letters.h"
#include "ops/cli/commands/explain.h"
#include "ops/cli/commands/people.h"
#include "ops/cli/commands/rules.h"
#include "ops/cli/runs.h"
#include "ops/cli/seed_command.h"
#include "ops/cli/words.h"

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
            return program.Append(
                [&](const Session& session) { return SkipRecord(session, record, skip->reason); });
          });
  skip_app->add_option("record", skip->record, "TOPIC/PARTITION/OFFSET")
      ->required()
      ->check(Checked(ParsePosition));
  skip_app->add_option("--reason", skip->reason, "for the audit trail")->required();
}

}  // namespace alertstream::cli

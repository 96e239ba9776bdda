// The commands about states: who owns them, what they hold, what they held.
#include <utility>

#include "ops/cli/command_line.h"
#include "ops/cli/commands/dead_letters.h"
#include "ops/cli/commands/replay.h"
#include "ops/cli/commands/state.h"
#include "ops/cli/commands/take_over.h"
#include "processor/base/rfc3339.h"

namespace alertstream::cli {
namespace {

// A partition below a directory that `replay run` filled.
std::string Below(const std::string& directory, std::int32_t partition) {
  return directory + "/" + std::to_string(partition);
}

}  // namespace

void CommandLine::AddStandby() {
  struct Values {
    std::int32_t partition = -1;
    bool all = false;
    std::string to;
  };
  auto* values = Keep(Values{});
  CLI::App* processor = Group("processor", "Who works on which partition");
  CLI::App* app = Add(
      processor, "takeover", "Order an instance that stands by to own partitions",
      "processor takeover --partition 3 --to two --log kafka://127.0.0.1:9092",
      [values](Program& program) -> Result<ExitCode> {
        if (values->all == (values->partition >= 0)) {
          return program.Refuse(Error(ErrorCode::kInvalid, "give either --partition N or --all"),
                                ExitCode::kUsage, "alertstream processor takeover --help");
        }
        TakeOverOptions options{.partitions = {}, .to = values->to};
        if (!values->all) {
          options.partitions.push_back(values->partition);
        }
        return program.Read([&](const Session& session) { return TakeOver(session, options); });
      });
  app->add_option("--partition", values->partition, "one of them")->check(CLI::NonNegativeNumber);
  app->add_flag("--all", values->all, "every partition of the log");
  app->add_option("--to", values->to, "the instance; not needed where only one stands by");
}

void CommandLine::AddState() {
  auto* values = Keep(StateDiffOptions{});
  CLI::App* state = Group("state", "What partitions remember, as it lies in directories");
  CLI::App* app = Add(state, "diff", "Compare two states to the key; nothing is written",
                      "state diff .alertstream/state /tmp/replayed", [values](Program& program) {
                        return StateDiff(program.io(), *values, OpenStateDirectory);
                      });
  app->add_option("left", values->left, "a partition's state, or a directory of them")->required();
  app->add_option("right", values->right, "what it is compared with")->required();
  app->add_option("--limit", values->rows_max, "differing keys that are shown");
}

void CommandLine::AddReplay() {
  struct Values {
    std::string directory;
    std::string at;
    std::string position;
    std::int32_t partition = -1;
  };
  auto* values = Keep(Values{});
  CLI::App* replay = Group("replay", "History decided again; nothing is sent");
  CLI::App* app =
      Add(replay, "run", "Make the state as it was, from the log",
          "replay run --to-state /tmp/then --at 2026-01-31T12:00:00Z",
          [values](Program& program) -> Result<ExitCode> {
            ReplayRunOptions options{.directory = values->directory, .partition = {}, .until = {}};
            if (values->partition >= 0) {
              options.partition = values->partition;
            }
            if (!values->at.empty()) {
              ALERTSTREAM_ASSIGN_OR_RETURN(options.until.at, ParseRfc3339(values->at));
            }
            if (!values->position.empty()) {
              ALERTSTREAM_ASSIGN_OR_RETURN(const v1::Position position,
                                           ParsePosition(values->position));
              if (position.topic() != static_cast<std::uint32_t>(schemas::Topic::kJournal)) {
                return program.Refuse(Error(ErrorCode::kInvalid,
                                            "--position: expected a place in the journal, such as "
                                            "journal/3/88213"),
                                      ExitCode::kUsage, "alertstream replay run --help");
              }
              options.partition = static_cast<std::int32_t>(position.partition());
              options.until.position = position.offset();
            }
            return program.Read([&](const Session& session) {
              return ReplayRun(session, options, [&](std::int32_t partition) {
                return OpenStateFor(values->directory, partition);
              });
            });
          });
  app->add_option("--to-state", values->directory,
                  "directory for the states; goes on from what it holds")
      ->required();
  auto* at = app->add_option("--at", values->at, "up to this time (RFC 3339)");
  at->check(Checked(ParseRfc3339));
  app->add_option("--position", values->position, "up to this record: journal/PARTITION/OFFSET")
      ->check(Checked(ParsePosition))
      ->excludes(at);
  app->add_option("--partition", values->partition, "one of them; without it all")
      ->check(CLI::NonNegativeNumber);
}

void CommandLine::AddPast(CLI::App* app, PastArguments* values) {
  app->add_option("--at", values->at,
                  "as it was at this time (RFC 3339); history is replayed up to it")
      ->check(Checked(ParseRfc3339));
  app->add_option("--state", values->state,
                  "read what `replay run --to-state` made instead of replaying");
}

Result<ExitCode> CommandLine::WithPast(
    Program& program, const PastArguments& values,
    const std::function<Result<ExitCode>(const Session& session, const PastOptions& past)>& body) {
  PastOptions past;
  if (!values.at.empty()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(past.at, ParseRfc3339(values.at));
  }
  if (!values.state.empty()) {
    past.open_replayed = [&](std::int32_t partition) {
      return OpenStateDirectory(Below(values.state, partition));
    };
  }
  std::unique_ptr<ScratchStores> scratch;
  if (past.at && values.state.empty()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(scratch, ScratchStores::Create());
    past.open_scratch = [&](std::int32_t partition) { return scratch->Open(partition); };
  }
  return program.Read([&](const Session& session) { return body(session, past); });
}

}  // namespace alertstream::cli

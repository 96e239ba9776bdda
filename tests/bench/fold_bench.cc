// The whole processor on the local log without fsync, RocksDB state included: events decided a
// CPU-second, the same history decided again by the audit, and the time to the first decision
// after a kill -9. Baseline of the same run: parsing the same events. What each stage prints is
// said in README.md.
//
// Each stage is a process of its own, so that memory and start are those of a real one.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "processor/base/clock.h"
#include "processor/engine/state_keys.h"
#include "processor/log/local/local_log.h"
#include "processor/runtime/identity.h"
#include "processor/runtime/replayer.h"
#include "processor/state/rocksdb/rocksdb_store.h"
#include "schemas/envelope.pb.h"
#include "schemas/json.h"
#include "tests/bench/deciders.h"
#include "tests/bench/workload.h"

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX leaves it to us.

namespace alertstream::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::int32_t kPartitions = 4;
// One partition at a time.
constexpr std::size_t kAuditBytes = std::size_t{192} << 20;
// What is decided before the kill: several flushes of the state, and some of it unflushed.
constexpr std::uint64_t kCrashEvents = 50'000;

struct Settings {
  std::string directory;
  std::string stage;
  std::uint64_t events = 600'000;
  std::int64_t began_us = 0;  // Of the process, by the parent's clock.
  // Of the stage soak.
  double minutes = 10;
  std::size_t resident_max_mb = 0;  // More fails; 0: whatever it is.
  WorkloadSize size;
};

std::unique_ptr<log::EventLog> OpenLog(const Settings& settings) {
  return Must(log::OpenLocalLog(
      {.directory = settings.directory + "/log", .clock = SystemClock(), .sync = false}));
}

// Events before those that are measured: one for each person.
std::uint64_t Warming(const Settings& settings) {
  return std::uint64_t{settings.size.tenants} * settings.size.recipients;
}

void Prepare(const Settings& settings) {
  const auto log = OpenLog(settings);
  MakeTopics(*log, kPartitions);
  Deciders deciders(*log, settings.directory);
  const Stopwatch watch;
  const Decided consents = deciders.ApplyRules(settings.size);
  fmt::print("prepared   {} consents granted in {:.1f} CPU s\n", consents.inputs, watch.cpu());
  AppendEvents(*log, settings.size, 0, Warming(settings) + settings.events);
  WaitForQuiet();
}

// CPU seconds of parsing the events of the stage and their JSON, and nothing else.
double ParseAll(const Settings& settings) {
  constexpr std::uint64_t kDistinct = 10'000;
  std::vector<std::string> values;
  for (std::uint64_t i = 0; i < kDistinct; ++i) {
    values.push_back(EventRecord(settings.size, i, 1).value);
  }
  v1::Envelope envelope;
  schemas::JsonDocument document;
  const Stopwatch watch;
  for (std::uint64_t i = 0; i < settings.events; ++i) {
    const std::string& value = values[i % kDistinct];
    if (!envelope.ParseFromString(value)) {
      Die("an event does not parse");
    }
    Must(document.Parse(envelope.site_event().data().plain()));
  }
  return watch.cpu();
}

void Decide(const Settings& settings) {
  const double parsing = ParseAll(settings);
  const auto log = OpenLog(settings);
  Deciders deciders(*log, settings.directory);
  WaitForQuiet();
  ResetRssPeak();
  const Stopwatch cold;
  const std::uint64_t first = deciders.Drain(Warming(settings)).sends;
  fmt::print("cold       {} events, {:.0f} a CPU-second: everybody is met for the first time\n",
             first, static_cast<double>(first) / cold.cpu());
  WaitForQuiet();
  const Stopwatch watch;
  const Decided decided = deciders.Drain();
  const double deciding = watch.wall();
  deciders.Flush();
  const double cpu = watch.cpu();
  if (first + decided.sends != Warming(settings) + settings.events) {
    Die(fmt::format("{} messages were commanded for {} events", first + decided.sends,
                    Warming(settings) + settings.events));
  }
  const auto events = static_cast<double>(decided.sends);
  fmt::print(
      "live       {} events, {} outputs in {} batches, {:.2f} s wall, {:.2f} CPU s\n"
      "           {:.0f} events a CPU-second, {:.1f} times the CPU time of parsing alone\n"
      "           commit p50 {:.1f} ms, p99 {:.1f} ms; resident at most {} MiB\n",
      decided.sends, decided.outputs, decided.commit_ms.size(), deciding, cpu, events / cpu,
      cpu / parsing, Percentile(decided.commit_ms, 0.5), Percentile(decided.commit_ms, 0.99),
      RssPeakBytes() >> 20);
  std::ofstream(settings.directory + "/live_rate") << events / cpu;
}

// The events' part of the history of one partition, decided again; CPU seconds.
double AuditPartition(log::EventLog& log, std::int32_t partition, const std::string& scratch,
                      const std::shared_ptr<state::StoreMemory>& memory, std::uint64_t* events) {
  constexpr std::size_t kSiteEvents = schemas::kInputTopicCount - 1;
  const auto identity = Must(runtime::CheckMarkers(log, TokenKey(), partition, kTimeout));
  const auto store = Must(state::OpenRocksDbStore(scratch, engine::IsHistoryKey, memory));
  const auto state = Must(runtime::PartitionState::Open(
      {.log_id = identity.log_id,
       .fold = {.token_key = TokenKey(), .partition = partition, .partitions = kPartitions},
       .cache_bytes = kAuditBytes,
       .scratch = true},
      *store));
  const auto replayer = Must(runtime::Replayer::Open(log, *state, {.check_outputs = true}));
  std::optional<Stopwatch> watch;
  std::int64_t first = 0;
  Must(replayer->CatchUp([&](std::int64_t, std::int64_t) {
    const std::int64_t position = state->positions()[kSiteEvents];
    if (!watch && position > 1) {  // The first event follows the marker.
      WaitForQuiet();
      watch.emplace();
      first = position;
    }
  }));
  *events += static_cast<std::uint64_t>(state->positions()[kSiteEvents] - first);
  return watch ? watch->cpu() : 0;
}

void Audit(const Settings& settings) {
  const auto log = OpenLog(settings);
  const auto memory = state::StoreMemory::Create(kStoreBytes);
  const Stopwatch watch;
  ResetRssPeak();
  double cpu = 0;
  std::uint64_t events = 0;
  for (std::int32_t i = 0; i < kPartitions; ++i) {
    const std::string scratch = settings.directory + "/scratch";
    cpu += AuditPartition(*log, i, scratch, memory, &events);
    fs::remove_all(scratch);
  }
  double live = 0;
  std::ifstream(settings.directory + "/live_rate") >> live;
  const double rate = static_cast<double>(events) / cpu;
  fmt::print(
      "audit      {} events again, {:.0f} a CPU-second, {:.2f} of the live rate; whole history "
      "{:.1f} CPU s; resident at most {} MiB\n",
      events, rate, rate / live, watch.cpu(), RssPeakBytes() >> 20);
}

// Decides some more and dies with a part of the state unwritten.
void Crash(const Settings& settings) {
  const auto log = OpenLog(settings);
  Deciders deciders(*log, settings.directory);
  AppendEvents(*log, settings.size, Warming(settings) + settings.events, 2 * kCrashEvents);
  static_cast<void>(deciders.Drain(kCrashEvents));
  std::raise(SIGKILL);
}

void Restart(const Settings& settings) {
  const auto log = OpenLog(settings);
  const auto seconds = [&] {
    return static_cast<double>(SystemClock().SinceBoot().count() - settings.began_us) / 1e6;
  };
  const double opened = seconds();
  Deciders deciders(*log, settings.directory);
  if (deciders.Drain(1).sends == 0) {
    Die("nothing was left to decide after the kill");
  }
  const double decided = seconds();
  fmt::print(
      "restart    after kill -9 with {} recipients: log open after {:.2f} s, first new "
      "decision after {:.2f} s (of the last of {} partitions)\n",
      std::uint64_t{settings.size.tenants} * settings.size.recipients, opened, decided,
      kPartitions);
}

// Decides without a pause for a while, a round of everybody after the other. Takes about 1 GB of
// disk a minute. False: more memory than it may was resident after a round.
bool Soak(const Settings& settings) {
  const auto log = OpenLog(settings);
  MakeTopics(*log, kPartitions);
  Deciders deciders(*log, settings.directory);
  static_cast<void>(deciders.ApplyRules(settings.size));
  ResetRssPeak();
  const std::uint64_t round = Warming(settings);
  const Stopwatch watch;
  for (std::uint64_t decided = 0; watch.wall() < settings.minutes * 60; decided += round) {
    AppendEvents(*log, settings.size, decided, round);
    const Stopwatch deciding;
    const std::uint64_t outputs = deciders.Drain().outputs;
    fmt::print(
        "soak       {:.1f} min: {} events, {} outputs, {:.0f} events a CPU-second; resident "
        "{} MiB, at most {} MiB\n",
        watch.wall() / 60, round, outputs, static_cast<double>(round) / deciding.cpu(),
        RssBytes() >> 20, RssPeakBytes() >> 20);
    static_cast<void>(std::fflush(stdout));
    if (settings.resident_max_mb > 0 && RssBytes() > settings.resident_max_mb * 1'000'000) {
      fmt::print(stderr, "more than {} MB are resident\n", settings.resident_max_mb);
      return false;
    }
  }
  return true;
}

// Runs a stage in a process of its own; returns how it ended.
int Spawn(const char* program, const Settings& settings, const std::string& stage) {
  std::vector<std::string> words = {
      program,
      "--dir=" + settings.directory,
      "--stage=" + stage,
      fmt::format("--events={}", settings.events),
      fmt::format("--tenants={}", settings.size.tenants),
      fmt::format("--recipients={}", settings.size.recipients),
      fmt::format("--began-us={}", SystemClock().SinceBoot().count())};
  std::vector<char*> arguments;
  for (auto& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  pid_t child = 0;
  int status = 0;
  if (posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, arguments.data(), environ) != 0 ||
      waitpid(child, &status, 0) != child) {
    Die("stage " + stage + " cannot be started");
  }
  return status;
}

using Stage = void (*)(const Settings&);
struct NamedStage {
  const char* name;
  Stage run;
};
// In their order; a stage builds on what those before it left in the directory.
constexpr NamedStage kStages[] = {{"prepare", Prepare},
                                  {"decide", Decide},
                                  {"audit", Audit},
                                  {"crash", Crash},
                                  {"restart", Restart}};

// Each stage, in a process of its own. False: one failed.
bool RunAll(const char* program, const Settings& settings) {
  return std::all_of(std::begin(kStages), std::end(kStages), [&](const NamedStage& stage) {
    const int status = Spawn(program, settings, stage.name);
    const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    const bool is_well = stage.run == Crash ? killed : status == 0;
    if (!is_well) {
      fmt::print(stderr, "stage {} failed\n", stage.name);
    }
    return is_well;
  });
}

// False: something failed.
bool Run(const char* program, Settings settings) {
  const bool is_soak = settings.stage == "soak";  // Only when asked for.
  if (!settings.stage.empty() && !is_soak) {
    const auto stage = std::find_if(std::begin(kStages), std::end(kStages),
                                    [&](const auto& each) { return settings.stage == each.name; });
    if (stage == std::end(kStages)) {
      Die("no stage is called " + settings.stage);
    }
    stage->run(settings);
    return true;
  }
  const bool is_temporary = settings.directory.empty();
  if (is_temporary) {
    settings.directory = (fs::temp_directory_path() / "alertstream-bench-XXXXXX").string();
    if (mkdtemp(settings.directory.data()) == nullptr) {
      Die("no temporary directory can be made");
    }
  }
  const bool is_well = is_soak ? Soak(settings) : RunAll(program, settings);
  if (is_temporary) {
    fs::remove_all(settings.directory);
  }
  return is_well;
}

std::optional<std::string> ValueOf(std::string_view word, std::string_view option) {
  if (!word.starts_with(option)) {
    return std::nullopt;
  }
  return std::string(word.substr(option.size()));
}

}  // namespace
}  // namespace alertstream::bench

int main(int argc, char** argv) {
  using alertstream::bench::ValueOf;
  alertstream::bench::Settings settings;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (const auto directory = ValueOf(word, "--dir=")) {
      settings.directory = *directory;
    } else if (const auto stage = ValueOf(word, "--stage=")) {
      settings.stage = *stage;
    } else if (const auto events = ValueOf(word, "--events=")) {
      settings.events = std::stoull(*events);
    } else if (const auto minutes = ValueOf(word, "--minutes=")) {
      settings.minutes = std::stod(*minutes);
    } else if (const auto resident = ValueOf(word, "--resident-max-mb=")) {
      settings.resident_max_mb = std::stoul(*resident);
    } else if (const auto tenants = ValueOf(word, "--tenants=")) {
      settings.size.tenants = static_cast<std::uint32_t>(std::stoul(*tenants));
    } else if (const auto recipients = ValueOf(word, "--recipients=")) {
      settings.size.recipients = static_cast<std::uint32_t>(std::stoul(*recipients));
    } else if (const auto began = ValueOf(word, "--began-us=")) {
      settings.began_us = std::stoll(*began);
    } else {
      fmt::print(stderr,
                 "usage: alertstream_fold_bench [--dir=DIR] [--stage=prepare|decide|audit|crash|"
                 "restart|soak] [--minutes=N] [--resident-max-mb=N] [--events=N] [--tenants=N] "
                 "[--recipients=N]\n");
      return 2;
    }
  }
  return alertstream::bench::Run(argv[0], settings) ? 0 : 1;
}

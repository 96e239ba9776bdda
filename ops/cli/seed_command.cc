#include "ops/cli/seed_command.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <ostream>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "ops/cli/json_object.h"
#include "ops/seed/seeding_mark.h"
#include "processor/state/memory/memory_store.h"

namespace alertstream::cli {
namespace {

double RateOf(std::size_t events, double seconds) {
  return seconds > 0 ? static_cast<double>(events) / seconds : 0;
}

// The log of the settings, and stores as a processor that owns it would open them.
Result<seed::FreshLog> OpenFresh(const Settings& settings, Clock& clock) {
  ALERTSTREAM_ASSIGN_OR_RETURN(auto deployment, OpenDeployment(settings, clock, LogAccess::kSeed));
  ALERTSTREAM_ASSIGN_OR_RETURN(
      auto processor,
      MakeProcessorOptions(settings, deployment, {.instance = "seed", .assigned = "all"}));
  return seed::FreshLog{.log = std::move(deployment.log),
                        .identity = deployment.identity,
                        .token_key = deployment.token_key,
                        .scratch = std::make_unique<state::MemoryStore>(),
                        .open_store = std::move(processor.open_store)};
}

std::string ReportJson(const seed::SeedReport& report) {
  JsonObject object;
  object.Integer("events", static_cast<std::int64_t>(report.events));
  object.Integer("decisions", static_cast<std::int64_t>(report.decisions));
  object.Integer("notifications", static_cast<std::int64_t>(report.notifications));
  object.Integer("days", report.days);
  object.Number("seconds", report.seconds);
  return object.Take();
}

}  // namespace

Result<seed::SeedReport> SeedDataDir(const Settings& settings, Clock& clock,
                                     const SeedArguments& arguments, std::ostream* err) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const LogTarget target,
                               ParseLogTarget(settings.Text(Setting::kLog)));
  if (target.kafka) {
    return Error(ErrorCode::kInvalid,
                 "log: the demo's history goes into a local log only; its times are not now");
  }
  const std::string& data_dir = settings.Text(Setting::kDataDir);
  ALERTSTREAM_RETURN_IF_ERROR(seed::CheckNotSeeding(data_dir));
  std::error_code error;
  if (std::filesystem::exists(std::filesystem::path(data_dir) / "log", error)) {
    return Error(ErrorCode::kConflict,
                 fmt::format("there is a log in {} already; the demo's history goes into a new "
                             "data directory only",
                             data_dir));
  }
  seed::SeedOptions options{
      .data_dir = data_dir,
      .open = [&](Clock& simulated) { return OpenFresh(settings, simulated); },
      .clock = clock,
      .rng_seed = arguments.rng_seed,
      .days = arguments.days,
      .events_min = seed::kEventsDefault * static_cast<std::size_t>(std::max(arguments.days, 0)) /
                    seed::kDaysDefault};
  if (err != nullptr) {
    options.on_progress = [&](const seed::SeedProgress& progress) {
      *err << fmt::format("seeding: {} of {} events, {:.0f}/s\n", progress.events,
                          progress.events_total, RateOf(progress.events, progress.seconds))
           << std::flush;
    };
  }
  return seed::SeedDemo(options);
}

Result<ExitCode> RunSeedDemo(Program& program, const SeedArguments& arguments) {
  const Streams& io = program.io();
  ALERTSTREAM_ASSIGN_OR_RETURN(const seed::SeedReport report,
                               SeedDataDir(program.settings(), program.clock(), arguments,
                                           program.quiet() ? nullptr : &io.err));
  const bool json =
      io.render.format == OutputFormat::kJson || io.render.format == OutputFormat::kJsonLines;
  io.out << (json ? ReportJson(report)
                  : fmt::format("seeded {} days: {} events, {} decision records, {} notifications "
                                "in {:.1f} s ({:.0f} events/s)",
                                report.days, report.events, report.decisions, report.notifications,
                                report.seconds, RateOf(report.events, report.seconds)))
         << "\n";
  return ExitCode::kOk;
}

}  // namespace alertstream::cli

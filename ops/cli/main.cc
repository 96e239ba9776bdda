// The program `alertstream`: parses arguments, opens what the command needs, runs it, and turns its
// result into an exit code. What the commands do stands in ops/cli/commands.
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "ops/cli/command_line.h"
#include "processor/base/config_env.h"
#include "processor/base/log.h"

namespace alertstream::cli {
namespace {

// Set by SIGINT and SIGTERM, which may only store.
std::atomic<bool> g_interrupted{false};

void OnSignal(int) { g_interrupted = true; }

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
  if (!arguments.profile.empty()) {
    input.profile = arguments.profile;
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
  ALERTSTREAM_ASSIGN_OR_RETURN(render.time, ParseTimeStyle(arguments.time));
  render.now = SystemClock().Now();
  return render;
}

// Without `hints` the message says all: hints are about the log.
int Fail(const Error& error, ExitCode exit, const RenderOptions& render, std::string_view path,
         bool hints = true) {
  if (render.format == OutputFormat::kJson || render.format == OutputFormat::kJsonLines) {
    std::cout << ErrorJson(error, fmt::format("alertstream {} --help", path));
  }
  std::cerr << "alertstream: " << error.message() << "\n";
  if (const std::string_view hint = HintFor(error.code()); hints && !hint.empty()) {
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
                  {.out = std::cout, .err = std::cerr, .render = render.value()}, g_interrupted);
  const auto result = line.command()(program);
  if (!result.ok()) {
    const ExitCode exit =
        g_interrupted ? ExitCode::kInterrupted : ExitCodeOf(result.error().code());
    return Fail(result.error(), exit, render.value(), line.path(), !line.asks_server());
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

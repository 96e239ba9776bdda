// CommandLine: the tree of commands with their flags, help and examples. Parsing only carries
// values into the library functions of ops/cli/commands; it opens nothing. Used by the program's
// main.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ops/cli/commands/replay.h"
#include "ops/cli/program.h"

namespace alertstream::cli {

using Command = std::function<Result<ExitCode>(Program& program)>;

// For Option::check: what `parse` finds wrong with a value, so that it is an error of usage.
template <typename T>
CLI::Validator Checked(Result<T> (*parse)(std::string_view)) {
  return CLI::Validator(
      [parse](const std::string& text) {
        const auto parsed = parse(text);
        return parsed.ok() ? std::string() : parsed.error().message();
      },
      "");
}

class CommandLine {
 public:
  CommandLine();

  // The exit code if the program ends here: help, version, a usage error.
  std::optional<int> Parse(int argc, char** argv);

  const Arguments& arguments() const { return arguments_; }
  const Command& command() const { return command_; }
  const std::string& path() const { return path_; }
  bool serves() const { return path_ == "serve"; }
  // The command asks a server or a database; no log of its own is at fault.
  bool asks_server() const {
    return path_.starts_with("migrate ") || path_ == "fire" || path_ == "inbound" ||
           path_.starts_with("providers ") || path_.starts_with("keys ") ||
           path_.starts_with("accounts ") || path_.starts_with("numbers ");
  }

 private:
  CLI::App* Add(CLI::App* parent, const std::string& name, const std::string& help,
                const std::string& example, Command command);
  void AddNamed(CLI::App* app, const std::string& flag, const std::string& key,
                const std::string& help);
  void AddNamedWord(CLI::App* app, const std::string& flag, const std::string& key,
                    const std::string& value, const std::string& help);
  void AddNamedSwitch(CLI::App* app, const std::string& flag, const std::string& key,
                      const std::string& help);
  void AddGlobals();
  void AddRun();
  void AddDev();
  void AddSeed();
  void AddTopics();
  void AddLook();
  void AddTail();
  void AddTopic();
  void AddAuthor();
  void AddComply();
  void AddAudit();
  void AddConsent();
  void AddOptOut();
  void AddRepair();
  void AddDeadLetterLists(CLI::App* dlq);
  void AddRedrives(CLI::App* dlq);
  void AddStandby();
  void AddState();
  void AddReplay();
  void AddClient();
  void AddWebhook();
  void AddNotifications();
  void AddMigrate();
  void AddProviders();
  void AddProviderAccounts(CLI::App* providers);
  void AddNumbers();
  void AddProjections();
  void AddKeys();
  void AddUsers();

  // --at and --state of a command that shows the past; what they name is opened by WithPast.
  struct PastArguments {
    std::string at;
    std::string state;
  };
  static void AddPast(CLI::App* app, PastArguments* values);
  static Result<ExitCode> WithPast(
      Program& program, const PastArguments& values,
      const std::function<Result<ExitCode>(const Session& session, const PastOptions& past)>& body);

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

}  // namespace alertstream::cli

// Program: one run of `alertstream`: what the user wrote, the settings that follow from it, and the
// log opened as a command needs it. Used by the commands' lambdas (command_line*.cc); belongs to
// one thread.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ops/cli/api_client.h"
#include "ops/cli/commands/session.h"
#include "ops/cli/settings.h"
#include "ops/cli/wiring.h"

namespace alertstream::cli {

// What the user wrote, before it means anything.
struct Arguments {
  std::string config;
  std::string profile;
  std::vector<std::string> set;
  std::map<std::string, std::string> named;  // --data-dir and others, by the setting's key.
  std::string output = "text";
  std::string color = "auto";
  std::string time = "utc";
  std::vector<std::string> columns;
  std::string actor;
  bool quiet = false;
  bool verbose = false;
};

// A run of the program: settings resolved, streams at hand.
class Program {
 public:
  // `arguments` and `interrupted` outlive the program.
  Program(const Arguments& arguments, Settings settings, Streams io,
          const std::atomic<bool>& interrupted)
      : arguments_(arguments),
        settings_(std::move(settings)),
        io_(std::move(io)),
        interrupted_(interrupted) {}

  const Settings& settings() const { return settings_; }
  const Streams& io() const { return io_; }
  Clock& clock() { return SystemClock(); }
  bool local() const { return settings_.Text(Setting::kLog) == "local"; }
  bool quiet() const { return arguments_.quiet; }
  // Who makes the changes of this run: --actor, else the user of the system.
  std::string actor() const;
  // By a signal: whatever runs until it is told to stop should.
  bool interrupted() const { return interrupted_; }

  using Body = std::function<Result<ExitCode>(const Session& session)>;
  // With the log open for reading, beside whoever owns it.
  Result<ExitCode> Read(const Body& body);
  // For changes. Through the server that owns the log, if there is one (control_client.h), with the
  // log open for reading where that is possible. Else with the log open for writing: a local log is
  // decided by this process meanwhile; on Kafka the servers do it, or this process if `may_decide`
  // and there is none.
  Result<ExitCode> Write(LogAccess access, bool may_decide, const Body& body);
  // The same for changes that nobody answers to: no processor is started for them.
  Result<ExitCode> Append(const Body& body);

  // With a server's API: that of --api-url, else the dev of the data directory.
  Result<ExitCode> Call(const std::function<Result<ExitCode>(ApiClient& api)>& body);

  // Ends a command with this exit code before it did anything; `docs` is the help to read.
  ExitCode Refuse(const Error& error, ExitCode exit, std::string_view docs) const;

  // The flags that lead another command to the same log.
  std::string SameLog() const;

  // Over an opened log. For commands that open it themselves.
  Session MakeSession(const Deployment& deployment);

 private:
  Result<ExitCode> WriteThrough(ApiTarget server, const Body& body);
  const Arguments& arguments_;
  Settings settings_;
  Streams io_;
  const std::atomic<bool>& interrupted_;
};

using Command = std::function<Result<ExitCode>(Program& program)>;

}  // namespace alertstream::cli

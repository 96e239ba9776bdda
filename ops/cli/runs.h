// Commands that are more than one call: they load rules, open streams, make options from settings.
// Used by command_line*.cc; belongs to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iosfwd>
#include <memory>
#include <string>

#include "ops/cli/commands/decide.h"
#include "ops/cli/program.h"
#include "ops/cli/rules_file.h"

namespace alertstream::cli {

// What `topics plan` and `topics apply` are to bring about.
log::TopicPlan PlanOf(const Settings& settings);

// Everything that is wrong with the rules, on stderr; the error carries the first.
Result<RuleSet> LoadRulesOf(Program& program, const std::string& path);

// Rule files are configuration: they end with that exit code. The error itself goes the usual way.
Result<ExitCode> RefuseRules(Program& program, const Error& error);

// The name of `file` in messages.
std::string NameOfInput(const std::string& file);

// A stream of `file`, or of stdin for "-".
class EventsInput {
 public:
  static Result<std::unique_ptr<EventsInput>> Open(const std::string& file);
  std::istream& stream();

 private:
  std::ifstream file_;
  bool from_file_ = false;
};

struct DecideArguments {
  std::string rules;
  std::string events;
  std::size_t limit = kDecideRowsMax;
};

Result<ExitCode> RunDecide(Program& program, const DecideArguments& arguments);

struct TailArguments {
  std::string what;
  std::string from;
  std::string since;
  std::int32_t partition = -1;
  std::string trigger;
  std::string channel;
  std::string outcome;
  std::string reason;
  bool no_follow = false;
  std::uint64_t count = 0;
};

Result<ExitCode> RunTail(Program& program, const TailArguments& arguments);

Result<ExitCode> RunDoctor(Program& program, bool strict);

}  // namespace alertstream::cli

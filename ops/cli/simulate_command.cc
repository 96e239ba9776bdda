#include "ops/cli/simulate_command.h"

#include <chrono>
#include <iostream>
#include <utility>

#include <fmt/format.h>

#include "ops/cli/json_object.h"
#include "ops/identity/keys_file.h"
#include "ops/simulator/provider_simulator.h"
#include "processor/base/duration.h"

namespace alertstream::cli {
namespace {

constexpr std::size_t kTokenBytesMax = 1024;  // Tokens have 32 characters.
constexpr std::chrono::milliseconds kPause{25};

Result<Redacted<std::string>> TokenIn(const std::string& file) {
  std::string token;
  if (file == "-") {
    std::getline(std::cin, token);
  } else {
    ALERTSTREAM_ASSIGN_OR_RETURN(token, identity::ReadPrivateFile(file, kTokenBytesMax));
  }
  while (token.ends_with('\n')) {
    token.pop_back();
  }
  if (token.empty()) {
    return Error(ErrorCode::kInvalid, "--auth-token-file: no token in it");
  }
  return Redacted<std::string>(std::move(token));
}

Result<std::vector<dispatch::ProviderAccount>> AccountsOf(const SimulateArguments& arguments) {
  if (arguments.account_sid.empty() != arguments.auth_token_file.empty()) {
    return Error(ErrorCode::kInvalid, "--account-sid and --auth-token-file go together");
  }
  if (arguments.account_sid.empty()) {
    if (!arguments.public_url.empty()) {
      return Error(ErrorCode::kInvalid, "--public-url needs --account-sid");
    }
    return std::vector<dispatch::ProviderAccount>();
  }
  dispatch::ProviderAccount account;
  account.provider = "twilio";
  account.name = arguments.account;
  account.account_sid = arguments.account_sid;
  account.public_url = arguments.public_url;
  ALERTSTREAM_ASSIGN_OR_RETURN(auto token, TokenIn(arguments.auth_token_file));
  account.auth_tokens.push_back(std::move(token));
  return std::vector<dispatch::ProviderAccount>{std::move(account)};
}

}  // namespace

Result<ExitCode> RunSimulate(Program& program, const SimulateArguments& arguments) {
  simulator::SimulatorOptions options;
  options.address = arguments.address;
  options.port = arguments.port;
  ALERTSTREAM_ASSIGN_OR_RETURN(options.accounts, AccountsOf(arguments));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto delay, ParseDuration(arguments.callback_delay));
  options.callbacks.delay = std::chrono::duration_cast<std::chrono::milliseconds>(delay);
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto simulator,
                               simulator::ProviderSimulator::Start(options, program.clock()));
  const Streams& io = program.io();
  const bool json =
      io.render.format == OutputFormat::kJson || io.render.format == OutputFormat::kJsonLines;
  io.out << (json ? JsonObject().Text("url", simulator->url()).Take()
                  : fmt::format("provider simulator: {}", simulator->url()))
         << std::endl;
  while (!program.interrupted()) {
    program.clock().SleepFor(kPause);
  }
  simulator->Stop();
  return ExitCode::kOk;
}

}  // namespace alertstream::cli

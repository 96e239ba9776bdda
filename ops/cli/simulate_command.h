// `providers simulate`: a provider of SMS on this machine (ops/simulator), until it is interrupted.
// Belongs to one thread.
#pragma once

#include <cstdint>
#include <string>

#include "ops/cli/program.h"

namespace alertstream::cli {

struct SimulateArguments {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  // 0: a free one.
  // The one account that may send; empty: whoever signs in may, and the password signs callbacks.
  std::string account_sid;
  std::string auth_token_file;  // "-": the first line of stdin.
  std::string account = "main";
  std::string public_url;  // Where inbound messages go; empty: beside the last StatusCallback.
  std::string callback_delay = "20ms";
};

// Prints the URL once it listens. kInvalid names the flag; kUnavailable: it cannot listen.
Result<ExitCode> RunSimulate(Program& program, const SimulateArguments& arguments);

}  // namespace alertstream::cli

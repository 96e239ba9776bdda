// The commands about providers of messages.
#include "ops/cli/command_line.h"
#include "ops/cli/simulate_command.h"
#include "processor/base/duration.h"

namespace alertstream::cli {

void CommandLine::AddProviders() {
  CLI::App* providers = Group("providers", "The providers through which messages leave");
  auto* values = Keep(SimulateArguments{});
  CLI::App* simulate =
      Add(providers, "simulate", "Play a provider that speaks Twilio's protocol and sends nothing",
          "providers simulate --port 4010",
          [values](Program& program) { return RunSimulate(program, *values); });
  simulate->add_option("--port", values->port, "to listen on; 0: a free one");
  simulate->add_option("--address", values->address, "to listen on");
  simulate->add_option("--account-sid", values->account_sid,
                       "the account that may send; without it whoever signs in");
  simulate->add_option("--auth-token-file", values->auth_token_file,
                       "its auth token, which signs callbacks; - for stdin");
  simulate->add_option("--account", values->account, "our name of that account");
  simulate->add_option("--public-url", values->public_url,
                       "where the account's webhooks are, for inbound messages");
  simulate->add_option("--callback-delay", values->callback_delay, "before each callback: 20ms")
      ->check(Checked(ParseDuration));
}

}  // namespace alertstream::cli

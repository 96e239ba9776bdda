// The commands about providers of messages.
#include "ops/cli/command_line.h"
#include "ops/cli/commands/providers.h"
#include "ops/cli/simulate_command.h"
#include "ops/seed/demo_history.h"
#include "processor/base/duration.h"

namespace alertstream::cli {
namespace {

constexpr std::size_t kAccountNameBytesMax = 64;  // As in the keys file.

// Part of a path: what the keys file allows as the name of an account.
CLI::Validator CheckedName() {
  return CLI::Validator(
      [](const std::string& text) {
        const bool fits = !text.empty() && text.size() <= kAccountNameBytesMax &&
                          text.find_first_not_of(
                              "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVW"
                              "XYZ0123456789_-") == std::string::npos;
        return fits ? std::string() : std::string("expected letters, digits, _ and -");
      },
      "");
}

}  // namespace

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

  Add(providers, "list", "Provider accounts, their pace and their breakers", "providers list",
      [](Program& program) {
        return program.Call([&](ApiClient& api) { return ListProviders(api, program.io()); });
      });

  auto* test = Keep(ProviderTestOptions{.from = std::string(seed::kNumber),
                                        .text = "A test message of AlertStream."});
  CLI::App* test_app = Add(
      providers, "test", "Send one message past every rule",
      "providers test main --to +254700000001", [test](Program& program) {
        return program.Call([&](ApiClient& api) { return TestProvider(api, program.io(), *test); });
      });
  test_app->add_option("name", test->name, "of the account")->required()->check(CheckedName());
  test_app->add_option("--to", test->to, "who gets it, +254...")->required();
  test_app->add_option("--from", test->from, "our number; without it the demo's");
  test_app->add_option("--text", test->text, "what it says");
  test_app->add_option("--provider", test->provider, "of the account")->check(CheckedName());

  struct Breaker {
    std::string action;
    std::string provider = "twilio";
    std::string name;
  };
  auto* breaker = Keep(Breaker{});
  CLI::App* breaker_app =
      Add(providers, "breaker", "See why nothing leaves through an account, or let it leave again",
          "providers breaker show\n  alertstream providers breaker reset main",
          [breaker](Program& program) -> Result<ExitCode> {
            if (breaker->action == "reset" && breaker->name.empty()) {
              return program.Refuse(Error(ErrorCode::kInvalid, "reset: name the account"),
                                    ExitCode::kUsage, "alertstream providers breaker --help");
            }
            return program.Call([&](ApiClient& api) {
              return breaker->action == "reset"
                         ? ResetBreaker(api, program.io(), breaker->provider, breaker->name)
                         : ShowBreakers(api, program.io(), breaker->name);
            });
          });
  breaker_app->add_option("action", breaker->action, "show or reset")
      ->required()
      ->check(CLI::IsMember({"show", "reset"}));
  breaker_app->add_option("name", breaker->name, "of the account")->check(CheckedName());
  breaker_app->add_option("--provider", breaker->provider, "of the account")->check(CheckedName());
  AddProviderAccounts(providers);
}

}  // namespace alertstream::cli

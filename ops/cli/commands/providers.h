// `providers list|test|breaker`: provider accounts as the server sees them. Library functions over
// an API client with an operator's key; used by the command line.
#pragma once

#include <string>

#include "ops/cli/api_client.h"
#include "ops/cli/commands/session.h"

namespace alertstream::cli {

Result<ExitCode> ListProviders(ApiClient& api, const Streams& io);

struct ProviderTestOptions {
  std::string provider = "twilio";
  std::string name;  // Of the account.
  std::string to;
  std::string from;
  std::string text;
};
// Sends one message past every rule. Ends with kFailed if the provider did not take it.
Result<ExitCode> TestProvider(ApiClient& api, const Streams& io,
                              const ProviderTestOptions& options);

// `name` empty: of all accounts. kNotFound: no such account.
Result<ExitCode> ShowBreakers(ApiClient& api, const Streams& io, const std::string& name);
Result<ExitCode> ResetBreaker(ApiClient& api, const Streams& io, const std::string& provider,
                              const std::string& name);

}  // namespace alertstream::cli

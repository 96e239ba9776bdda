// The operator's endpoints about providers:
//   GET  /api/v1/control/providers                            accounts, their pace and breaker
//   POST /api/v1/control/providers/{provider}/{name}/reset    closes a breaker
//   POST /api/v1/control/providers/{provider}/{name}/test     {"to","from","body"}: one message
// X-API-Key is an operator's: 401 and 403 otherwise, 404 no such account, 409 the dispatcher runs
// in another process. Used by the program's wiring.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/auth/identity.h"
#include "api/http/routes.h"
#include "processor/base/redacted.h"
#include "processor/base/result.h"
#include "processor/dispatch/outcome.h"

namespace alertstream::api {

inline constexpr std::string_view kProvidersPath = "/api/v1/control/providers";

struct ProviderState {
  std::string provider;
  std::string name;
  std::string account_sid;
  std::string base_url;
  double sends_per_second = 0;
  std::uint32_t burst = 0;
  // closed, half_open, open, suspended; "unused": nothing was sent yet; "elsewhere": the dispatcher
  // runs in another process.
  std::string breaker;
  std::string code = {};                  // Of the result that opened it.
  std::optional<double> probe_in_s = {};  // Until it is tried again.
};

struct TestMessage {
  std::string provider;
  std::string name;
  std::string from;
  Redacted<std::string> to;
  Redacted<std::string> body;
};

// What the endpoints do. A port: the program implements it beside its dispatcher. Thread-safe;
// never blocks.
class ProviderDesk {
 public:
  virtual ~ProviderDesk() = default;
  // By provider and name.
  virtual std::vector<ProviderState> List() const = 0;
  // kNotFound: there is no such account. kConflict: the dispatcher runs elsewhere.
  virtual Status Reset(const std::string& provider, const std::string& name) = 0;
  // Sends it past every rule, breaker and log, without a status callback. `done` is called once,
  // with the outcome, or kNotFound, or kInvalid: the provider would refuse such a message.
  using Done = std::function<void(Result<dispatch::Outcome> outcome)>;
  virtual void SendTest(TestMessage message, Done done) = 0;
};

struct ProviderRoutesDeps {
  const Identity& identity;
  ProviderDesk& desk;
};

// Errors as Routes::Add. The desk outlives the routes and every test under way.
Status AddProviderRoutes(http::Routes* routes, const ProviderRoutesDeps& deps);

}  // namespace alertstream::api

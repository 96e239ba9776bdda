// ProviderSimulator: a provider of SMS on this machine that speaks Twilio's protocol, so that
// everything up to the provider's door can be run, watched and hurt without sending anything. Used
// by `alertstream providers simulate`, by `alertstream dev` and by tests.
//
//   POST   /2010-04-01/Accounts/{AccountSid}/Messages.json   as Twilio's; callbacks follow
//   GET    /messages[?limit=n]   those accepted, and how many different notifications
//   GET    /requests[?limit=n]   all of Twilio's API, with the answers given
//   DELETE /messages             forgets both
//   POST   /inbound              {"from","to","body"}: sends a signed inbound webhook, answers how
//                                it went
//   POST   /faults               {"fault","count"}: what the next ones go through (faults.h)
//   GET, DELETE /faults; GET /health
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ops/simulator/callbacks.h"
#include "ops/simulator/traffic.h"
#include "processor/base/clock.h"
#include "processor/base/result.h"
#include "processor/dispatch/accounts.h"

namespace alertstream::simulator {

struct SimulatorOptions {
  std::string address = "127.0.0.1";  // It posts to any URL it is told: keep it to this machine.
  std::uint16_t port = 0;             // 0: a free one.
  int threads = 2;
  // Those that may send; none: everybody (accounts.h).
  std::vector<dispatch::ProviderAccount> accounts;
  CallbackOptions callbacks;
  std::chrono::milliseconds hang_for{60'000};  // Then the connection is cut.
  TrafficLimits limits;
};

// Thread-safe once it is started.
class ProviderSimulator {
 public:
  // `clock` outlives the simulator. kUnavailable: the address cannot be bound.
  static Result<std::unique_ptr<ProviderSimulator>> Start(const SimulatorOptions& options,
                                                          const Clock& clock);
  // As Stop.
  ~ProviderSimulator();
  ProviderSimulator(const ProviderSimulator&) = delete;
  ProviderSimulator& operator=(const ProviderSimulator&) = delete;

  // "http://127.0.0.1:4010": base_url of the accounts that send through it.
  std::string url() const;
  std::uint16_t port() const;
  void SetAccounts(std::vector<dispatch::ProviderAccount> accounts);
  // Ends the server; callbacks under way are dropped.
  void Stop();

 private:
  struct Impl;
  explicit ProviderSimulator(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace alertstream::simulator

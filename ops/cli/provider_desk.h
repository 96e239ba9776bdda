// ServerDesk: the port ProviderDesk over the keys file's accounts and the dispatcher of this
// process. Thread-safe. Part of the wiring.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "api/providers/provider_routes.h"
#include "processor/base/clock.h"
#include "processor/dispatch/accounts.h"
#include "processor/dispatch/dispatcher.h"
#include "processor/dispatch/http_client.h"

namespace alertstream::cli {

class ServerDesk : public api::ProviderDesk {
 public:
  // Both outlive the desk. kUnavailable: the HTTP client cannot be set up.
  static Result<std::unique_ptr<ServerDesk>> Create(const dispatch::ProviderAccounts& accounts,
                                                    Clock& clock);

  // The dispatcher of this process, which outlives every later call; without one breakers are
  // elsewhere.
  void SetDispatcher(dispatch::Dispatcher* dispatcher) { dispatcher_ = dispatcher; }
  // Ends the tests under way.
  void Stop() { http_->Stop(); }

  std::vector<api::ProviderState> List() const override;
  Status Reset(const std::string& provider, const std::string& name) override;
  void SendTest(api::TestMessage message, Done done) override;

 private:
  ServerDesk(const dispatch::ProviderAccounts& accounts, Clock& clock,
             std::unique_ptr<dispatch::HttpClient> http)
      : accounts_(accounts), clock_(clock), http_(std::move(http)) {}

  const dispatch::ProviderAccounts& accounts_;
  Clock& clock_;
  std::atomic<dispatch::Dispatcher*> dispatcher_ = nullptr;
  const std::unique_ptr<dispatch::HttpClient> http_;
};

}  // namespace alertstream::cli

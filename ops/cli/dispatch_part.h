// DispatchPart: the dispatcher of a server, which hands commands to providers. Part of the wiring;
// used by serve and dev.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "ops/cli/commands/serve.h"
#include "ops/cli/settings.h"
#include "ops/cli/wiring.h"
#include "processor/dispatch/accounts.h"
#include "processor/dispatch/dispatcher.h"

namespace alertstream::cli {

struct DispatchPartDeps {
  const Settings& settings;
  const Deployment& deployment;
  Clock& clock;
  const dispatch::ProviderAccounts& accounts;
  Metrics& metrics;
  std::vector<std::int32_t> partitions;
};

class DispatchPart : public ServerPart {
 public:
  // Begins to take its partitions. `deps` outlives the part.
  static Result<std::unique_ptr<DispatchPart>> Start(const DispatchPartDeps& deps);

  dispatch::Dispatcher& dispatcher() { return *dispatcher_; }

  std::string_view name() const override { return "dispatcher"; }
  HealthState Health() const override;
  void Tick() override {}
  bool Stop(std::chrono::milliseconds deadline) override;

 private:
  explicit DispatchPart(std::unique_ptr<dispatch::Dispatcher> dispatcher)
      : dispatcher_(std::move(dispatcher)) {}

  std::unique_ptr<dispatch::Dispatcher> dispatcher_;
};

}  // namespace alertstream::cli

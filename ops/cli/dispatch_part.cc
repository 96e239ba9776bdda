#include "ops/cli/dispatch_part.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "ops/cli/json_object.h"
#include "processor/base/log.h"

namespace alertstream::cli {
namespace {

// Kept of a drain's time for the results of the calls that end with it.
constexpr std::chrono::milliseconds kCommitShare{1500};

}  // namespace

Result<std::unique_ptr<DispatchPart>> DispatchPart::Start(const DispatchPartDeps& deps) {
  dispatch::DispatcherOptions options;
  options.partitions = deps.partitions;
  options.log_id = deps.deployment.identity.log_id;
  options.token_key = deps.deployment.token_key;
  options.metrics = &deps.metrics;
  options.total_timeout = std::chrono::duration_cast<std::chrono::milliseconds>(
      deps.settings.Duration(Setting::kDispatchCallTimeout));
  options.connect_timeout = std::min(options.connect_timeout, options.total_timeout);
  options.on_error = [](std::int32_t partition, const Error& error) {
    Log(LogLevel::kWarning, "dispatch_failed",
        {{"partition", partition},
         {"code", ErrorCodeName(error.code())},
         {"error", error.message()}});
  };
  ALERTSTREAM_ASSIGN_OR_RETURN(
      auto dispatcher, dispatch::Dispatcher::Create(*deps.deployment.log, deps.clock, deps.accounts,
                                                    std::move(options)));
  dispatcher->Start();
  return std::unique_ptr<DispatchPart>(new DispatchPart(std::move(dispatcher)));
}

HealthState DispatchPart::Health() const {
  HealthState health{.ready = dispatcher_->Ready(), .body = {}};
  JsonList partitions;
  for (const auto& status : dispatcher_->Status()) {
    JsonObject object;
    object.Integer("partition", status.partition);
    object.Text("phase", status.phase);
    if (!status.error.empty()) {
      object.Text("error", status.error);
    }
    object.Integer("waiting", static_cast<std::int64_t>(status.waiting));
    object.Integer("in_flight", static_cast<std::int64_t>(status.in_flight));
    object.Integer("held", static_cast<std::int64_t>(status.held));
    object.Number("lag_seconds", status.lag_seconds);
    partitions.Raw(object.Take());
  }
  JsonList breakers;
  for (const auto& circuit : dispatcher_->Breakers()) {
    if (circuit.state == dispatch::CircuitState::kClosed) {
      continue;
    }
    JsonObject object;
    object.Text("provider", circuit.provider);
    object.Text("account", circuit.account);
    object.Text("state", dispatch::CircuitStateName(circuit.state));
    object.Text("code", circuit.code);
    breakers.Raw(object.Take());
  }
  JsonObject object;
  object.Text("status", health.ready ? "ready" : "not_ready");
  object.Raw("partitions", partitions.Take());
  object.Raw("breakers", breakers.Take());
  health.body = object.Take();
  return health;
}

bool DispatchPart::Stop(std::chrono::milliseconds deadline) {
  dispatcher_->Stop(deadline > 2 * kCommitShare ? deadline - kCommitShare : deadline / 2);
  return true;
}

}  // namespace alertstream::cli

#include "ops/cli/projector_part.h"

#include <utility>

#include "processor/base/log.h"
#include "schemas/json_object.h"

namespace alertstream::cli {

std::unique_ptr<ProjectorPart> ProjectorPart::Start(const ProjectorPartDeps& deps) {
  projections::ProjectorOptions options{.log_id = deps.deployment.identity.log_id,
                                        .partitions = deps.partitions,
                                        .metrics = &deps.metrics};
  options.on_error = [](std::int32_t partition, const Error& error) {
    Log(LogLevel::kWarning, "projection_failed",
        {{"partition", partition},
         {"code", ErrorCodeName(error.code())},
         {"error", error.message()}});
  };
  auto projector = std::make_unique<projections::Projector>(*deps.deployment.log, deps.clock,
                                                            deps.database, std::move(options));
  projector->Start();
  return std::unique_ptr<ProjectorPart>(
      new ProjectorPart(std::move(projector), deps.decides_readiness));
}

HealthState ProjectorPart::Health() const {
  const bool ready = projector_->Ready();
  schemas::JsonList partitions;
  for (const auto& status : projector_->Status()) {
    schemas::JsonObject object;
    object.Integer("partition", status.partition).Text("phase", status.phase);
    if (!status.error.empty()) {
      object.Text("error", status.error);
    }
    object.Integer("seq", status.seq).Number("lag_seconds", status.lag_seconds);
    partitions.Raw(object.Take());
  }
  schemas::JsonObject object;
  object.Text("status", ready ? "ready" : "not_ready").Raw("partitions", partitions.Take());
  return {.ready = ready || !decides_readiness_, .body = object.Take()};
}

bool ProjectorPart::Stop(std::chrono::milliseconds /*deadline*/) {
  // What is under way is one transaction, which ends by its time limit or is rolled back.
  projector_->Stop();
  return true;
}

}  // namespace alertstream::cli

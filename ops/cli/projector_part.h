// ProjectorPart: the projector of a server, which keeps the read model up with the log. Part of the
// wiring; used by serve and dev.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "ops/cli/commands/serve.h"
#include "ops/cli/wiring.h"
#include "projections/projector.h"
#include "projections/sql/database.h"

namespace alertstream::cli {

struct ProjectorPartDeps {
  const Deployment& deployment;
  Clock& clock;
  sql::Database& database;
  Metrics& metrics;
  std::vector<std::int32_t> partitions;
  // The server's readiness follows the projector's. Not where the API is too: it takes events while
  // the database is away.
  bool decides_readiness = false;
};

class ProjectorPart : public ServerPart {
 public:
  // Begins to project. `deps` outlives the part.
  static std::unique_ptr<ProjectorPart> Start(const ProjectorPartDeps& deps);

  std::string_view name() const override { return "projector"; }
  HealthState Health() const override;
  void Tick() override { projector_->NoteLag(); }
  bool Stop(std::chrono::milliseconds deadline) override;

 private:
  ProjectorPart(std::unique_ptr<projections::Projector> projector, bool decides_readiness)
      : projector_(std::move(projector)), decides_readiness_(decides_readiness) {}

  const std::unique_ptr<projections::Projector> projector_;
  const bool decides_readiness_;
};

}  // namespace alertstream::cli

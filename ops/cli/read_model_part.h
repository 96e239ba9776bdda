// ReadModelPart: what the routes of the API share that ask the read model: sessions of the API's
// role, the workers that use them, the wait for the projection, and the cursors of lists. Part of
// the wiring; used by the API's part.
#pragma once

#include <memory>

#include "api/identity/audit.h"
#include "api/query/cursor.h"
#include "api/query/projection_wait.h"
#include "api/query/read_desk.h"
#include "api/query/worker_pool.h"
#include "ops/cli/settings.h"
#include "processor/base/clock.h"
#include "projections/sql/database.h"

namespace alertstream::cli {

struct ReadModelDeps {
  const Settings& settings;
  sql::Database& database;
  Clock& clock;
  api::AuditTrail& audit;
};

class ReadModelPart {
 public:
  // Connects nowhere yet. All of `deps` outlives it.
  explicit ReadModelPart(const ReadModelDeps& deps);

  const api::ReadDatabase& at() const { return at_; }

  // Ends the wait, then the workers when they have done what was asked. When no request comes any
  // more; before what the routes use ends.
  void Stop();

 private:
  sql::TenantPool pool_;
  api::ProjectionWait wait_;
  api::WorkerPool workers_;
  api::ReadDatabase at_;
};

}  // namespace alertstream::cli

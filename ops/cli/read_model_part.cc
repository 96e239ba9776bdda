#include "ops/cli/read_model_part.h"

#include <algorithm>
#include <cstddef>

namespace alertstream::cli {
namespace {

// A session a worker; more would wait for each other on a small machine.
std::size_t SessionsOf(const Settings& settings) {
  return static_cast<std::size_t>(
      std::max<std::int64_t>(1, settings.Integer(Setting::kPostgresSessionsMax)));
}

}  // namespace

ReadModelPart::ReadModelPart(const ReadModelDeps& deps)
    : pool_(deps.database, {.role = "alertstream_api", .application_name = "alertstream-api"},
            SessionsOf(deps.settings)),
      wait_(deps.database, deps.clock),
      workers_({.threads = SessionsOf(deps.settings)}),
      at_{.pool = pool_, .workers = workers_, .wait = wait_, .audit = deps.audit} {}

void ReadModelPart::Stop() {
  wait_.Stop();
  workers_.Stop();
}

}  // namespace alertstream::cli

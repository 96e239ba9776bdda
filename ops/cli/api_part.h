// ApiPart: the API of a server: its HTTP listener with every door behind it, and what the doors
// share. Part of the wiring; used by serve and dev.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "api/control/entity_book.h"
#include "api/http/routes.h"
#include "api/http/server.h"
#include "api/identity/tenant_opening.h"
#include "api/ingest/idempotency_follower.h"
#include "api/log/answer_watch.h"
#include "api/log/log_writer.h"
#include "api/providers/provider_routes.h"
#include "api/query/cursor.h"
#include "api/resources/request_keys.h"
#include "ops/cli/access_part.h"
#include "ops/cli/commands/serve.h"
#include "ops/cli/read_model_part.h"
#include "ops/cli/settings.h"
#include "ops/cli/wiring.h"
#include "ops/identity/keys_file.h"
#include "projections/sql/database.h"

namespace alertstream::cli {

struct ApiPartDeps {
  const Settings& settings;
  const Deployment& deployment;
  Clock& clock;
  const identity::KeysFile& keys;
  api::AccountMirror* accounts;  // Null with `database`.
  api::ProviderDesk& providers;
  ServerContext context;
  // Of the read side; null without postgres.url. Outlives the part.
  sql::Database* database = nullptr;
};

class ApiPart : public ServerPart {
 public:
  // Listens when it returns. `deps` outlives the part. kUnavailable: the address cannot be bound,
  // or the log cannot be followed.
  static Result<std::unique_ptr<ApiPart>> Start(const ApiPartDeps& deps);
  ~ApiPart() override;

  std::uint16_t port() const { return server_->port(); }
  // "http://127.0.0.1:8080": as this machine reaches it.
  std::string url() const;

  std::string_view name() const override { return "api"; }
  HealthState Health() const override;
  void Tick() override;
  bool Stop(std::chrono::milliseconds deadline) override { return End(deadline); }

 private:
  explicit ApiPart(const ApiPartDeps& deps) : deps_(deps), cursors_(deps.deployment.token_key) {}
  Status StartReadSide();
  Status AddRoutes();
  Status AddReadSideRoutes();
  bool End(std::chrono::milliseconds deadline);

  const ApiPartDeps deps_;
  // In the order in which they are made; they end in the reverse one.
  std::unique_ptr<api::LogWriter> writer_;
  std::unique_ptr<api::AnswerWatch> watch_;
  std::unique_ptr<api::IdempotencyFollower> index_;
  std::unique_ptr<api::EntityBook> entities_;
  std::unique_ptr<AccessPart> access_;
  const api::CursorBook cursors_;
  // Null without postgres.url, all three.
  std::unique_ptr<ReadModelPart> read_model_;
  std::unique_ptr<api::RequestKeys> request_keys_;
  std::unique_ptr<api::TenantOpening> opening_;
  http::Routes routes_;
  std::unique_ptr<http::Server> server_;
  http::ServerStats counted_;  // What the counters hold already.
};

}  // namespace alertstream::cli

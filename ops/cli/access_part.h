// AccessPart: who may call a server: the file of keys, and with a database its users and API keys
// too. Part of the wiring; used by the API and by the commands that manage users and keys.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/auth/identity.h"
#include "api/http/routes.h"
#include "api/identity/access.h"
#include "api/identity/account_mirror.h"
#include "api/identity/account_store.h"
#include "api/identity/accounts.h"
#include "api/identity/audit_log.h"
#include "api/identity/auth_routes.h"
#include "api/identity/identity_mirror.h"
#include "api/identity/joined_identity.h"
#include "api/identity/key_store.h"
#include "api/identity/outbox.h"
#include "api/identity/provider_account_routes.h"
#include "api/identity/tenant_opening.h"
#include "api/identity/website_routes.h"
#include "api/query/worker_pool.h"
#include "ops/cli/settings.h"
#include "processor/base/clock.h"
#include "processor/base/metrics.h"
#include "processor/base/result.h"
#include "processor/base/sealing.h"
#include "projections/sql/database.h"

namespace alertstream::cli {

// The tables of identity and the keys that they are read with; for servers and for commands.
class IdentityTables {
 public:
  // Reads the master keys; the first that is used makes them. kInvalid, kDenied: one of them.
  // `database` and `clock` outlive the tables.
  static Result<std::unique_ptr<IdentityTables>> Open(const Settings& settings,
                                                      sql::Database& database, Clock& clock);
  // As Open, but makes no master key: without one nothing that is sealed can be read, which whoever
  // reads it is told.
  static Result<std::unique_ptr<IdentityTables>> OpenExisting(const Settings& settings,
                                                              sql::Database& database,
                                                              Clock& clock);

  // kDenied: the tables are sealed under another master key. kUnavailable: the database is away.
  Status CheckMasterKey();

  // A secret of this deployment for one purpose, as text; the same in every run.
  Redacted<std::string> Derived(std::string_view purpose) const;

  sql::Database& database() { return database_; }
  sql::Pool& pool() { return pool_; }
  const Sealer& sealer() const { return sealer_; }
  const api::AccessTokens& tokens() const { return tokens_; }
  api::Accounts& accounts() { return accounts_; }
  api::KeyStore& keys() { return keys_; }
  api::AuditLog& audit() { return audit_; }

 private:
  IdentityTables(const std::vector<Redacted<std::string>>& master_keys, Sealer sealer,
                 sql::Database& database, Clock& clock);

  sql::Database& database_;
  const std::vector<Redacted<std::string>> master_keys_;
  const Sealer sealer_;
  const api::AccessTokens tokens_;
  sql::Pool pool_;
  api::Accounts accounts_;
  api::KeyStore keys_;
  api::AuditLog audit_;
};

struct AccessPartDeps {
  const Settings& settings;
  Clock& clock;
  const api::Identity& keys;                // The file of keys.
  sql::Database* database = nullptr;        // Null: there are no users, and no keys besides.
  api::AccountMirror* accounts = nullptr;   // Null with `database`.
  api::ConfiguredAccounts configured = {};  // Of the file of keys.
  Metrics& metrics;
};

class AccessPart {
 public:
  // Knows the keys of the database when it returns, if that can be reached. `deps` outlives it.
  static Result<std::unique_ptr<AccessPart>> Start(const AccessPartDeps& deps);
  ~AccessPart();

  const api::Identity& identity() const { return *identity_; }
  const api::AccessGuard& guard() const { return *guard_; }
  // Null without a database.
  IdentityTables* tables() { return tables_.get(); }
  // The client of a request, behind trusted proxies too.
  std::string ClientOf(const http::Request& request) const;

  // auth/* and websites; `opening` is null without a database, and outlives the routes.
  Status AddRoutes(http::Routes* routes, const api::ResourceDeps& resources,
                   const api::TenantOpening* opening);
  // Not empty: the database cannot be asked; says why.
  std::string Problem() const;
  // Ends the threads; what was taken is done.
  void Stop();

 private:
  explicit AccessPart(const AccessPartDeps& deps) : deps_(deps) {}

  const AccessPartDeps deps_;
  std::vector<api::Network> trusted_proxies_;
  std::unique_ptr<IdentityTables> tables_;
  std::unique_ptr<api::IdentityMirror> mirror_;
  std::unique_ptr<api::UserTokens> no_users_;
  std::unique_ptr<api::JoinedIdentity> joined_;
  const api::Identity* identity_ = nullptr;
  std::unique_ptr<api::AccessGuard> guard_;
  std::unique_ptr<api::WorkerPool> workers_;
  std::unique_ptr<api::WorkerPool> session_workers_;
  std::unique_ptr<api::AuthTables> auth_;
  std::unique_ptr<api::WebsiteTables> websites_;
  std::unique_ptr<api::AccountStore> account_store_;
  std::unique_ptr<api::ProviderAccountTables> provider_accounts_;
  std::unique_ptr<api::Outbox> outbox_;
};

}  // namespace alertstream::cli

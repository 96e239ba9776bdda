// `keys create|list|rotate|revoke`, `users create|list|set-role|disable` and `roles list`, on the
// tables of identity; and keys over a server's API, for whoever has no database. Library functions;
// used by the command line.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "api/identity/accounts.h"
#include "api/identity/key_store.h"
#include "ops/cli/api_client.h"
#include "ops/cli/commands/session.h"
#include "processor/base/redacted.h"

namespace alertstream::cli {

// Where keys are kept: the tables, or a server in front of them.
class KeyDesk {
 public:
  virtual ~KeyDesk() = default;
  virtual Result<api::NewKey> Create(const api::KeyAsk& ask) = 0;
  virtual Result<std::vector<api::KeySummary>> List(const std::string& site) = 0;
  virtual Result<api::NewKey> Rotate(const std::string& site, const std::string& key,
                                     api::Rotated what, std::chrono::seconds overlap) = 0;
  virtual Status Revoke(const std::string& site, const std::string& key) = 0;
};

// Of one tenant, in the name of `actor`. `store` outlives it.
class TableKeyDesk final : public KeyDesk {
 public:
  TableKeyDesk(api::KeyStore& store, std::string tenant, std::string actor)
      : store_(store), tenant_(std::move(tenant)), actor_(std::move(actor)) {}
  Result<api::NewKey> Create(const api::KeyAsk& ask) override {
    return store_.Create(tenant_, ask, actor_);
  }
  Result<std::vector<api::KeySummary>> List(const std::string& site) override {
    return store_.List(tenant_, site);
  }
  Result<api::NewKey> Rotate(const std::string& site, const std::string& key, api::Rotated what,
                             std::chrono::seconds overlap) override {
    return store_.Rotate(tenant_, site, key, what, overlap, actor_);
  }
  Status Revoke(const std::string& site, const std::string& key) override {
    return store_.Revoke(tenant_, site, key, actor_);
  }

 private:
  api::KeyStore& store_;
  const std::string tenant_;
  const std::string actor_;
};

// With the secret key that the client commands have: a website has to be named. `api` outlives it.
class ServerKeyDesk final : public KeyDesk {
 public:
  explicit ServerKeyDesk(ApiClient& api) : api_(api) {}
  Result<api::NewKey> Create(const api::KeyAsk& ask) override;
  Result<std::vector<api::KeySummary>> List(const std::string& site) override;
  Result<api::NewKey> Rotate(const std::string& site, const std::string& key, api::Rotated what,
                             std::chrono::seconds overlap) override;
  Status Revoke(const std::string& site, const std::string& key) override;

 private:
  ApiClient& api_;
};

Result<ExitCode> CreateKey(KeyDesk& desk, const Streams& io, const api::KeyAsk& ask);
Result<ExitCode> ListKeys(KeyDesk& desk, const Streams& io, const std::string& site, LogTime now);
Result<ExitCode> RotateKey(KeyDesk& desk, const Streams& io, const std::string& site,
                           const std::string& key, api::Rotated what, std::chrono::seconds overlap);
Result<ExitCode> RevokeKey(KeyDesk& desk, const Streams& io, const std::string& site,
                           const std::string& key);

struct UserCommand {
  std::string tenant;
  std::string actor;
};
// `password` empty: one is drawn and shown.
Result<ExitCode> CreateUser(api::Accounts& accounts, const Streams& io, const UserCommand& command,
                            const Redacted<std::string>& email, Redacted<std::string> password,
                            api::Role role);
Result<ExitCode> ListUsers(api::Accounts& accounts, const Streams& io, const std::string& tenant);
Result<ExitCode> SetUserRole(api::Accounts& accounts, const Streams& io, const UserCommand& command,
                             const std::string& user, api::Role role);
Result<ExitCode> DisableUser(api::Accounts& accounts, const Streams& io, const UserCommand& command,
                             const std::string& user);

// Which role may do what.
Result<ExitCode> ListRoles(const Streams& io);

}  // namespace alertstream::cli

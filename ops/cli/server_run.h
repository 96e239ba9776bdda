// `serve`: the parts of a server by its target, put together; and the pieces that dev needs too.
// Part of the wiring; belongs to one thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "api/identity/account_mirror.h"
#include "api/identity/joined_identity.h"
#include "ops/cli/access_part.h"
#include "ops/cli/commands/serve.h"
#include "ops/cli/program.h"
#include "ops/cli/provider_desk.h"
#include "ops/cli/wiring.h"
#include "ops/identity/keys_file.h"
#include "processor/dispatch/accounts.h"
#include "processor/log/kafka/group_offsets.h"
#include "projections/sql/database.h"

namespace alertstream::cli {

struct ServerTargets {
  bool processor = false;
  bool api = false;
  bool dispatcher = false;
  bool projector = false;
};
// processor, api, dispatcher, projector or all.
Result<ServerTargets> ParseServerTarget(std::string_view text);

struct IdentityPartDeps {
  const Settings& settings;
  Clock& clock;
  Metrics& metrics;
  identity::AccountAdjuster adjust_account = {};  // May be empty.
  sql::Database* database = nullptr;              // Null: all is in the file of keys.
  bool makes_master_key = false;                  // Else one that is there is used.
};

// Who may call and what messages leave through, as the last part of a server: the others use it.
// The file of keys, and with a database the accounts and numbers of its tables.
class IdentityPart : public ServerPart {
 public:
  // `deps` outlives the part.
  static Result<std::unique_ptr<IdentityPart>> Open(const IdentityPartDeps& deps);

  identity::KeysFile& keys() { return *keys_; }
  ServerDesk& desk() { return *desk_; }
  // Of the file and of the tables.
  const dispatch::ProviderAccounts& accounts() const { return *accounts_; }
  // Null without a database.
  api::AccountMirror* mirror() { return mirror_.get(); }
  // Adjusts all accounts anew. Errors as KeysFile::Reload; the database may be away.
  Status ReloadAccounts();

  std::string_view name() const override { return "keys"; }
  HealthState Health() const override;
  void Tick() override {}
  bool Stop(std::chrono::milliseconds deadline) override;

 private:
  IdentityPart() = default;
  Status OpenAccounts(const IdentityPartDeps& deps);

  std::unique_ptr<identity::KeysFile> keys_;
  std::unique_ptr<IdentityTables> tables_;
  std::unique_ptr<api::AccountMirror> mirror_;
  std::unique_ptr<api::JoinedAccounts> joined_;
  const dispatch::ProviderAccounts* accounts_ = nullptr;
  std::unique_ptr<ServerDesk> desk_;
};

// Processor, group offsets and the time to drain, from the settings. `deployment` and what is
// returned in `offsets` outlive the options' use.
Result<ServeOptions> MakeServeOptions(Program& program, const Deployment& deployment,
                                      bool with_processor,
                                      std::unique_ptr<log::KafkaGroupOffsets>* offsets);

Result<ExitCode> RunServe(Program& program, std::string_view target);

}  // namespace alertstream::cli

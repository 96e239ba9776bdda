// SimDatabase: the tables of the read model as far as the simulator looks at them: the position row
// and the rows of decisions and events, with transactions, the row lock of the position, and
// commits whose answer is lost. It knows the projections' statements by their names. Belongs to the
// world's thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "projections/sql/database.h"
#include "tests/simulation/world.h"

namespace alertstream::simulation {

enum class DatabaseFault : std::uint8_t { kNone, kAnswerLost, kRequestLost };

class SimDatabase {
 public:
  struct Tables {
    // Parameters of the statement that wrote it, in its order; empty: no row yet.
    std::vector<std::optional<std::string>> position;
    // "acme evt_…" to how many such rows there are.
    std::map<std::string, int> decisions;
    std::map<std::string, int> events;
    std::map<std::string, int> notifications;
    std::map<std::string, std::int64_t> sends;  // Of quota_usage, by tenant.
    std::int64_t Seq() const;
  };

  const Tables& tables() const { return tables_; }
  // The highest position that was ever committed.
  std::int64_t seq_max() const { return seq_max_; }

  std::map<const Process*, Micros> away_until;
  std::map<const Process*, DatabaseFault> faults;

 private:
  friend class SimSession;
  Tables tables_;
  const void* lock_ = nullptr;  // The session that has changed the position row.
  std::int64_t seq_max_ = 0;
};

class SimSession final : public sql::Session {
 public:
  SimSession(World& world, SimDatabase& database, const Process& process)
      : world_(world), database_(database), process_(process) {}
  ~SimSession() override { Rollback(); }

  Result<sql::Rows> Run(const sql::Statement& statement, const sql::Params& params) override;
  // What is simulated is the projector's session, which keeps no tenant.
  Status KeepTenant(const std::string& tenant) override;
  std::string_view tenant() const override { return {}; }
  Status Begin(const sql::TransactionOptions& options) override;
  Status Commit() override;
  void Rollback() override;
  Status RunScript(const std::string& script) override;
  Status Listen(const char* channel) override;
  Result<std::vector<std::string>> AwaitPayloads(std::chrono::milliseconds timeout) override;
  bool alive() const override { return alive_; }

 private:
  // A way to the server and back. False: it is gone, and so is the transaction.
  bool Reach();
  Error Gone();
  Result<sql::Rows> MovePosition(const sql::Params& params);
  void AddRows(const std::string& name, const sql::Params& params);

  World& world_;
  SimDatabase& database_;
  const Process& process_;
  bool alive_ = true;
  bool open_ = false;
  SimDatabase::Tables added_;  // By this transaction.
};

}  // namespace alertstream::simulation

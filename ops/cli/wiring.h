// Wiring: from settings to what the commands work with: the log, its identity, the token key, the
// state stores and the processor. The one place besides adapters' tests that knows concrete
// adapters. Used by the program's main; belongs to one thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/identity/account_store.h"
#include "ops/cli/settings.h"
#include "ops/identity/keys_file.h"
#include "processor/base/clock.h"
#include "processor/base/crypto.h"
#include "processor/base/metrics.h"
#include "processor/log/event_log.h"
#include "processor/log/kafka/kafka_log.h"
#include "processor/runtime/identity.h"
#include "processor/runtime/processor.h"
#include "processor/state/state_store.h"

namespace alertstream::cli {

enum class LogAccess : std::uint8_t {
  kRead,    // Beside a running process; nothing is created.
  kWrite,   // The log must be there.
  kCreate,  // Topics, markers and the token key are made if they are missing.
  kSeed,    // As kCreate, for the seeder alone: beside its mark, and nothing waits for the disk.
};

struct Deployment {
  std::unique_ptr<log::EventLog> log;
  HmacKey token_key{""};
  runtime::LogIdentity identity;
};

// How long one question to the log may take.
std::chrono::milliseconds AskTimeout(const Settings& settings);

// How to reach the cluster of `target`.
log::KafkaLogOptions KafkaOptions(const Settings& settings, const LogTarget& target);

// Does `work` while no process owns the local log in `directory`, which is there, and none can
// begin to. kConflict: one owns it, which is named, and nothing was done; else what `work` answers.
Status WhileNobodyOwnsLog(const std::string& directory, const std::function<Status()>& work);

// The log alone: for commands that ask whether there are topics at all.
Result<std::unique_ptr<log::EventLog>> OpenLog(const Settings& settings, Clock& clock,
                                               LogAccess access);

// The token key of the settings, else the one in the data directory, which kCreate makes.
Result<HmacKey> OpenTokenKey(const Settings& settings, LogAccess access);

// Log, key and identity, checked against each other. kDenied: the log has another token key.
Result<Deployment> OpenDeployment(const Settings& settings, Clock& clock, LogAccess access);

// What a processor needs to own the partitions that `assigned` names (ParseAssigned): a state store
// for each below the data directory, and the settings.
struct Ownership {
  std::string instance;
  std::string assigned;
};
Result<runtime::ProcessorOptions> MakeProcessorOptions(const Settings& settings,
                                                       const Deployment& deployment,
                                                       const Ownership& ownership);

// A store of this process besides those of partitions, such as "idempotency"; below the same
// directory.
Result<std::unique_ptr<state::StateStore>> OpenSideStore(const Settings& settings,
                                                         const log::EventLog& log,
                                                         const std::string& name);

// keys.toml, followed while it lives: what becomes of a change is logged and counted.
// `adjust_account` may be empty.
Result<std::unique_ptr<identity::KeysFile>> OpenKeys(const Settings& settings, Metrics& metrics,
                                                     identity::AccountAdjuster adjust_account);
std::string KeysPath(const Settings& settings);
// What the file has and tables may not contradict. `keys` outlives it.
api::ConfiguredAccounts ConfiguredIn(const identity::KeysFile& keys);

// Where the crash marker of a partition lies.
std::string CrashMarkerPath(const Settings& settings, const log::EventLog& log,
                            std::int32_t partition);

// Where the progress of a partition that restores or catches up lies, for `status`.
std::string ProgressPath(const Settings& settings, const log::EventLog& log,
                         std::int32_t partition);

// The state of a partition as it lies in `directory`, for looking at (state_reader.h).
Result<std::unique_ptr<state::StateStore>> OpenStateDirectory(const std::string& directory);
// Where the snapshots of this log's states lie.
std::string SnapshotsPath(const Settings& settings, const log::EventLog& log,
                          const runtime::LogIdentity& identity);
// Opens or makes the state of `partition` in `directory`/<partition>: for `replay run`.
Result<std::unique_ptr<state::StateStore>> OpenStateFor(const std::string& directory,
                                                        std::int32_t partition);

// Stores in a temporary directory that is removed with this object: for audits.
class ScratchStores {
 public:
  static Result<std::unique_ptr<ScratchStores>> Create();
  ~ScratchStores();
  ScratchStores(const ScratchStores&) = delete;
  ScratchStores& operator=(const ScratchStores&) = delete;

  // Thread-safe.
  Result<std::unique_ptr<state::StateStore>> Open(std::int32_t partition);

 private:
  explicit ScratchStores(std::string directory);
  struct Memory;
  std::string directory_;
  std::unique_ptr<Memory> memory_;
};

}  // namespace alertstream::cli

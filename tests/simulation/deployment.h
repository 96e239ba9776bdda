// Deployment: the processes of one simulated run, made of the real parts behind simulated ports,
// and the faults that a plan does to them. A process that dies starts again, as its supervisor
// would have it. Belongs to the world's thread.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "processor/runtime/replayer.h"
#include "processor/runtime/task.h"
#include "tests/simulation/models/journal_model.h"
#include "tests/simulation/models/violation.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/sim_database.h"
#include "tests/simulation/sim_log.h"
#include "tests/simulation/sim_provider.h"
#include "tests/simulation/sim_store.h"
#include "tests/simulation/workload.h"
#include "tests/simulation/world.h"

namespace alertstream::simulation {

struct RunOptions {
  bool verbose = false;
};

class Deployment {
 public:
  Deployment(std::uint64_t seed, const FaultPlan& plan, const RunOptions& options);
  ~Deployment();

  // Everything: faults, rest, the models.
  Violations Run();

  std::uint64_t digest() const { return world_.digest(); }
  std::uint64_t steps() const { return world_.steps(); }
  Micros rested_after() const { return rested_after_; }

 private:
  struct Owned;

  Process& At(Role role) { return processes_[static_cast<std::size_t>(role)]; }
  void Say(const Process& process, const std::string& what) const;
  void Fail(const char* invariant, const std::string& what);
  void Happen(const Fault& fault);
  void HappenTo(const Fault& fault, Process& process);
  void EndFaults();

  // Bodies of fibers.
  void LiveProcessor(std::size_t index);
  void LiveStandby();
  void LiveDispatcher(std::size_t index);
  void LiveProjector(std::size_t index);
  Status Dispatch(std::size_t index);
  Status Project(std::size_t index);
  bool WaitForTurn(std::size_t index);
  Status Own(std::size_t index, const std::shared_ptr<Owned>& owned);
  Status RunTask(std::size_t index, Owned& owned);
  void React(std::size_t index, const Status& ended);
  Status Follow(log::EventLog& log, std::unique_ptr<runtime::PartitionState>& state,
                state::StateStore& store);
  runtime::PartitionConfig ConfigOf() const;
  void Revive(Process& process);
  void Rest(Process& process, Micros duration);

  // After the run.
  bool AtRest() const;
  std::string WhatIsMissing() const;
  void CheckAfterwards();
  void CheckRoots(const std::string& journal_root);
  void CheckAuditNoticesChanges(const History& history);
  bool AuditNotices();

  const std::uint64_t seed_;
  const FaultPlan plan_;
  const RunOptions options_;
  World world_;
  SimBroker broker_{world_};
  std::array<Process, kRoles> processes_;
  Process outside_{.name = "world"};
  SimLog outside_log_{world_, broker_, nullptr};
  std::vector<std::unique_ptr<SimLog>> logs_;          // As processes_.
  std::vector<std::unique_ptr<ProcessClock>> clocks_;  // As processes_.
  std::unique_ptr<runtime::StoryWriter> writer_;
  std::unique_ptr<Workload> workload_;
  std::array<SimDisk, 3> disks_;  // Of both processors and the standby.
  SimProvider provider_{world_};
  SimDatabase database_;
  std::array<bool, kRoles> wanted_{};  // Who wants to own the partition.
  std::array<bool, 2> restart_{};
  Micros race_at_{};  // When processors that were told to start anew may do so.
  std::string standby_root_;
  std::uint64_t standby_seq_ = 0;
  std::string owner_root_;
  std::uint64_t owner_seq_ = 0;
  std::uint64_t seen_seq_ = 0;  // The highest that anybody has accepted.
  bool strays_ = false;
  bool faults_over_ = false;
  Micros rested_after_{};
  Violations violations_;
};

}  // namespace alertstream::simulation

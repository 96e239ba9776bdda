// Processor: the tasks of all partitions that this instance is configured to own, each on a thread
// of its own (a transactional commit blocks its thread, so a pool could not be smaller), with their
// leases, snapshots, retries and what health and metrics need to know. A partition may be followed
// instead (standby): decided again behind its owner, compared root by root, and taken over when the
// processor is told to, or when the owner's lease is stale.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "processor/base/clock.h"
#include "processor/base/crypto.h"
#include "processor/log/event_log.h"
#include "processor/runtime/horizon.h"
#include "processor/runtime/identity.h"
#include "processor/runtime/lease_book.h"
#include "processor/runtime/replayer.h"
#include "processor/runtime/sources.h"
#include "processor/runtime/state_snapshots.h"
#include "processor/runtime/task.h"
#include "processor/state/state_store.h"

namespace alertstream::runtime {

// More would be more threads than one process should have; use more instances.
inline constexpr std::size_t kPartitionsPerProcessMax = 64;

// A task that ended with an error starts again after this.
inline constexpr std::chrono::seconds kRestartAfter{5};
// How often on_progress is called while something long is under way.
inline constexpr std::chrono::seconds kProgressEvery{1};

// Why a standby takes over.
enum class TakeOverCause : std::uint8_t { kOrder, kStaleLease };

struct ProcessorOptions {
  std::vector<std::int32_t> partitions;  // Those that this instance owns.
  HmacKey token_key{""};
  TaskOptions task;
  // Tells this process from others of its instance's name: 16 random bytes. Those of the directory
  // of its state, which one process at a time can have open, so that whoever starts again after a
  // crash knows its own leases; empty: new ones.
  std::string process;
  // The first start of each partition, although another instance's lease is live.
  bool take_over = false;
  std::vector<std::int32_t> standby;  // Of `partitions`: those that are followed first.
  bool auto_take_over = false;        // Followed ones, when the owner's lease is stale.
  SnapshotPolicy snapshots;
  std::size_t cache_bytes = 128 << 20;  // Of all partitions together.
  // Opens the store of a partition; called again after an error.
  std::function<Result<std::unique_ptr<state::StateStore>>(std::int32_t partition)> open_store;
  // Where the crash marker of a partition lies; nothing: none is kept.
  std::function<std::string(std::int32_t partition)> crash_marker_path;
  // Called on the task's thread after each committed batch, before the next one.
  std::function<void(std::int32_t partition, const BatchReport& report)> on_batch;
  // Called when a partition's phase or error changes; no personal data in it.
  std::function<void(std::int32_t partition, const std::string& phase, const std::string& error)>
      on_phase;
  // Called on the task's thread for every failed attempt of it, also those that are repeated.
  std::function<void(std::int32_t partition, const Error& error)> on_error;
  // Of the partition's thread; may be empty.
  std::function<void(std::int32_t partition, const SnapshotNote& note)> on_snapshot;
  std::function<void(std::int32_t partition, const std::string& phase, const Progress& progress)>
      on_progress;
  std::function<void(std::int32_t partition, TakeOverCause cause)> on_take_over;
  // It was fenced too often to take over by itself for a while.
  std::function<void(std::int32_t partition)> on_back_off;
};

struct PartitionStatus {
  std::int32_t partition = 0;
  // starting, restoring, catching_up, owner, standby, holding, waiting_for_log, stopped
  std::string phase;
  std::string error;  // Why it is not owner; no personal data.
  std::uint64_t seq = 0;
  std::uint64_t owner_epoch = 0;
  double lag_seconds = 0;
  bool idle = false;
  double held_seconds =
      0;  // Since when site events wait for the permission topics; 0: they do not.
  double held_seconds_total = 0;       // How long they have waited altogether.
  std::size_t cache_bytes = 0;         // Of the write-back map.
  Progress progress;                   // Of restoring and catching_up.
  std::uint64_t snapshot_seq = 0;      // The newest snapshot that this process made or restored.
  std::uint64_t followed_batches = 0;  // As a standby: batches whose roots agreed,
  std::uint64_t mismatches = 0;        // and those that did not come out the same.
  std::chrono::microseconds followed_at{};  // When it was last as far as the journal.
  bool backed_off = false;                  // It was fenced too often to take over by itself.
  // Of each input, index as in schemas::kInputTopics: everything below was consumed. 0: not known.
  std::array<std::int64_t, schemas::kInputTopicCount> positions{};
};

class Processor {
 public:
  Processor(log::EventLog& log, Clock& clock, ProcessorOptions options);
  ~Processor();

  // Starts all threads; returns at once.
  void Start();
  // Commits what is under way, writes the state out, releases the leases. Blocks, at most about the
  // commit time-out; a standby, or one that is starting, two seconds.
  void Stop();

  std::vector<PartitionStatus> Status() const;
  // True if every partition is owned or followed and none is held or stopped.
  bool Ready() const;
  // Blocks until every partition has consumed everything that the log held when this was called, or
  // `timeout` passed (kUnavailable, naming the partition and its error). A partition that can only
  // be helped by a person ends the wait with its error.
  alertstream::Status WaitUntilDrained(std::chrono::milliseconds timeout);

 private:
  struct Slot;
  void RunPartition(Slot& slot);
  alertstream::Status RunOnce(Slot& slot);
  alertstream::Status RunOpened(Slot& slot, const OpenedState& opened);
  alertstream::Status RunTask(Slot& slot, PartitionTask& task, const OpenedState& opened);
  Result<OpenedState> OpenPartition(Slot& slot, const LogIdentity& identity);
  Result<bool> Follow(Slot& slot, const OpenedState& opened);
  alertstream::Status CheckNamesake(Slot& slot);
  std::optional<TakeOverCause> WantedOf(Slot& slot);
  void SetFollowed(Slot& slot, const PartitionState& state, const ReplayProgress& progress);
  void MakeSnapshot(Slot& slot, SnapshotMaker& maker, const OpenedState& opened);
  void NoteSnapshot(Slot& slot, const SnapshotNote& note);
  void TellProgress(Slot& slot, const Progress& progress);
  // processor_leases.cc
  struct HeldLease {
    std::string instance;
    std::string process;  // Empty: an older program's.
    std::uint64_t epoch = 0;
    LogTime at;
    std::int64_t offset = 0;
  };
  alertstream::Status CheckLease(Slot& slot);
  alertstream::Status CheckLeaseAgain(Slot& slot);
  Result<std::vector<HeldLease>> AskForLeases(Slot& slot, log::Appended* probed);
  Result<std::vector<HeldLease>> ReadLeases(std::int32_t partition, std::int64_t last,
                                            std::int64_t distance);
  Error IsOwned(const Slot& slot, const std::string& instance) const;
  Error NameUsedTwice(const Slot& slot) const;
  log::NewRecord LeaseRecord(std::int32_t partition, std::string_view key,
                             std::string_view bytes) const;
  alertstream::Status AppendLease(Slot& slot);
  void RunLeases();
  void WriteLeases(bool last);
  void ReadOwnership(std::optional<Sources>* ownership);
  void SetPhase(Slot& slot, const std::string& phase, const std::string& error);

  log::EventLog& log_;
  Clock& clock_;
  const ProcessorOptions options_;
  const std::string process_ =
      options_.process.size() == kProcessBytes ? options_.process : RandomBytes(kProcessBytes);
  const log::Header process_header_{kProcessHeader, process_};
  PermissionHorizon horizon_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::thread lease_thread_;
  std::atomic<bool> stop_{false};
};

}  // namespace alertstream::runtime

// A partition's state and its snapshots: opens the state, or the newest snapshot that proves whole
// if it is lost or damaged, or an empty one if there is none; and makes a snapshot when one is due.
// Used by the processor; a partition's calls come from its thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "processor/base/clock.h"
#include "processor/runtime/partition_state.h"
#include "processor/state/snapshot_store.h"

namespace alertstream::runtime {

// How far something long has come: keys that were verified, journal records that were folded again.
struct Progress {
  std::uint64_t done = 0;
  std::uint64_t total = 0;  // An estimate; 0: nothing is under way.
  double per_second = 0;
  double eta_seconds = 0;
};

// Measures a rate over the whole of what it is told. Belongs to one thread.
class ProgressMeter {
 public:
  explicit ProgressMeter(Clock& clock) : clock_(clock), began_(clock.SinceBoot()) {}
  Progress At(std::uint64_t done, std::uint64_t total);

 private:
  Clock& clock_;
  std::chrono::microseconds began_;
  std::optional<std::uint64_t> first_;
};

struct SnapshotPolicy {
  // Also owned by whoever made the options; null: no snapshots are made or restored.
  std::shared_ptr<state::SnapshotStore> store;
  std::chrono::microseconds every{std::chrono::minutes(10)};
  std::uint64_t batches = 50'000;  // Or after so many, if they come sooner.
  std::size_t kept = 3;            // 0: none are made; those that are there are restored.
};

// What became of a snapshot, for the log and for metrics.
enum class SnapshotEvent : std::uint8_t { kMade, kFailed, kRestored, kRefused };
struct SnapshotNote {
  SnapshotEvent event = SnapshotEvent::kMade;
  std::uint64_t seq = 0;
  std::chrono::microseconds took{};
  std::string error;  // Why it failed or was refused.
};

struct OpenStateOptions {
  std::function<Result<std::unique_ptr<state::StateStore>>(std::int32_t partition)> open_store;
  state::SnapshotStore* snapshots = nullptr;  // Null: a damaged state is an error.
  // The store failed while it was used, or was not what the journal says: it is not opened again.
  bool damaged = false;
  // The journal has other roots at these points: no snapshot of them is restored.
  std::set<std::uint64_t> differing;
  std::function<void(const SnapshotNote&)> note;  // May be empty.
  std::function<void(const Progress&)> progress;  // Of a verification; may be empty.
  std::function<bool()> cancelled;                // Ends it with kUnavailable; may be empty.
};

struct OpenedState {
  std::unique_ptr<state::StateStore> store;  // Outlives `state`.
  std::unique_ptr<PartitionState> state;
};

// The errors of PartitionState::Open and of the store. A state of another log is never replaced. An
// error that may pass (kUnavailable) is returned: it says nothing about a state or a snapshot. The
// first damaged state stays put aside whatever is tried after it.
Result<OpenedState> OpenState(const PartitionConfig& config, Clock& clock,
                              const OpenStateOptions& options);

// Of one opened state.
class SnapshotMaker {
 public:
  SnapshotMaker(const SnapshotPolicy& policy, Clock& clock, const PartitionState& state);

  bool Due(const PartitionState& state) const;
  // REQUIRES: `state` was flushed to `store`. A failure is in the note; the next one is due after
  // as long as after a success.
  SnapshotNote Make(const PartitionState& state, state::StateStore& store);

 private:
  const SnapshotPolicy& policy_;
  Clock& clock_;
  std::chrono::microseconds last_at_;
  std::uint64_t last_seq_;
};

}  // namespace alertstream::runtime

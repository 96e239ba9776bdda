#include "processor/runtime/state_snapshots.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace alertstream::runtime {
namespace {

Error Differs(const state::Snapshot& snapshot, std::string_view what) {
  return Error(ErrorCode::kCorrupt, fmt::format("the snapshot at seq {} of partition {}: {}",
                                                snapshot.seq, snapshot.partition, what));
}

// Whether what was restored is what the snapshot's name says, to the last key.
Status Verify(const state::Snapshot& snapshot, const PartitionState& state,
              state::StateStore& store, Clock& clock, const OpenStateOptions& options) {
  if (state.tail().seq != snapshot.seq || AsView(state.tail().hash) != snapshot.journal_hash ||
      state.map_root() != snapshot.root) {
    return Differs(snapshot, "its state stands elsewhere than its manifest says");
  }
  ProgressMeter meter(clock);
  const auto sum = state::SumOf(store, [&](std::uint64_t keys) {
    if (options.progress) {
      options.progress(meter.At(keys, std::max(keys, snapshot.keys)));
    }
    return !options.cancelled || !options.cancelled();
  });
  ALERTSTREAM_RETURN_IF_ERROR(sum);
  if (sum.value() != snapshot.root) {
    return Differs(snapshot, "its keys do not add up to its state root");
  }
  return Status::Ok();
}

Result<OpenedState> Open(const PartitionConfig& config, const OpenStateOptions& options) {
  OpenedState opened;
  ALERTSTREAM_ASSIGN_OR_RETURN(opened.store, options.open_store(config.fold.partition));
  ALERTSTREAM_ASSIGN_OR_RETURN(opened.state, PartitionState::Open(config, *opened.store));
  return opened;
}

void Note(const OpenStateOptions& options, const SnapshotNote& note) {
  if (options.note) {
    options.note(note);
  }
}

// Of a snapshot: another one may be better. Any other error would come again with the next one, or
// not come again with this one.
bool IsRefusal(const Error& error) {
  return error.code() == ErrorCode::kCorrupt || error.code() == ErrorCode::kConflict;
}

// The newest snapshot that proves whole; nothing if there is none.
Result<std::optional<OpenedState>> OpenSnapshot(const PartitionConfig& config, Clock& clock,
                                                const OpenStateOptions& options) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto snapshots,
                               options.snapshots->List(config.fold.partition));
  for (const auto& snapshot : snapshots) {
    const auto began = clock.SinceBoot();
    bool restored = false;
    const auto attempt = [&]() -> Result<OpenedState> {
      if (options.differing.contains(snapshot.seq)) {
        return Differs(snapshot, "the journal has another root");
      }
      ALERTSTREAM_RETURN_IF_ERROR(options.snapshots->Restore(snapshot));
      restored = true;
      ALERTSTREAM_ASSIGN_OR_RETURN(auto opened, Open(config, options));
      ALERTSTREAM_RETURN_IF_ERROR(Verify(snapshot, *opened.state, *opened.store, clock, options));
      return opened;
    };
    auto opened = attempt();
    if (!opened.ok() && restored) {
      ALERTSTREAM_RETURN_IF_ERROR(options.snapshots->Discard(config.fold.partition));
    }
    if (!opened.ok() && !IsRefusal(opened.error())) {
      return opened.error();
    }
    const SnapshotNote note{
        .event = opened.ok() ? SnapshotEvent::kRestored : SnapshotEvent::kRefused,
        .seq = snapshot.seq,
        .took = clock.SinceBoot() - began,
        .error = opened.ok() ? std::string() : opened.error().message()};
    Note(options, note);
    if (opened.ok()) {
      return std::optional<OpenedState>(std::move(opened).value());
    }
  }
  return std::optional<OpenedState>();
}

}  // namespace

Progress ProgressMeter::At(std::uint64_t done, std::uint64_t total) {
  if (!first_) {
    first_ = done;
  }
  Progress progress{.done = done, .total = total};
  const double seconds = static_cast<double>((clock_.SinceBoot() - began_).count()) / 1e6;
  if (seconds > 0 && done > *first_) {
    progress.per_second = static_cast<double>(done - *first_) / seconds;
    progress.eta_seconds =
        total > done ? static_cast<double>(total - done) / progress.per_second : 0;
  }
  return progress;
}

Result<OpenedState> OpenState(const PartitionConfig& config, Clock& clock,
                              const OpenStateOptions& options) {
  if (options.snapshots == nullptr) {
    return Open(config, options);
  }
  if (!options.damaged) {
    auto opened = Open(config, options);
    if (!opened.ok() && opened.error().code() != ErrorCode::kCorrupt) {
      return opened;
    }
    if (opened.ok()) {
      ALERTSTREAM_ASSIGN_OR_RETURN(const auto snapshots,
                                   options.snapshots->List(config.fold.partition));
      if (opened.value().state->tail().seq > 0 || snapshots.empty()) {
        return opened;
      }
      // Nothing that anybody would look at: what was put aside before stays there.
      opened.value().state.reset();
      opened.value().store.reset();
      ALERTSTREAM_RETURN_IF_ERROR(options.snapshots->Discard(config.fold.partition));
    } else {
      Note(options, {.event = SnapshotEvent::kRefused, .error = opened.error().message()});
    }
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(auto restored, OpenSnapshot(config, clock, options));
  if (restored) {
    return std::move(*restored);
  }
  // From the beginning: what is there, if anything, is damaged.
  ALERTSTREAM_RETURN_IF_ERROR(options.snapshots->PutAside(config.fold.partition));
  return Open(config, options);
}

SnapshotMaker::SnapshotMaker(const SnapshotPolicy& policy, Clock& clock,
                             const PartitionState& state)
    : policy_(policy), clock_(clock), last_at_(clock.SinceBoot()), last_seq_(state.tail().seq) {}

bool SnapshotMaker::Due(const PartitionState& state) const {
  if (policy_.store == nullptr || policy_.kept == 0 || state.tail().seq <= last_seq_) {
    return false;
  }
  return state.tail().seq - last_seq_ >= policy_.batches ||
         clock_.SinceBoot() - last_at_ >= policy_.every;
}

SnapshotNote SnapshotMaker::Make(const PartitionState& state, state::StateStore& store) {
  ALERTSTREAM_CHECK(state.flushed());
  const auto began = clock_.SinceBoot();
  const state::Snapshot snapshot{.partition = static_cast<std::int32_t>(state.partition()),
                                 .seq = state.tail().seq,
                                 .journal_hash = std::string(AsView(state.tail().hash)),
                                 .root = state.map_root(),
                                 .keys = store.KeysEstimate()};
  Status made = policy_.store->Save(snapshot, store);
  if (made.ok()) {
    made = policy_.store->Trim(snapshot.partition, policy_.kept);
  }
  last_at_ = clock_.SinceBoot();
  last_seq_ = snapshot.seq;
  return {.event = made.ok() ? SnapshotEvent::kMade : SnapshotEvent::kFailed,
          .seq = snapshot.seq,
          .took = last_at_ - began,
          .error = made.ok() ? std::string() : made.error().message()};
}

}  // namespace alertstream::runtime

#include "processor/runtime/processor.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "processor/runtime/partition_state.h"
#include "processor/runtime/processor_slot.h"

namespace alertstream::runtime {
namespace {

constexpr std::chrono::milliseconds kLogTimeout{5'000};
// A timer is at most this late on an idle partition.
constexpr std::chrono::milliseconds kIdleWait{200};
// While events are held, the horizon is looked at again after this.
constexpr std::chrono::milliseconds kHeldWait{5};
// How often a standby asks for the journal's end.
constexpr std::chrono::milliseconds kFollowEvery{100};
// A standby that was at the journal's end so recently is not behind.
constexpr std::chrono::milliseconds kFollowedFresh{500};
// What a standby waits for the log before it looks whether it is to stop.
constexpr std::chrono::milliseconds kFollowTimeout{2'000};
// What was followed is written to the store this often.
constexpr std::chrono::seconds kFollowFlushEvery{1};

}  // namespace

Processor::Processor(log::EventLog& log, Clock& clock, ProcessorOptions options)
    : log_(log),
      clock_(clock),
      options_(std::move(options)),
      horizon_(log, clock, options_.partitions) {
  ALERTSTREAM_CHECK(options_.partitions.size() <= kPartitionsPerProcessMax);
  for (const std::int32_t partition : options_.partitions) {
    auto slot = std::make_unique<Slot>(options_.task.instance, process_);
    slot->partition = partition;
    slot->standby = std::find(options_.standby.begin(), options_.standby.end(), partition) !=
                    options_.standby.end();
    slot->follows = slot->standby;
    slot->may_take_over = options_.take_over && !slot->standby;
    slot->status.partition = partition;
    slot->status.phase = "starting";
    slots_.push_back(std::move(slot));
  }
}

Processor::~Processor() { Stop(); }

void Processor::Start() {
  stop_ = false;
  horizon_.Start();
  for (auto& slot : slots_) {
    slot->thread = std::thread([this, raw = slot.get()] { RunPartition(*raw); });
  }
  if (!log_.ExclusiveWriter()) {
    lease_thread_ = std::thread([this] { RunLeases(); });
  }
}

void Processor::Stop() {
  stop_ = true;
  for (auto& slot : slots_) {
    const std::lock_guard lock(slot->mutex);
    if (slot->task != nullptr) {
      slot->task->Wake();
    }
  }
  for (auto& slot : slots_) {
    if (slot->thread.joinable()) {
      slot->thread.join();
    }
  }
  if (lease_thread_.joinable()) {
    lease_thread_.join();
  }
  horizon_.Stop();
}

void Processor::SetPhase(Slot& slot, const std::string& phase, const std::string& error) {
  bool changed = false;
  {
    const std::lock_guard lock(slot.mutex);
    changed = slot.status.phase != phase || slot.status.error != error;
    slot.status.phase = phase;
    slot.status.error = error;
  }
  if (changed && options_.on_phase) {
    options_.on_phase(slot.partition, phase, error);
  }
}

void Processor::RunPartition(Slot& slot) {
  while (!stop_) {
    const alertstream::Status ended = RunOnce(slot);
    if (stop_) {
      break;
    }
    if (options_.on_error) {
      options_.on_error(slot.partition, ended.error());
    }
    // Whatever else ended the work of an owner: nobody took it over, so it goes on owning.
    slot.follows = slot.follows || (slot.standby && ended.error().code() == ErrorCode::kFenced);
    {
      const std::lock_guard lock(slot.mutex);
      const ErrorCode code = ended.error().code();
      slot.needs_person = code == ErrorCode::kCorrupt || code == ErrorCode::kConflict ||
                          code == ErrorCode::kDenied || code == ErrorCode::kInvalid ||
                          code == ErrorCode::kNotFound;
      slot.lease_error.clear();
      slot.superseded.clear();
      slot.book.ForgetNamesake();
      slot.following = false;
      slot.status.progress = {};
    }
    SetPhase(slot, "stopped", ended.error().message());
    const auto until = clock_.SinceBoot() + kRestartAfter;
    while (!stop_ && clock_.SinceBoot() < until) {
      clock_.SleepFor(std::chrono::milliseconds(50));
    }
  }
}

// From nothing to the end of the task, or of standing by.
Status Processor::RunOnce(Slot& slot) {
  SetPhase(slot, "starting", "");
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto identity,
                               CheckMarkers(log_, options_.token_key, slot.partition, kLogTimeout));
  if (!slot.follows) {
    ALERTSTREAM_RETURN_IF_ERROR(CheckLease(slot));
    // From here on others wait: the claim comes before the lease thread's next round.
    ALERTSTREAM_RETURN_IF_ERROR(AppendLease(slot));
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const OpenedState opened, OpenPartition(slot, identity));
  alertstream::Status ended = RunOpened(slot, opened);
  if (opened.state->differs()) {
    slot.differing.insert(opened.state->tail().seq);
  }
  // A state whose files are damaged, or that is not what the journal says it is, does not mend: the
  // next start restores a snapshot.
  const alertstream::Status& store = opened.state->map().status();
  slot.damaged =
      (!store.ok() && store.error().code() == ErrorCode::kCorrupt) || opened.state->differs();
  return ended;
}

Result<OpenedState> Processor::OpenPartition(Slot& slot, const LogIdentity& identity) {
  const PartitionConfig config{
      .log_id = identity.log_id,
      .fold = {.token_key = options_.token_key,
               .partition = slot.partition,
               .partitions = identity.partitions},
      .cache_bytes = options_.cache_bytes / std::max<std::size_t>(1, slots_.size())};
  const OpenStateOptions options{
      .open_store = options_.open_store,
      .snapshots = options_.snapshots.store.get(),
      .damaged = slot.damaged,
      .differing = slot.differing,
      .note = [&](const SnapshotNote& note) { NoteSnapshot(slot, note); },
      .progress =
          [&](const Progress& progress) {
            SetPhase(slot, "restoring", "");
            TellProgress(slot, progress);
          },
      .cancelled = [this] { return stop_.load(); }};
  return OpenState(config, clock_, options);
}

Status Processor::RunOpened(Slot& slot, const OpenedState& opened) {
  TaskOptions task_options = options_.task;
  if (slot.follows) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const bool take_over, Follow(slot, opened));
    if (!take_over) {
      return opened.state->Flush();
    }
    SetPhase(slot, "starting", "");
    ALERTSTREAM_RETURN_IF_ERROR(AppendLease(slot));
  } else {
    task_options.before_fence = [&] { return CheckLeaseAgain(slot); };
  }
  SetPhase(slot, "catching_up", "");
  task_options.cancelled = [this] { return stop_.load(); };
  ProgressMeter meter(clock_);
  task_options.on_catch_up = [&](std::int64_t at, std::int64_t end) {
    TellProgress(slot, meter.At(static_cast<std::uint64_t>(at), static_cast<std::uint64_t>(end)));
  };
  if (options_.crash_marker_path) {
    task_options.crash_marker_path = options_.crash_marker_path(slot.partition);
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto task, PartitionTask::Start(log_, *opened.state, horizon_, clock_, task_options));
  {
    const std::lock_guard lock(slot.mutex);
    slot.task = task.get();
    slot.owner = task->owner();
    slot.needs_person = false;
    slot.status.owner_epoch = task->owner().epoch;
    slot.status.progress = {};
    slot.positions = task->passed();
  }
  slot.may_take_over = false;
  slot.follows = false;
  SetPhase(slot, "owner", "");
  alertstream::Status ended = RunTask(slot, *task, opened);
  const std::lock_guard lock(slot.mutex);
  slot.task = nullptr;
  slot.status.idle = false;
  if (!ended.ok() && ended.error().code() == ErrorCode::kFenced) {
    slot.guard.Fenced(clock_.SinceBoot());
    slot.status.backed_off = slot.guard.BackedOff(clock_.SinceBoot());
    if (slot.status.backed_off && options_.on_back_off) {
      options_.on_back_off(slot.partition);
    }
  }
  return ended;
}

// Decides behind the owner and compares, until this instance is to own the partition (true) or the
// processor stops.
Result<bool> Processor::Follow(Slot& slot, const OpenedState& opened) {
  PartitionState& state = *opened.state;
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto replayer, Replayer::Open(log_, state,
                                          {.read_timeout = kFollowTimeout,
                                           .engine_version_max = options_.task.engine_version_max,
                                           .cancelled = [this] { return stop_.load(); }}));
  SnapshotMaker maker(options_.snapshots, clock_, state);
  ProgressMeter meter(clock_);
  SetPhase(slot, "catching_up", "");
  bool reached = false;
  auto flushed_at = clock_.SinceBoot();
  while (!stop_) {
    const alertstream::Status caught_up = replayer->CatchUp([&](std::int64_t at, std::int64_t end) {
      if (!reached) {
        TellProgress(slot,
                     meter.At(static_cast<std::uint64_t>(at), static_cast<std::uint64_t>(end)));
      }
    });
    // An error of the store is none of the log, and leaves a batch half applied.
    const bool log_is_away = !caught_up.ok() && state.map().status().ok() &&
                             caught_up.error().code() == ErrorCode::kUnavailable;
    if (!caught_up.ok() && !log_is_away) {
      const std::lock_guard lock(slot.mutex);
      slot.following = false;
      slot.status.mismatches += replayer->mismatch() ? 1 : 0;
      return caught_up.error();
    }
    ALERTSTREAM_RETURN_IF_ERROR(CheckNamesake(slot));
    if (caught_up.ok()) {
      reached = true;
      SetFollowed(slot, state, replayer->progress());
      SetPhase(slot, "standby", "");
    } else if (!stop_) {
      SetPhase(slot, "waiting_for_log", caught_up.error().message());
    }
    if (clock_.SinceBoot() - flushed_at > kFollowFlushEvery) {
      flushed_at = clock_.SinceBoot();
      ALERTSTREAM_RETURN_IF_ERROR(state.Flush());
    }
    MakeSnapshot(slot, maker, opened);
    if (const auto cause = reached ? WantedOf(slot) : std::nullopt) {
      if (options_.on_take_over) {
        options_.on_take_over(slot.partition, *cause);
      }
      return true;
    }
    clock_.SleepFor(kFollowEvery);
  }
  const std::lock_guard lock(slot.mutex);
  slot.following = false;
  return false;
}

// A standby that shares its name could not tell the owner's records from its own.
Status Processor::CheckNamesake(Slot& slot) {
  const std::lock_guard lock(slot.mutex);
  if (!slot.book.name_used_twice()) {
    return alertstream::Status::Ok();
  }
  slot.following = false;
  return NameUsedTwice(slot);
}

// Why this standby is to take over now, if it is.
std::optional<TakeOverCause> Processor::WantedOf(Slot& slot) {
  const std::lock_guard lock(slot.mutex);
  const std::uint64_t epoch = slot.status.owner_epoch;
  slot.status.backed_off = slot.guard.BackedOff(clock_.SinceBoot());
  std::optional<TakeOverCause> cause;
  if (!slot.lease_error.empty()) {
    return cause;  // With a wrong clock it would lose the partition at once.
  }
  if (slot.book.Ordered(epoch)) {
    cause = TakeOverCause::kOrder;
  } else if (options_.auto_take_over && !slot.status.backed_off && slot.book.Stale(epoch)) {
    cause = TakeOverCause::kStaleLease;
  }
  slot.following = !cause;
  return cause;
}

void Processor::SetFollowed(Slot& slot, const PartitionState& state,
                            const ReplayProgress& progress) {
  const std::lock_guard lock(slot.mutex);
  slot.following = true;
  slot.needs_person = false;
  slot.status.seq = state.tail().seq;
  slot.status.owner_epoch = state.tail().owner_epoch;
  slot.status.followed_batches = progress.batches;
  slot.status.progress = {};
  slot.status.cache_bytes = state.map_bytes();
  slot.status.followed_at = clock_.SinceBoot();
}

void Processor::MakeSnapshot(Slot& slot, SnapshotMaker& maker, const OpenedState& opened) {
  if (maker.Due(*opened.state) && opened.state->Flush().ok()) {
    NoteSnapshot(slot, maker.Make(*opened.state, *opened.store));
  }
}

void Processor::NoteSnapshot(Slot& slot, const SnapshotNote& note) {
  if (note.event == SnapshotEvent::kMade || note.event == SnapshotEvent::kRestored) {
    const std::lock_guard lock(slot.mutex);
    slot.status.snapshot_seq = note.seq;
  }
  if (options_.on_snapshot) {
    options_.on_snapshot(slot.partition, note);
  }
}

void Processor::TellProgress(Slot& slot, const Progress& progress) {
  const auto now = clock_.SinceBoot();
  if (now - slot.progress_at < kProgressEvery) {
    return;
  }
  slot.progress_at = now;
  std::string phase;
  {
    const std::lock_guard lock(slot.mutex);
    slot.status.progress = progress;
    phase = slot.status.phase;
  }
  if (options_.on_progress) {
    options_.on_progress(slot.partition, phase, progress);
  }
}

Status Processor::RunTask(Slot& slot, PartitionTask& task, const OpenedState& opened) {
  SnapshotMaker maker(options_.snapshots, clock_, *opened.state);
  while (!stop_) {
    {
      const std::lock_guard lock(slot.mutex);
      if (!slot.lease_error.empty()) {
        return Error(ErrorCode::kInvalid, slot.lease_error);
      }
      if (!slot.superseded.empty()) {
        // A commit would say so too; an idle partition commits nothing.
        return Error(ErrorCode::kFenced, fmt::format("partition {}: instance '{}' took over",
                                                     slot.partition, slot.superseded));
      }
    }
    auto ran = task.RunOnce();
    if (!ran.ok()) {
      if (!task.CanGoOn(ran.error())) {
        return ran.error();
      }
      if (options_.on_error) {
        options_.on_error(slot.partition, ran.error());
      }
      SetPhase(slot, "waiting_for_log", ran.error().message());
      clock_.SleepFor(std::chrono::milliseconds(100));
      continue;
    }
    const auto& report = ran.value();
    const bool held =
        report ? report->held : (!task.idle() || !task.horizon_known()) && !task.stopped();
    if (held != (slot.held_since.count() != 0)) {
      const auto now = clock_.SinceBoot();
      slot.held_before += held ? std::chrono::microseconds(0) : now - slot.held_since;
      slot.held_since = held ? now : std::chrono::microseconds(0);
    }
    {
      const std::lock_guard lock(slot.mutex);
      slot.owner = task.owner();
      slot.status.owner_epoch = task.owner().epoch;
      slot.status.seq = task.state().tail().seq;
      slot.status.idle = !report && task.idle();
      slot.status.lag_seconds = report ? static_cast<double>(report->lag.count()) / 1e6 : 0.0;
      slot.status.held_seconds =
          held ? static_cast<double>((clock_.SinceBoot() - slot.held_since).count()) / 1e6 : 0.0;
      slot.status.held_seconds_total =
          static_cast<double>(slot.held_before.count()) / 1e6 + slot.status.held_seconds;
      slot.status.cache_bytes = task.state().map().bytes();
      slot.positions = task.passed();
      slot.needs_person = task.stopped().has_value();
    }
    if (task.stopped()) {
      SetPhase(slot, "stopped", *task.stopped());
    } else {
      const bool long_held = held && clock_.SinceBoot() - slot.held_since > std::chrono::seconds(1);
      SetPhase(
          slot, long_held ? "holding" : "owner",
          long_held ? "the ends of the permission topics are not known; site events wait" : "");
    }
    if (report && options_.on_batch) {
      options_.on_batch(slot.partition, *report);
    }
    if (maker.Due(*opened.state)) {
      ALERTSTREAM_RETURN_IF_ERROR(task.Flush());
      if (opened.state->flushed()) {
        NoteSnapshot(slot, maker.Make(*opened.state, *opened.store));
      }
    }
    if (report) {
      continue;
    }
    if (held || task.stopped()) {
      // There may be records that are not taken: the reader would not wait.
      clock_.SleepFor(held ? kHeldWait : kIdleWait);
    } else {
      task.Wait(kIdleWait);
    }
  }
  return task.Flush();
}

std::vector<PartitionStatus> Processor::Status() const {
  std::vector<PartitionStatus> all;
  for (const auto& slot : slots_) {
    const std::lock_guard lock(slot->mutex);
    PartitionStatus status = slot->status;
    status.positions = slot->positions;
    if (slot->following) {
      // How long ago it was as far as the journal.
      const auto behind = clock_.SinceBoot() - status.followed_at;
      status.lag_seconds = status.phase == "standby" && behind < kFollowedFresh
                               ? 0
                               : static_cast<double>(behind.count()) / 1e6;
    }
    all.push_back(std::move(status));
  }
  return all;
}

bool Processor::Ready() const {
  const auto all = Status();
  return std::all_of(all.begin(), all.end(), [](const PartitionStatus& status) {
    return status.phase == "owner" || status.phase == "standby";
  });
}

Status Processor::WaitUntilDrained(std::chrono::milliseconds timeout) {
  const auto deadline = clock_.SinceBoot() + timeout;
  std::vector<log::TopicPartition> asked;
  for (const auto& slot : slots_) {
    for (const schemas::Topic topic : schemas::kInputTopics) {
      asked.push_back({topic, slot->partition});
    }
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto ends,
                               log_.Ends(asked, log::EndKind::kStable, kLogTimeout));
  for (;;) {
    std::string waiting;
    for (std::size_t s = 0; s < slots_.size(); ++s) {
      Slot& slot = *slots_[s];
      const std::lock_guard lock(slot.mutex);
      if (slot.needs_person) {
        return Error(ErrorCode::kConflict, slot.status.error);
      }
      bool drained = slot.status.idle;
      for (std::size_t i = 0; drained && i < slot.positions.size(); ++i) {
        drained = slot.positions[i] >= ends[s * schemas::kInputTopicCount + i];
      }
      if (!drained) {
        waiting = fmt::format("partition {} is {}{}{}", slot.partition, slot.status.phase,
                              slot.status.error.empty() ? "" : ": ", slot.status.error);
      }
    }
    if (waiting.empty()) {
      return alertstream::Status::Ok();
    }
    if (clock_.SinceBoot() >= deadline) {
      return Error(ErrorCode::kUnavailable, "not everything was decided in time: " + waiting);
    }
    clock_.SleepFor(std::chrono::milliseconds(2));
  }
}

}  // namespace alertstream::runtime

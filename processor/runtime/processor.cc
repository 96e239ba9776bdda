#include "processor/runtime/processor.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "processor/runtime/partition_state.h"
#include "schemas/envelope.pb.h"

namespace alertstream::runtime {
namespace {

constexpr std::chrono::milliseconds kLogTimeout{5'000};
// A timer is at most this late on an idle partition.
constexpr std::chrono::milliseconds kIdleWait{200};
// While events are held, the horizon is looked at again after this.
constexpr std::chrono::milliseconds kHeldWait{5};
// The newest leases that are looked at: one every kLeaseEvery during kLeaseLive, from a few
// instances, with transaction markers between them.
constexpr std::int64_t kLeasesLookedAt = 200;

}  // namespace

struct Processor::Slot {
  std::int32_t partition = 0;
  std::thread thread;
  mutable std::mutex mutex;
  PartitionStatus status;         // Guarded by mutex.
  PartitionTask* task = nullptr;  // Guarded by mutex; while it is owned.
  Owner owner;                    // Guarded by mutex.
  std::string lease_error;        // Guarded by mutex: a skew found by the lease thread.
  std::array<std::int64_t, schemas::kInputTopicCount> positions{};  // Passed; guarded by mutex.
  std::chrono::microseconds held_since{};
  std::chrono::microseconds held_before{};  // The waits that are over.
  bool needs_person = false;                // Guarded by mutex: waiting does not help.
};

Processor::Processor(log::EventLog& log, Clock& clock, ProcessorOptions options)
    : log_(log),
      clock_(clock),
      options_(std::move(options)),
      horizon_(log, clock, options_.partitions) {
  ALERTSTREAM_CHECK(options_.partitions.size() <= kPartitionsPerProcessMax);
  for (const std::int32_t partition : options_.partitions) {
    auto slot = std::make_unique<Slot>();
    slot->partition = partition;
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
    lease_thread_ = std::thread([this] { WriteLeases(); });
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
    const alertstream::Status ended = RunOwned(slot);
    if (stop_) {
      break;
    }
    if (options_.on_error) {
      options_.on_error(slot.partition, ended.error());
    }
    {
      const std::lock_guard lock(slot.mutex);
      const ErrorCode code = ended.error().code();
      slot.needs_person = code == ErrorCode::kCorrupt || code == ErrorCode::kConflict ||
                          code == ErrorCode::kDenied || code == ErrorCode::kInvalid ||
                          code == ErrorCode::kNotFound;
      slot.lease_error.clear();
    }
    SetPhase(slot, "stopped", ended.error().message());
    const auto until = clock_.SinceBoot() + kRestartAfter;
    while (!stop_ && clock_.SinceBoot() < until) {
      clock_.SleepFor(std::chrono::milliseconds(50));
    }
  }
}

// When each instance wrote its newest lease that it did not release, as the records up to offset
// `last` say, from `distance` before it on.
Result<std::map<std::string, LogTime>> Processor::ReadLeases(std::int32_t partition,
                                                             std::int64_t last,
                                                             std::int64_t distance) {
  ALERTSTREAM_ASSIGN_OR_RETURN(auto leases,
                               Sources::Open(log_, {{{schemas::Topic::kOwnership, partition},
                                                     std::max<std::int64_t>(0, last - distance)}}));
  std::map<std::string, LogTime> live;
  const auto deadline = clock_.SinceBoot() + kLogTimeout;
  while (leases.Passed(0) <= last) {
    ALERTSTREAM_RETURN_IF_ERROR(leases.Fill(0, 1024, 1 << 20));
    if (leases.AtHand(0).empty()) {
      if (clock_.SinceBoot() > deadline) {
        return Error(ErrorCode::kUnavailable, "the ownership topic cannot be read");
      }
      leases.Pause(std::chrono::milliseconds(10));
      continue;
    }
    for (const auto& each : leases.AtHand(0)) {
      v1::Lease lease;
      if (each.offset == 0 ||
          !lease.ParseFromArray(each.value.data(), static_cast<int>(each.value.size()))) {
        continue;
      }
      if (lease.released()) {
        live.erase(lease.instance());
      } else {
        live[lease.instance()] = each.append_time;
      }
    }
    leases.Consume(0, leases.AtHand(0).size());
  }
  return live;
}

Status Processor::CheckLease(Slot& slot) {
  if (log_.ExclusiveWriter()) {
    return alertstream::Status::Ok();
  }
  // A record of our own tells the log's time.
  v1::Lease probe;
  probe.set_partition(static_cast<std::uint32_t>(slot.partition));
  probe.set_instance(options_.task.instance);
  probe.set_released(true);
  probe.set_at_us(ToMicros(clock_.Now()));
  const std::string bytes = probe.SerializeAsString();
  const log::NewRecord record{schemas::Topic::kOwnership, slot.partition, schemas::kLogKey, bytes};
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto appended,
                               log_.Append(std::span(&record, 1), kLogTimeout));
  ALERTSTREAM_RETURN_IF_ERROR(LogTimeSource(clock_).CheckSkew(appended[0].append_time));
  if (options_.take_over) {
    return alertstream::Status::Ok();
  }
  // The oldest leases are deleted with time: then fewer are looked at.
  std::int64_t distance = kLeasesLookedAt;
  auto live = ReadLeases(slot.partition, appended[0].offset, distance);
  while (!live.ok() && live.error().code() == ErrorCode::kCorrupt && distance > 0) {
    distance /= 2;
    live = ReadLeases(slot.partition, appended[0].offset, distance);
  }
  ALERTSTREAM_RETURN_IF_ERROR(live);
  for (const auto& [instance, at] : live.value()) {
    if (instance != options_.task.instance && appended[0].append_time - at < kLeaseLive) {
      return Error(ErrorCode::kFenced,
                   fmt::format("partition {} is owned by instance '{}', whose lease is live; stop "
                               "it, or start with --take-over",
                               slot.partition, instance));
    }
  }
  return alertstream::Status::Ok();
}

Status Processor::AppendLease(Slot& slot) {
  if (log_.ExclusiveWriter()) {
    return alertstream::Status::Ok();
  }
  v1::Lease lease;
  lease.set_partition(static_cast<std::uint32_t>(slot.partition));
  lease.set_instance(options_.task.instance);
  lease.set_at_us(ToMicros(clock_.Now()));
  const std::string bytes = lease.SerializeAsString();
  const log::NewRecord record{schemas::Topic::kOwnership, slot.partition, schemas::kLogKey, bytes};
  ALERTSTREAM_RETURN_IF_ERROR(log_.Append(std::span(&record, 1), kLogTimeout));
  return alertstream::Status::Ok();
}

Status Processor::RunOwned(Slot& slot) {
  SetPhase(slot, "starting", "");
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto identity,
                               CheckMarkers(log_, options_.token_key, slot.partition, kLogTimeout));
  ALERTSTREAM_RETURN_IF_ERROR(CheckLease(slot));
  // From here on others wait: the claim comes before the lease thread's next round.
  ALERTSTREAM_RETURN_IF_ERROR(AppendLease(slot));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto store, options_.open_store(slot.partition));
  const PartitionConfig config{
      .log_id = identity.log_id,
      .fold = {.token_key = options_.token_key,
               .partition = slot.partition,
               .partitions = identity.partitions},
      .cache_bytes = options_.cache_bytes / std::max<std::size_t>(1, slots_.size())};
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto state, PartitionState::Open(config, *store));
  SetPhase(slot, "catching_up", "");
  TaskOptions task_options = options_.task;
  task_options.cancelled = [this] { return stop_.load(); };
  if (options_.crash_marker_path) {
    task_options.crash_marker_path = options_.crash_marker_path(slot.partition);
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto task,
                               PartitionTask::Start(log_, *state, horizon_, clock_, task_options));
  {
    const std::lock_guard lock(slot.mutex);
    slot.task = task.get();
    slot.owner = task->owner();
    slot.needs_person = false;
    slot.status.owner_epoch = task->owner().epoch;
    slot.positions = task->passed();
  }
  SetPhase(slot, "owner", "");
  alertstream::Status ended = RunTask(slot, *task);
  {
    const std::lock_guard lock(slot.mutex);
    slot.task = nullptr;
    slot.status.idle = false;
  }
  return ended;
}

Status Processor::RunTask(Slot& slot, PartitionTask& task) {
  while (!stop_) {
    {
      const std::lock_guard lock(slot.mutex);
      if (!slot.lease_error.empty()) {
        return Error(ErrorCode::kInvalid, slot.lease_error);
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
    if (report) {
      if (options_.on_batch) {
        options_.on_batch(slot.partition, *report);
      }
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

void Processor::WriteLeases() {
  while (true) {
    const bool last = stop_;
    std::vector<std::string> bytes;
    std::vector<Slot*> owned;
    for (auto& slot : slots_) {
      const std::lock_guard lock(slot->mutex);
      if (slot->task == nullptr && !last) {
        continue;
      }
      v1::Lease lease;
      lease.set_partition(static_cast<std::uint32_t>(slot->partition));
      lease.set_instance(options_.task.instance);
      lease.set_owner_epoch(slot->owner.epoch);
      lease.set_owner_nonce(slot->owner.nonce);
      lease.set_released(last);
      lease.set_at_us(ToMicros(clock_.Now()));
      bytes.push_back(lease.SerializeAsString());
      owned.push_back(slot.get());
    }
    std::vector<log::NewRecord> records;
    for (std::size_t i = 0; i < owned.size(); ++i) {
      records.push_back(
          {schemas::Topic::kOwnership, owned[i]->partition, schemas::kLogKey, bytes[i]});
    }
    if (!records.empty()) {
      const auto appended =
          log_.Append(records, last ? std::chrono::milliseconds(1000) : kLogTimeout);
      if (appended.ok()) {
        for (std::size_t i = 0; i < owned.size(); ++i) {
          const auto skew = LogTimeSource(clock_).CheckSkew(appended.value()[i].append_time);
          const std::lock_guard lock(owned[i]->mutex);
          owned[i]->lease_error = skew.ok() ? "" : skew.error().message();
        }
      }
    }
    if (last) {
      return;
    }
    const auto until = clock_.SinceBoot() + kLeaseEvery;
    while (!stop_ && clock_.SinceBoot() < until) {
      clock_.SleepFor(std::chrono::milliseconds(25));
    }
  }
}

std::vector<PartitionStatus> Processor::Status() const {
  std::vector<PartitionStatus> all;
  for (const auto& slot : slots_) {
    const std::lock_guard lock(slot->mutex);
    all.push_back(slot->status);
    all.back().positions = slot->positions;
  }
  return all;
}

bool Processor::Ready() const {
  const auto all = Status();
  return std::all_of(all.begin(), all.end(),
                     [](const PartitionStatus& status) { return status.phase == "owner"; });
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

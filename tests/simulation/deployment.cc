#include "tests/simulation/deployment.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "processor/runtime/identity.h"
#include "tests/simulation/models/decision_model.h"
#include "tests/simulation/models/delivery_model.h"
#include "tests/simulation/models/journal_model.h"
#include "tests/simulation/models/projection_model.h"

namespace alertstream::simulation {
namespace {

using runtime::PartitionState;
using runtime::PartitionTask;
using schemas::Topic;
using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kLogTimeout{8'000};
// Progress is promised so soon after the last fault's end (I7).
constexpr Micros kRestWithin{30'000'000};
constexpr Micros kHorizonEvery{60'000};

// The store found it by itself; it may have been replaced meanwhile.
bool IsRot(const Error& error) { return error.message().ends_with("(bit rot)"); }

// Who owns the same thing; the standby owns nothing.
std::size_t PartnerOf(std::size_t role) {
  constexpr std::array<Role, kRoles> kPartners = {
      Role::kProcessorTwo,  Role::kProcessorOne, Role::kStandby,     Role::kDispatcherTwo,
      Role::kDispatcherOne, Role::kProjectorTwo, Role::kProjectorOne};
  return static_cast<std::size_t>(kPartners[role]);
}

}  // namespace

// What a process that owns the partition, or tries to, has in memory.
struct Deployment::Owned {
  std::unique_ptr<SimStore> store;
  std::unique_ptr<PartitionState> state;
  std::unique_ptr<runtime::PermissionHorizon> horizon;
  std::unique_ptr<PartitionTask> task;
  bool stop_horizon = false;
  bool horizon_runs = false;
};

Deployment::Deployment(std::uint64_t seed, const FaultPlan& plan, const RunOptions& options)
    : seed_(seed), plan_(plan), options_(options), world_(seed) {
  for (std::size_t i = 0; i < kRoles; ++i) {
    processes_[i].name = NameOf(static_cast<Role>(i));
    logs_.push_back(std::make_unique<SimLog>(world_, broker_, &processes_[i]));
    clocks_.push_back(std::make_unique<ProcessClock>(world_, processes_[i]));
  }
  writer_ = std::make_unique<runtime::StoryWriter>(outside_log_, 1);
  workload_ = std::make_unique<Workload>(world_, *writer_, seed);
  workload_->Setup();
  wanted_[static_cast<std::size_t>(Role::kProcessorOne)] = true;
  wanted_[static_cast<std::size_t>(Role::kDispatcherOne)] = true;
}

Deployment::~Deployment() { world_.End(); }

void Deployment::Say(const Process& process, const std::string& what) const {
  if (options_.verbose) {
    std::printf("%9.6f  %-12s %s\n", static_cast<double>(world_.now().count()) / 1e6,
                process.name.c_str(), what.c_str());
  }
}

void Deployment::Fail(const char* invariant, const std::string& what) {
  Say(outside_, fmt::format("VIOLATION {}: {}", invariant, what));
  violations_.push_back({invariant, what});
}

Violations Deployment::Run() {
  world_.Spawn(outside_, [this] { workload_->Run(kFaultsEnd); });
  for (std::size_t i = 0; i < 2; ++i) {
    world_.Spawn(processes_[i], [this, i] { LiveProcessor(i); });
  }
  world_.Spawn(At(Role::kStandby), [this] { LiveStandby(); });
  for (const Role role : {Role::kDispatcherOne, Role::kDispatcherTwo}) {
    world_.Spawn(At(role), [this, role] { LiveDispatcher(static_cast<std::size_t>(role)); });
  }
  for (const Role role : {Role::kProjectorOne, Role::kProjectorTwo}) {
    world_.Spawn(At(role), [this, role] { LiveProjector(static_cast<std::size_t>(role)); });
  }
  for (const Fault& fault : plan_) {
    world_.At(fault.at, [this, fault] { Happen(fault); });
  }
  world_.Run(kFaultsEnd);
  EndFaults();
  const Micros begun = world_.now();
  world_.Run(begun + kRestWithin, [this] { return !violations_.empty() || AtRest(); });
  rested_after_ = world_.now() - begun;
  if (violations_.empty() && !AtRest()) {
    Fail("I7", fmt::format("not at rest {} s after the last fault: {}",
                           kRestWithin.count() / 1'000'000, WhatIsMissing()));
  }
  world_.End();
  CheckAfterwards();
  return violations_;
}

// --- faults

void Deployment::EndFaults() {
  Say(outside_, "the faults are over");
  faults_over_ = true;
  broker_.ClearFaults();
  provider_.answer_time = 40ms;
  provider_.silent_until = provider_.failing_until = provider_.resetting_until = world_.now();
  database_.away_until.clear();
  database_.faults.clear();
  for (Process& process : processes_) {
    process.crash_in.reset();
    process.paused_until = world_.now();
    process.log_away_until = world_.now();
  }
}

void Deployment::Happen(const Fault& fault) {
  Process& process = At(fault.target);
  Say(process, fmt::format("FAULT {} {}", NameOf(fault.kind), fault.amount));
  HappenTo(fault, process);
}

void Deployment::HappenTo(const Fault& fault, Process& process) {
  const auto role = static_cast<std::size_t>(fault.target);
  const Micros amount{fault.amount * 1000};
  switch (fault.kind) {
    case FaultKind::kCrash:
      process.crash_in = static_cast<int>(fault.amount);
      return;
    case FaultKind::kPowerLoss:
      process.down = true;
      if (role < disks_.size()) {
        disks_[role].LosePower(static_cast<std::size_t>(fault.amount));
      }
      return;
    case FaultKind::kPause:
      process.paused_until = world_.now() + amount;
      return;
    case FaultKind::kCommitRequestLost:
      return broker_.InjectCommitFault(process, CommitFault::kRequestLost, amount);
    case FaultKind::kCommitAnswerLost:
      return broker_.InjectCommitFault(process, CommitFault::kAnswerLost, amount);
    case FaultKind::kCommitRequestLate:
      return broker_.InjectCommitFault(process, CommitFault::kRequestLate, amount);
    case FaultKind::kCommitRefused:
      return broker_.InjectCommitFault(process, CommitFault::kRefused, amount);
    case FaultKind::kSlowMarkers:
      return broker_.InjectCommitFault(process, CommitFault::kSlowMarkers, amount);
    case FaultKind::kSlowPermissions:
      for (const Topic topic : {Topic::kOptOuts, Topic::kInboundMessages, Topic::kConsentChanges}) {
        broker_.SetLag(process, topic, amount);
      }
      return;
    case FaultKind::kSlowOutputs:
      for (const Topic topic : {Topic::kNotificationCommands, Topic::kDecisions}) {
        broker_.SetLag(process, topic, amount);
      }
      return;
    case FaultKind::kLogAway:
      process.log_away_until = world_.now() + amount;
      return;
    case FaultKind::kClockStep:
      process.skew = amount;
      return;
    case FaultKind::kTakeOver:
      wanted_[role] = true;
      return;
    case FaultKind::kRace:
      wanted_[role] = true;
      wanted_[PartnerOf(role)] = true;
      if (role < restart_.size()) {
        restart_ = {true, true};
        race_at_ = world_.now() + 400ms;
        // One of them is held up somewhere in its start.
        world_.At(race_at_ + amount, [this, &process] {
          process.paused_until = std::max(process.paused_until, world_.now() + 40ms);
        });
      } else {
        process.down = true;
        processes_[PartnerOf(role)].down = true;
      }
      return;
    case FaultKind::kBitRot:
      disks_[role].Rot();
      return;
    case FaultKind::kDiskLost:
      process.down = true;
      disks_[role].Wipe();
      return;
    case FaultKind::kStrayOutput: {
      const log::TopicPartition where{
          fault.amount == 0 ? Topic::kNotificationCommands : Topic::kDecisions, 0};
      const auto& slots = broker_.Slots(where);
      for (std::size_t offset = slots.size(); offset > 1; --offset) {
        if (slots[offset - 1].state == StoredSlot::State::kVisible) {
          strays_ = true;
          broker_.CopyToEnd(where, static_cast<std::int64_t>(offset) - 1);
          return;
        }
      }
      return;
    }
    case FaultKind::kProviderSlow:
      provider_.answer_time = amount;
      return;
    case FaultKind::kProviderSilent:
      provider_.silent_until = world_.now() + amount;
      return;
    case FaultKind::kProviderErrors:
      provider_.failing_until = world_.now() + amount;
      return;
    case FaultKind::kProviderResets:
      provider_.resetting_until = world_.now() + amount;
      return;
    case FaultKind::kDatabaseAway:
      database_.away_until[&process] = world_.now() + amount;
      return;
    case FaultKind::kDatabaseAnswerLost:
      database_.faults[&process] = DatabaseFault::kAnswerLost;
      return;
    case FaultKind::kDatabaseRequestLost:
      database_.faults[&process] = DatabaseFault::kRequestLost;
      return;
  }
}

// --- processors

runtime::PartitionConfig Deployment::ConfigOf() const {
  return {.log_id = writer_->identity().log_id,
          .fold = {.token_key = runtime::StoryKey(), .partition = 0, .partitions = 1},
          .cache_bytes = 1 << 20};
}

// The supervisor starts what died, after a moment.
void Deployment::Revive(Process& process) {
  ++process.crashes;
  process.crash_in.reset();
  Say(process, "died");
  Rest(process, world_.rng().Time(5ms, 900ms));
}

// A process that does not run cannot die.
void Deployment::Rest(Process& process, Micros duration) {
  process.down = false;
  try {
    world_.Sleep(duration);
  } catch (const Crash&) {
    if (world_.ending()) {
      throw;
    }
  }
  process.down = false;
}

// False: somebody else owns the partition and this process does not want it.
bool Deployment::WaitForTurn(std::size_t index) {
  if (wanted_[index]) {
    return true;
  }
  world_.Sleep(world_.rng().Time(20ms, 400ms));
  // Nobody is left who wants it: whoever notices first.
  if (!wanted_[index] && !wanted_[PartnerOf(index)]) {
    wanted_[index] = true;
  }
  return wanted_[index];
}

void Deployment::LiveProcessor(std::size_t index) {
  Process& process = processes_[index];
  while (!world_.ending()) {
    bool died = false;
    Status ended = Status::Ok();
    // Shared with the fiber that asks for the permission topics' ends.
    const auto owned = std::make_shared<Owned>();
    try {
      if (!WaitForTurn(index)) {
        continue;
      }
      restart_[index] = false;
      if (world_.now() < race_at_) {
        world_.Sleep(race_at_ - world_.now());
      }
      ended = Own(index, owned);
    } catch (const Crash&) {
      died = true;
    }
    owned->stop_horizon = true;
    owned->task.reset();
    if (world_.ending()) {
      return;
    }
    while (owned->horizon_runs) {
      Rest(process, 1ms);
    }
    if (died) {
      Revive(process);
    } else {
      React(index, ended);
    }
  }
}

Status Deployment::Own(std::size_t index, const std::shared_ptr<Owned>& owned) {
  Process& process = processes_[index];
  log::EventLog& log = *logs_[index];
  ALERTSTREAM_RETURN_IF_ERROR(runtime::CheckMarkers(log, runtime::StoryKey(), 0, kLogTimeout));
  owned->store = std::make_unique<SimStore>(world_, disks_[index]);
  ALERTSTREAM_ASSIGN_OR_RETURN(owned->state, PartitionState::Open(ConfigOf(), *owned->store));
  owned->horizon = std::make_unique<runtime::PermissionHorizon>(log, *clocks_[index],
                                                                std::vector<std::int32_t>{0});
  Say(process, fmt::format("starts at seq {}", owned->state->tail().seq));
  runtime::TaskOptions options;
  options.instance = process.name;
  options.cancelled = [this] { return world_.ending(); };
  ALERTSTREAM_ASSIGN_OR_RETURN(
      owned->task,
      PartitionTask::Start(log, *owned->state, *owned->horizon, *clocks_[index], options));
  Say(process,
      fmt::format("owns, seq {} epoch {}", owned->state->tail().seq, owned->task->owner().epoch));
  owned->horizon_runs = true;
  world_.Spawn(process, [this, owned] {
    try {
      while (!owned->stop_horizon) {
        static_cast<void>(owned->horizon->Refresh().ok());
        world_.Sleep(kHorizonEvery);
      }
    } catch (const Crash&) {
      owned->stop_horizon = true;
    }
    owned->horizon_runs = false;
  });
  return RunTask(index, *owned);
}

Status Deployment::RunTask(std::size_t index, Owned& owned) {
  PartitionTask& task = *owned.task;
  while (!restart_[index]) {
    auto ran = task.RunOnce();
    if (!ran.ok()) {
      if (!task.CanGoOn(ran.error())) {
        return ran.error();
      }
      Say(processes_[index], ran.error().message());
      world_.Sleep(100ms);
      continue;
    }
    seen_seq_ = std::max(seen_seq_, owned.state->tail().seq);
    if (ran.value()) {
      continue;
    }
    owner_root_ = owned.state->map().root().ToBytes();
    owner_seq_ = owned.state->tail().seq;
    if (!task.idle() || !task.horizon_known()) {
      world_.Sleep(5ms);
    } else {
      task.Wait(100ms);
    }
  }
  return task.Flush();
}

// As the errors say: wait, leave it to the other one, delete the state.
void Deployment::React(std::size_t index, const Status& ended) {
  Process& process = processes_[index];
  if (ended.ok()) {
    return;
  }
  Say(process,
      fmt::format("ends: {}: {}", ErrorCodeName(ended.error().code()), ended.error().message()));
  switch (ended.error().code()) {
    case ErrorCode::kFenced:
      wanted_[index] = false;
      break;
    case ErrorCode::kCorrupt:
    case ErrorCode::kConflict:
      if (!IsRot(ended.error())) {
        Fail("I4", fmt::format("{} stops: {}", process.name, ended.error().message()));
      }
      disks_[index].Wipe();
      break;
    case ErrorCode::kInvalid:
    case ErrorCode::kDenied:
    case ErrorCode::kNotFound:
    case ErrorCode::kExhausted:
    case ErrorCode::kUnavailable:
    case ErrorCode::kUnknown:
      break;
  }
  Rest(process, world_.rng().Time(50ms, 1500ms));
}

// --- standby

void Deployment::LiveStandby() {
  Process& process = At(Role::kStandby);
  log::EventLog& log = *logs_[static_cast<std::size_t>(Role::kStandby)];
  SimDisk& disk = disks_[static_cast<std::size_t>(Role::kStandby)];
  while (!world_.ending()) {
    bool died = false;
    Status ended = Status::Ok();
    SimStore store(world_, disk);
    std::unique_ptr<PartitionState> state;
    try {
      ended = Follow(log, state, store);
    } catch (const Crash&) {
      died = true;
    }
    if (world_.ending()) {
      return;
    }
    if (died) {
      Revive(process);
      continue;
    }
    Say(process, ended.error().message());
    const ErrorCode code = ended.error().code();
    if (code == ErrorCode::kCorrupt || code == ErrorCode::kConflict) {
      if (!IsRot(ended.error())) {
        Fail("I4", fmt::format("standby stops: {}", ended.error().message()));
      }
      disk.Wipe();
    }
    Rest(process, 200ms);
  }
}

Status Deployment::Follow(log::EventLog& log, std::unique_ptr<PartitionState>& state,
                          state::StateStore& store) {
  ALERTSTREAM_ASSIGN_OR_RETURN(state, PartitionState::Open(ConfigOf(), store));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto replayer, runtime::Replayer::Open(log, *state, {}));
  Micros flushed{};
  for (;;) {
    const Status caught_up = replayer->CatchUp();
    if (!caught_up.ok() && caught_up.error().code() != ErrorCode::kUnavailable) {
      return caught_up;
    }
    standby_root_ = state->map().root().ToBytes();
    standby_seq_ = state->tail().seq;
    seen_seq_ = std::max(seen_seq_, standby_seq_);
    if (world_.now() - flushed > 1s) {
      flushed = world_.now();
      ALERTSTREAM_RETURN_IF_ERROR(state->Flush());
    }
    world_.Sleep(world_.rng().Time(20ms, 300ms));
  }
}

// --- afterwards

bool Deployment::AtRest() const {
  for (const auto& spec : schemas::kTopics) {
    if (broker_.StableEnd({spec.topic, 0}) != broker_.End({spec.topic, 0})) {
      return false;
    }
  }
  if (world_.now() % 50ms > 1ms) {
    return false;  // Looking costs more than a step.
  }
  return WhatIsMissing().empty();
}

std::string Deployment::WhatIsMissing() const {
  Violations ignored;
  const History history = ReadHistory(broker_, strays_, &ignored);
  for (const auto& [place, input] : workload_->inputs()) {
    const auto consumed = history.consumed.find(place.topic);
    if (consumed == history.consumed.end() || consumed->second <= place.offset) {
      return fmt::format("{} offset {} is not decided", schemas::NameOf(place.topic), place.offset);
    }
  }
  if (standby_seq_ < history.journal.size()) {
    return fmt::format("the standby is at seq {} of {}", standby_seq_, history.journal.size());
  }
  if (database_.tables().Seq() < static_cast<std::int64_t>(history.journal.size())) {
    return fmt::format("the read model is at seq {} of {}", database_.tables().Seq(),
                       history.journal.size());
  }
  return UnfinishedCommand(broker_, history);
}

void Deployment::CheckAfterwards() {
  const History history = ReadHistory(broker_, strays_, &violations_);
  CheckDecisions(history, workload_->inputs(), &violations_);
  CheckDeliveries(broker_, provider_.accepted(), &violations_);
  if (violations_.empty()) {
    CheckProjection(history, database_, &violations_);
  }
  if (database_.tables().Seq() < database_.seq_max()) {
    Fail("I8", "the read model's position went back");
  }
  if (seen_seq_ > history.journal.size()) {
    Fail("I8", fmt::format("seq {} was accepted, the journal ends with {}", seen_seq_,
                           history.journal.size()));
  }
  if (!history.journal.empty() && violations_.empty()) {
    CheckRoots(history.journal.back().state_root());
    CheckAuditNoticesChanges(history);
  }
}

void Deployment::CheckRoots(const std::string& journal_root) {
  const auto report = runtime::Audit(outside_log_, writer_->identity().log_id,
                                     {.cache_bytes = 1 << 20, .check_outputs = !strays_});
  if (!report.status.ok()) {
    Fail("I3", report.status.error().message());
    return;
  }
  if (report.root_hex != ToHex(journal_root)) {
    Fail("I3", "the audit ends with another root than the journal");
  }
  if (report.tail.seq == standby_seq_ && report.root_hex != ToHex(standby_root_)) {
    Fail("I4", "the standby has another root than the audit");
  }
  if (report.tail.seq == owner_seq_ && report.root_hex != ToHex(owner_root_)) {
    Fail("I4", "the owner has another root than the audit");
  }
}

bool Deployment::AuditNotices() {
  const auto report = runtime::Audit(outside_log_, writer_->identity().log_id,
                                     {.cache_bytes = 1 << 20, .check_outputs = false});
  return !report.status.ok() && report.status.error().code() == ErrorCode::kCorrupt;
}

// Somebody changes what is stored, once the run is over; only half of it could be noticed by a
// journal without hashes, the other half by one without roots.
void Deployment::CheckAuditNoticesChanges(const History& history) {
  Rng rng(seed_ ^ 0x74616d70ULL);
  if (rng.Chance(0.5)) {
    // In a record that another one follows: the last one's hash stands nowhere.
    const log::TopicPartition journal{Topic::kJournal, 0};
    const std::size_t at = rng.Below(history.journal.size() - 1);
    v1::JournalRecord changed = history.journal[at];
    changed.set_instance(changed.instance() + "x");
    broker_.Tamper(journal, history.journal_offsets[at], changed.SerializeAsString());
    if (!AuditNotices()) {
      Fail("I2", fmt::format("journal seq {} was changed and the audit does not notice", at + 1));
    }
    return;
  }
  for (const auto& [place, input] : workload_->inputs()) {
    const log::TopicPartition where{place.topic, 0};
    if (input.kind == InputKind::kEvent && rng.Chance(0.1)) {
      std::string value =
          broker_.Slots(where)[static_cast<std::size_t>(place.offset)].record->value;
      value.back() = static_cast<char>(value.back() ^ 1);
      broker_.Tamper(where, place.offset, value);
      if (!AuditNotices()) {
        Fail("I3", fmt::format("site-events offset {} was changed and the audit does not notice",
                               place.offset));
      }
      return;
    }
  }
}

}  // namespace alertstream::simulation

#include "ops/seed/seeder.h"

#include <algorithm>
#include <atomic>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ops/seed/demo_delivery.h"
#include "ops/seed/demo_history.h"
#include "ops/seed/seeding_mark.h"
#include "processor/runtime/horizon.h"
#include "processor/runtime/partition_state.h"
#include "processor/runtime/task.h"
#include "schemas/envelope.pb.h"
#include "schemas/input_codec.h"
#include "schemas/output.pb.h"

namespace alertstream::seed {
namespace {

using schemas::Topic;

constexpr std::chrono::milliseconds kTimeout{20'000};
// More events would not fit into memory next to their log.
constexpr std::size_t kEventsMax = 500'000;
// Batches between two times: far more than an hour of the demo needs.
constexpr int kBatchesPerStepMax = 10'000;
// A message that is sent again and again is given up by the fold before this.
constexpr int kRoundsPerStepMax = 20;
// From a command to the call, and from the call until the last receipt is here.
constexpr LogDuration kCallAfter = std::chrono::milliseconds{60};
constexpr LogDuration kReceiptsAfter = std::chrono::seconds{3};
// When everything is told, what was to be tried again has been.
constexpr LogDuration kSettle = std::chrono::minutes{2};
static_assert(2 * kSettle < kQuietEnd, "the history must end before the present");
constexpr std::size_t kProgressSteps = 10;
// Keys begin with a tenant or with `_`.
constexpr std::string_view kAfterAllKeys = "\xFF";

// Time that passes when the seeder says so. Thread-safe: a log may ask from a thread of its own.
class SimulatedClock final : public Clock {
 public:
  explicit SimulatedClock(LogTime begin) : begin_us_(ToMicros(begin)), now_us_(begin_us_) {}

  LogTime Now() const override { return FromMicros(now_us_.load()); }
  std::chrono::microseconds SinceBoot() const override {
    return std::chrono::microseconds(now_us_.load() - begin_us_) + std::chrono::hours{1};
  }
  void SleepFor(std::chrono::milliseconds duration) override { MoveTo(Now() + duration); }
  // Never back.
  void MoveTo(LogTime time) { now_us_.store(std::max(now_us_.load(), ToMicros(time))); }

 private:
  const std::int64_t begin_us_;
  std::atomic<std::int64_t> now_us_;
};

// The tenant's partition while its history is told. Owns the log until it is destroyed.
class Seeding {
 public:
  Seeding(const SeedOptions& options, const History& history, SimulatedClock& clock)
      : options_(options),
        history_(history),
        clock_(clock),
        provider_(options.rng_seed, history.landlines) {}

  // kConflict: the log is not new; nothing was written.
  Status Open();
  Status Run(std::chrono::microseconds began);
  const SeedReport& report() const { return report_; }

 private:
  Status Start();
  Status TellStep(const Step& step);
  Status Settle();
  Status KeepState();
  Status Drain();
  Result<DoneTo> Here();
  Status Deliver();
  Status Append(Topic topic, std::span<const v1::Envelope> envelopes);
  Status AppendInputs(std::span<const Input> inputs);

  const SeedOptions& options_;
  const History& history_;
  SimulatedClock& clock_;
  const DemoProvider provider_;
  FreshLog fresh_;
  std::int32_t partition_ = 0;
  std::unique_ptr<runtime::PartitionState> state_;
  std::unique_ptr<runtime::PermissionHorizon> horizon_;
  std::unique_ptr<runtime::PartitionTask> task_;
  std::vector<v1::NotificationCommand> commands_;  // Not delivered yet.
  SeedReport report_;
};

Status Seeding::Open() {
  ALERTSTREAM_ASSIGN_OR_RETURN(fresh_, options_.open(clock_));
  partition_ = schemas::PartitionOf(kTenant, fresh_.identity.partitions);
  std::vector<log::TopicPartition> inputs;
  inputs.reserve(schemas::kInputTopics.size() + 1);
  for (const Topic topic : schemas::kInputTopics) {
    inputs.push_back({topic, partition_});
  }
  inputs.push_back({Topic::kJournal, partition_});
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto ends,
                               fresh_.log->Ends(inputs, log::EndKind::kUncommitted, kTimeout));
  if (std::any_of(ends.begin(), ends.end(), [](std::int64_t end) { return end > 1; })) {
    return Error(ErrorCode::kConflict,
                 fmt::format("{} holds records; the demo's history goes into a new log only",
                             fresh_.log->Describe()));
  }
  return Status::Ok();
}

Status Seeding::Start() {
  ALERTSTREAM_ASSIGN_OR_RETURN(
      state_, runtime::PartitionState::Open({.log_id = fresh_.identity.log_id,
                                             .fold = {.token_key = fresh_.token_key,
                                                      .partition = partition_,
                                                      .partitions = fresh_.identity.partitions}},
                                            *fresh_.scratch));
  horizon_ = std::make_unique<runtime::PermissionHorizon>(*fresh_.log, clock_,
                                                          std::vector<std::int32_t>{partition_});
  ALERTSTREAM_ASSIGN_OR_RETURN(task_, runtime::PartitionTask::Start(*fresh_.log, *state_, *horizon_,
                                                                    clock_, {.instance = "seed"}));
  return Status::Ok();
}

Status Seeding::Run(std::chrono::microseconds began) {
  ALERTSTREAM_RETURN_IF_ERROR(Start());
  const auto seconds = [&] {
    return static_cast<double>((options_.clock.SinceBoot() - began).count()) / 1e6;
  };
  std::size_t shown = 0;
  for (const Step& step : history_.steps) {
    ALERTSTREAM_RETURN_IF_ERROR(TellStep(step));
    const std::size_t part = report_.events * kProgressSteps / history_.events;
    if (part > shown && options_.on_progress) {
      shown = part;
      options_.on_progress({report_.events, history_.events, seconds()});
    }
  }
  clock_.MoveTo(clock_.Now() + kSettle);
  ALERTSTREAM_RETURN_IF_ERROR(Settle());
  ALERTSTREAM_RETURN_IF_ERROR(KeepState());
  if (clock_.Now() > options_.clock.Now()) {
    return Error(ErrorCode::kInvalid, "the clock of the machine went back during the seeding");
  }
  return Status::Ok();
}

// Everything at once, into the store that is opened next time.
Status Seeding::KeepState() {
  ALERTSTREAM_RETURN_IF_ERROR(task_->Flush());
  std::vector<std::pair<std::string, std::string>> entries;
  ALERTSTREAM_RETURN_IF_ERROR(
      fresh_.scratch->Scan("", kAfterAllKeys, [&](std::string_view key, std::string_view value) {
        entries.emplace_back(key, value);
        return true;
      }));
  std::vector<state::StateWrite> writes;
  writes.reserve(entries.size());
  for (const auto& [key, value] : entries) {
    writes.push_back({.key = key, .value = value});
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto meta, fresh_.scratch->Meta());
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto store, fresh_.open_store(partition_));
  return store->Apply(writes, meta.value_or(""));
}

Status Seeding::TellStep(const Step& step) {
  clock_.MoveTo(step.at);
  ALERTSTREAM_RETURN_IF_ERROR(AppendInputs(step.inputs));
  report_.events += step.events;
  return Settle();
}

// Decides what there is, and plays dispatcher and provider until nothing is left to be sent.
Status Seeding::Settle() {
  for (int round = 0; round < kRoundsPerStepMax; ++round) {
    ALERTSTREAM_RETURN_IF_ERROR(Drain());
    if (commands_.empty()) {
      return Status::Ok();
    }
    ALERTSTREAM_RETURN_IF_ERROR(Deliver());
  }
  return Error(ErrorCode::kExhausted, "a message of the demo is sent again and again");
}

Status Seeding::Drain() {
  for (int i = 0; i < kBatchesPerStepMax; ++i) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto batch, task_->RunOnce());
    if (!batch) {
      if (task_->idle()) {
        return Status::Ok();
      }
      return Error(ErrorCode::kUnavailable, "the demo's records are appended and not decided");
    }
    const engine::Effects& effects = *batch->effects;
    report_.decisions += effects.decisions.count();
    for (std::size_t n = 0; n < effects.commands.count(); ++n) {
      v1::NotificationCommand command;
      const std::string_view bytes = effects.commands.value(n);
      if (!command.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
        return Error(ErrorCode::kCorrupt, "a command of the fold cannot be read");
      }
      if (command.kind() == v1::COMMAND_KIND_CANCEL) {
        continue;  // Whatever was commanded before has been sent.
      }
      report_.notifications +=
          command.kind() == v1::COMMAND_KIND_SEND && command.attempt() == 1 ? 1 : 0;
      commands_.push_back(std::move(command));
    }
  }
  return Error(ErrorCode::kExhausted, "the demo's records are decided without end");
}

// Behind everything that was decided so far. REQUIRES: drained
Result<DoneTo> Seeding::Here() {
  const std::array<log::TopicPartition, 3> asked = {{{Topic::kJournal, partition_},
                                                     {Topic::kNotificationCommands, partition_},
                                                     {Topic::kDeliveryAttempts, partition_}}};
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto ends,
                               fresh_.log->Ends(asked, log::EndKind::kStable, kTimeout));
  return DoneTo{.seq = state_->tail().seq,
                .journal_offset = ends[0],
                .commands_offset = ends[1],
                .attempts_offset = ends[2]};
}

// After its last record every command until here has a final result.
Status Seeding::Deliver() {
  ALERTSTREAM_ASSIGN_OR_RETURN(const DoneTo here, Here());
  clock_.MoveTo(clock_.Now() + kCallAfter);
  const LogTime at = clock_.Now();
  std::vector<v1::Envelope> attempts;
  std::vector<v1::Envelope> receipts;
  for (const v1::NotificationCommand& command : commands_) {
    for (auto& envelope : provider_.Attempt(command, at)) {
      attempts.push_back(std::move(envelope));
    }
    for (auto& envelope : provider_.Receipts(command, at)) {
      receipts.push_back(std::move(envelope));
    }
  }
  commands_.clear();
  auto* last = attempts.back().mutable_delivery_attempt();
  last->set_done_to(here.seq);
  last->set_done_journal_offset(here.journal_offset);
  last->set_done_commands_offset(here.commands_offset);
  last->set_done_attempts_offset(here.attempts_offset);
  clock_.MoveTo(FromMicros(attempts.back().event_time_us()));
  ALERTSTREAM_RETURN_IF_ERROR(Append(Topic::kDeliveryAttempts, attempts));
  clock_.MoveTo(at + kReceiptsAfter);
  return Append(Topic::kDeliveryReceipts, receipts);
}

Status Seeding::Append(Topic topic, std::span<const v1::Envelope> envelopes) {
  std::vector<Input> inputs;
  for (const v1::Envelope& envelope : envelopes) {
    ALERTSTREAM_ASSIGN_OR_RETURN(auto bytes, schemas::EncodeEnvelope(envelope));
    inputs.push_back({topic, std::move(bytes)});
  }
  return AppendInputs(inputs);
}

Status Seeding::AppendInputs(std::span<const Input> inputs) {
  std::vector<log::NewRecord> records;
  for (const Input& input : inputs) {
    records.push_back({input.topic, partition_, kTenant, input.bytes});
  }
  if (!records.empty()) {
    ALERTSTREAM_RETURN_IF_ERROR(fresh_.log->Append(records, kTimeout));
  }
  return Status::Ok();
}

Status CheckOptions(const SeedOptions& options) {
  if (options.days < 1 || options.days > kDaysMax) {
    return Error(ErrorCode::kInvalid, fmt::format("days: expected 1 to {}", kDaysMax));
  }
  if (options.events_min > kEventsMax) {
    return Error(ErrorCode::kInvalid, fmt::format("events: expected at most {}", kEventsMax));
  }
  return Status::Ok();
}

}  // namespace

Result<SeedReport> SeedDemo(const SeedOptions& options) {
  ALERTSTREAM_RETURN_IF_ERROR(CheckOptions(options));
  const auto began = options.clock.SinceBoot();
  const LogTime end = options.clock.Now();
  ALERTSTREAM_ASSIGN_OR_RETURN(const History history,
                               MakeHistory({.rng_seed = options.rng_seed,
                                            .end = end,
                                            .days = options.days,
                                            .events_min = options.events_min}));
  ALERTSTREAM_RETURN_IF_ERROR(BeginSeeding(options.data_dir));
  SeedReport report;
  {
    SimulatedClock clock(history.steps.front().at);
    Seeding seeding(options, history, clock);
    if (const Status opened = seeding.Open(); !opened.ok()) {
      ALERTSTREAM_RETURN_IF_ERROR(AbandonSeeding(options.data_dir));
      return opened.error();
    }
    ALERTSTREAM_RETURN_IF_ERROR(seeding.Run(began));
    report = seeding.report();
  }
  ALERTSTREAM_RETURN_IF_ERROR(FinishSeeding(options.data_dir));
  report.days = options.days;
  report.seconds = static_cast<double>((options.clock.SinceBoot() - began).count()) / 1e6;
  return report;
}

}  // namespace alertstream::seed

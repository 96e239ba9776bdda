#include "ops/cli/commands/serve.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include "ops/cli/commands/progress_file.h"
#include "ops/cli/json_object.h"
#include "ops/cli/version.h"
#include "ops/cli/words.h"
#include "processor/base/log.h"
#include "processor/engine/effects.h"
#include "schemas/output.pb.h"

namespace alertstream::cli {
namespace {

constexpr std::chrono::milliseconds kStatusEvery{500};
constexpr std::chrono::milliseconds kPause{25};
// What each part gets to stop in, even if those before it took all of the time.
constexpr std::chrono::milliseconds kStopMin{200};

double Seconds(std::chrono::microseconds duration) {
  return static_cast<double>(duration.count()) / 1e6;
}

template <typename Message>
bool Decode(std::string_view bytes, Message* message) {
  return message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

// The channel of a command, without the rest: to parse all of it costs as much as deciding it.
v1::Channel ChannelOf(std::string_view command) {
  using google::protobuf::internal::WireFormatLite;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const std::uint8_t*>(command.data()),
                                            static_cast<int>(command.size()));
  constexpr std::uint32_t kTag = WireFormatLite::MakeTag(
      v1::NotificationCommand::kChannelFieldNumber, WireFormatLite::WIRETYPE_VARINT);
  for (std::uint32_t tag = in.ReadTag(); tag != 0; tag = in.ReadTag()) {
    std::uint32_t channel = 0;
    if (tag == kTag) {
      return in.ReadVarint32(&channel) ? static_cast<v1::Channel>(channel)
                                       : v1::CHANNEL_UNSPECIFIED;
    }
    if (!WireFormatLite::SkipField(&in, tag)) {
      break;
    }
  }
  return v1::CHANNEL_UNSPECIFIED;
}

// The word of what a fact is about: "trigger", "opt_out".
std::string KindOfFact(const v1::Fact& fact) {
  const auto* field =
      fact.GetDescriptor()->FindFieldByNumber(static_cast<int>(fact.subject_case()));
  return field == nullptr ? std::string("none") : field->name();
}

std::string_view WordOfSnapshot(runtime::SnapshotEvent event) {
  switch (event) {
    case runtime::SnapshotEvent::kMade:
      return "made";
    case runtime::SnapshotEvent::kFailed:
      return "failed";
    case runtime::SnapshotEvent::kRestored:
      return "restored";
    case runtime::SnapshotEvent::kRefused:
      return "refused";
  }
  return "";
}

std::string_view WordOfCause(runtime::TakeOverCause cause) {
  switch (cause) {
    case runtime::TakeOverCause::kOrder:
      return "order";
    case runtime::TakeOverCause::kStaleLease:
      return "stale_lease";
  }
  return "";
}

// Works as it should: it decides, or stands by for who does.
bool IsReady(const runtime::PartitionStatus& status) {
  return status.phase == "owner" || status.phase == "standby";
}

}  // namespace

BatchMetrics::BatchMetrics(Metrics& metrics) : metrics_(metrics) {
  for (const std::string_view kind : {"batch", "skip"}) {
    metrics_.CounterOf(MetricId::kBatches, {kind});
  }
  for (const schemas::Topic topic : schemas::kInputTopics) {
    metrics_.CounterOf(MetricId::kRecordsRead, {schemas::NameOf(topic)});
    metrics_.CounterOf(MetricId::kRerouted, {schemas::NameOf(topic)});
    metrics_.CounterOf(MetricId::kSkipped, {schemas::NameOf(topic)});
  }
  const auto* verdicts = v1::EventVerdict_descriptor();
  for (int i = 1; i < verdicts->value_count(); ++i) {
    metrics_.CounterOf(MetricId::kEvents, {EnumWord(verdicts, verdicts->value(i)->number())});
  }
  metrics_.CounterOf(MetricId::kTimersFired);
  for (const MetricId histogram : {MetricId::kCommitSeconds, MetricId::kFoldSeconds,
                                   MetricId::kBatchRecords, MetricId::kEventToDecisionSeconds}) {
    metrics_.HistogramOf(histogram);
  }
}

void BatchMetrics::Add(std::int32_t partition, const runtime::BatchReport& report) {
  const std::string where = std::to_string(partition);
  metrics_.HistogramOf(MetricId::kCommitSeconds).Observe(Seconds(report.commit));
  metrics_.HistogramOf(MetricId::kBatchRecords).Observe(static_cast<double>(report.inputs));
  metrics_.GaugeOf(MetricId::kJournalSeq, {where}).Set(static_cast<double>(report.seq));
  if (report.effects == nullptr) {
    return;
  }
  metrics_.HistogramOf(MetricId::kFoldSeconds).Observe(Seconds(report.fold));
  const engine::Effects& effects = *report.effects;
  for (std::size_t i = 0; i < effects.consumed.size(); ++i) {
    if (effects.consumed[i] > 0) {
      metrics_.CounterOf(MetricId::kRecordsRead, {schemas::NameOf(schemas::kInputTopics[i])})
          .Add(static_cast<double>(effects.consumed[i]));
    }
  }
  if (effects.consumed.back() > 0) {
    metrics_.HistogramOf(MetricId::kEventToDecisionSeconds)
        .Observe(Seconds(report.lag + report.fold + report.commit));
  }
  for (std::size_t verdict = 1; verdict < effects.counts.events.size(); ++verdict) {
    if (effects.counts.events[verdict] > 0) {
      metrics_.CounterOf(MetricId::kEvents, {Word(static_cast<v1::EventVerdict>(verdict))})
          .Add(static_cast<double>(effects.counts.events[verdict]));
    }
  }
  for (std::size_t outcome = 1; outcome < effects.counts.decisions.size(); ++outcome) {
    for (std::size_t reason = 0; reason < effects.counts.decisions[outcome].size(); ++reason) {
      const auto count = effects.counts.decisions[outcome][reason];
      if (count > 0) {
        const std::string why =
            reason == 0 ? std::string("none") : Word(static_cast<v1::Reason>(reason));
        metrics_.CounterOf(MetricId::kDecisions, {Word(static_cast<v1::Outcome>(outcome)), why})
            .Add(static_cast<double>(count));
      }
    }
  }
  AddOutputs(effects);
}

void BatchMetrics::AddOutputs(const engine::Effects& effects) {
  std::map<v1::Channel, std::size_t> commands;
  for (std::size_t i = 0; i < effects.commands.count(); ++i) {
    ++commands[ChannelOf(effects.commands.value(i))];
  }
  for (const auto& [channel, count] : commands) {
    metrics_.CounterOf(MetricId::kCommands, {Word(channel)}).Add(static_cast<double>(count));
  }
  v1::Fact fact;
  for (std::size_t i = 0; i < effects.facts.count(); ++i) {
    if (Decode(effects.facts.value(i), &fact)) {
      metrics_.CounterOf(MetricId::kFacts, {KindOfFact(fact)}).Add();
    }
  }
  bool skip = false;
  v1::DeadLetter letter;
  for (std::size_t i = 0; i < effects.dead_letters.count(); ++i) {
    if (!Decode(effects.dead_letters.value(i), &letter)) {
      continue;
    }
    metrics_.CounterOf(MetricId::kDeadLetters, {Word(letter.stage()), Word(letter.reason())}).Add();
    if (letter.stage() == v1::DEAD_LETTER_STAGE_SKIP) {
      skip = true;
      const auto topic = static_cast<schemas::Topic>(letter.record().topic());
      metrics_.CounterOf(MetricId::kSkipped, {schemas::NameOf(topic)}).Add();
    }
  }
  metrics_.CounterOf(MetricId::kBatches, {skip ? "skip" : "batch"}).Add();
  for (const auto& reroute : effects.reroutes) {
    metrics_.CounterOf(MetricId::kRerouted, {schemas::NameOf(reroute.topic)}).Add();
  }
  if (effects.timers_fired > 0) {
    metrics_.CounterOf(MetricId::kTimersFired).Add(static_cast<double>(effects.timers_fired));
  }
}

PartitionMetrics::PartitionMetrics(Metrics& metrics, Clock& clock)
    : metrics_(metrics), clock_(clock) {
  for (const std::string_view change : {"claimed", "fenced", "stopped"}) {
    metrics_.CounterOf(MetricId::kOwnershipChanges, {change});
  }
  for (const ErrorCode code : {ErrorCode::kUnavailable, ErrorCode::kUnknown, ErrorCode::kFenced}) {
    metrics_.CounterOf(MetricId::kTaskErrors, {ErrorCodeName(code)});
  }
  for (const std::string_view cause : {"permission_view", "stopped"}) {
    metrics_.CounterOf(MetricId::kHeldSeconds, {cause});
  }
  for (const auto event : {runtime::SnapshotEvent::kMade, runtime::SnapshotEvent::kFailed,
                           runtime::SnapshotEvent::kRestored, runtime::SnapshotEvent::kRefused}) {
    metrics_.CounterOf(MetricId::kSnapshots, {WordOfSnapshot(event)});
  }
  for (const auto cause : {runtime::TakeOverCause::kOrder, runtime::TakeOverCause::kStaleLease}) {
    metrics_.CounterOf(MetricId::kTakeOvers, {WordOfCause(cause)});
  }
  metrics_.CounterOf(MetricId::kFollowedBatches);
  metrics_.CounterOf(MetricId::kRootMismatches);
  metrics_.HistogramOf(MetricId::kSnapshotSeconds);
}

void PartitionMetrics::Phase(std::int32_t partition, const std::string& phase,
                             const std::string& error) {
  if (phase == "stopped") {
    metrics_.CounterOf(MetricId::kOwnershipChanges, {"stopped"}).Add();
  }
  const std::scoped_lock lock(mutex_);
  if (phase == "starting") {
    starting_since_[partition] = clock_.SinceBoot();
    return;
  }
  const auto since = starting_since_.find(partition);
  if (phase == "owner" && error.empty() && since != starting_since_.end()) {
    metrics_.CounterOf(MetricId::kOwnershipChanges, {"claimed"}).Add();
    metrics_.GaugeOf(MetricId::kRecoverySeconds, {std::to_string(partition)})
        .Set(Seconds(clock_.SinceBoot() - since->second));
    starting_since_.erase(since);
  }
}

void PartitionMetrics::Failed(const Error& error) {
  metrics_.CounterOf(MetricId::kTaskErrors, {ErrorCodeName(error.code())}).Add();
  if (error.code() == ErrorCode::kFenced) {
    metrics_.CounterOf(MetricId::kOwnershipChanges, {"fenced"}).Add();
  }
}

void PartitionMetrics::Snapshot(std::int32_t partition, const runtime::SnapshotNote& note) {
  metrics_.CounterOf(MetricId::kSnapshots, {WordOfSnapshot(note.event)}).Add();
  const bool made = note.event == runtime::SnapshotEvent::kMade;
  if (made) {
    metrics_.HistogramOf(MetricId::kSnapshotSeconds).Observe(Seconds(note.took));
  }
  if (made || note.event == runtime::SnapshotEvent::kRestored) {
    metrics_.GaugeOf(MetricId::kSnapshotSeq, {std::to_string(partition)})
        .Set(static_cast<double>(note.seq));
  }
}

void PartitionMetrics::TakeOver(runtime::TakeOverCause cause) {
  metrics_.CounterOf(MetricId::kTakeOvers, {WordOfCause(cause)}).Add();
}

void PartitionMetrics::SetStandby(const std::string& where,
                                  const runtime::PartitionStatus& status) {
  const bool follows = status.phase == "standby";
  metrics_.GaugeOf(MetricId::kStandby, {where}).Set(follows ? 1 : 0);
  metrics_.GaugeOf(MetricId::kStandbyLagSeconds, {where}).Set(follows ? status.lag_seconds : 0);
  metrics_.GaugeOf(MetricId::kTakeOverBackedOff, {where}).Set(status.backed_off ? 1 : 0);
  metrics_.GaugeOf(MetricId::kSnapshotSeq, {where}).Set(static_cast<double>(status.snapshot_seq));
  const runtime::Progress& progress = status.progress;
  metrics_.GaugeOf(MetricId::kCatchUpRemaining, {where})
      .Set(static_cast<double>(progress.total - std::min(progress.total, progress.done)));
  metrics_.GaugeOf(MetricId::kCatchUpEtaSeconds, {where}).Set(progress.eta_seconds);
  Known& known = known_[status.partition];
  // A partition that began to follow anew counts from nothing.
  const std::uint64_t before = status.followed_batches < known.followed ? 0 : known.followed;
  metrics_.CounterOf(MetricId::kFollowedBatches)
      .Add(static_cast<double>(status.followed_batches - before));
  metrics_.CounterOf(MetricId::kRootMismatches)
      .Add(static_cast<double>(status.mismatches - known.mismatches));
  known.followed = status.followed_batches;
  known.mismatches = status.mismatches;
}

void PartitionMetrics::Set(const runtime::PartitionStatus& status) {
  const std::string where = std::to_string(status.partition);
  SetStandby(where, status);
  metrics_.GaugeOf(MetricId::kReady, {where}).Set(status.phase == "owner" ? 1 : 0);
  metrics_.GaugeOf(MetricId::kLagSeconds, {where}).Set(status.idle ? 0 : status.lag_seconds);
  metrics_.GaugeOf(MetricId::kHeld, {where}).Set(status.held_seconds > 0 ? 1 : 0);
  metrics_.GaugeOf(MetricId::kOwnerEpoch, {where}).Set(static_cast<double>(status.owner_epoch));
  metrics_.GaugeOf(MetricId::kJournalSeq, {where}).Set(static_cast<double>(status.seq));
  metrics_.GaugeOf(MetricId::kStateCacheBytes, {where})
      .Set(static_cast<double>(status.cache_bytes));
  const auto now = clock_.SinceBoot();
  Known& known = known_[status.partition];
  if (status.held_seconds_total > known.held_seconds) {
    metrics_.CounterOf(MetricId::kHeldSeconds, {"permission_view"})
        .Add(status.held_seconds_total - known.held_seconds);
    known.held_seconds = status.held_seconds_total;
  }
  if (status.phase == "stopped" && known.seen_at.count() != 0) {
    metrics_.CounterOf(MetricId::kHeldSeconds, {"stopped"}).Add(Seconds(now - known.seen_at));
  }
  known.seen_at = now;
}

std::vector<log::ReadFrom> PositionsOf(const std::vector<runtime::PartitionStatus>& partitions) {
  std::vector<log::ReadFrom> positions;
  for (const auto& status : partitions) {
    // Another instance may be further on where this one does not own.
    if (status.phase == "starting" || status.phase == "restoring" ||
        status.phase == "catching_up" || status.phase == "standby" || status.phase == "stopped") {
      continue;
    }
    for (std::size_t i = 0; i < status.positions.size(); ++i) {
      if (status.positions[i] > 0) {
        positions.push_back({{schemas::kInputTopics[i], status.partition}, status.positions[i]});
      }
    }
  }
  return positions;
}

HealthState HealthOf(const std::vector<runtime::PartitionStatus>& partitions,
                     const ServerParts& parts) {
  HealthState health{.ready = true, .body = {}};
  std::map<std::string_view, std::string> bodies;
  for (const auto& part : parts) {
    HealthState state = part->Health();
    health.ready = health.ready && state.ready;
    bodies[part->name()] = std::move(state.body);
  }
  JsonList list;
  for (const auto& status : partitions) {
    health.ready = health.ready && IsReady(status);
    JsonObject object;
    object.Integer("partition", status.partition);
    object.Text("phase", status.phase);
    if (!status.error.empty()) {
      object.Text("error", status.error);
    }
    object.Integer("seq", static_cast<std::int64_t>(status.seq));
    object.Number("lag_seconds", status.idle ? 0 : status.lag_seconds);
    object.Number("held_seconds", status.held_seconds);
    object.Integer("snapshot_seq", static_cast<std::int64_t>(status.snapshot_seq));
    if (status.progress.total > 0) {
      object.Integer("progress_done", static_cast<std::int64_t>(status.progress.done));
      object.Integer("progress_total", static_cast<std::int64_t>(status.progress.total));
      object.Number("progress_per_second", status.progress.per_second);
      object.Number("eta_seconds", status.progress.eta_seconds);
    }
    list.Raw(object.Take());
  }
  JsonObject object;
  object.Text("status", health.ready ? "ready" : "not_ready");
  object.Raw("partitions", list.Take());
  for (const auto& part : parts) {
    object.Raw(part->name(), bodies[part->name()]);
  }
  health.body = object.Take();
  return health;
}

namespace {

bool Same(const std::vector<log::ReadFrom>& a, const std::vector<log::ReadFrom>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const log::ReadFrom& x, const log::ReadFrom& y) {
                      return x.source == y.source && x.offset == y.offset;
                    });
}

// Tells note_positions what is new, and logs when it begins to fail.
class PositionNotes {
 public:
  explicit PositionNotes(const ServeOptions& options) : note_(options.note_positions) {}

  void Note(const std::vector<runtime::PartitionStatus>& partitions, bool last) {
    if (!note_) {
      return;
    }
    auto positions = PositionsOf(partitions);
    // Without anything new it still hears what became of what it told before.
    const bool again = Same(positions, noted_) && ok_ && !last;
    const Status noted = note_(again ? std::span<const log::ReadFrom>() : positions, last);
    if (ok_ && !noted.ok()) {
      Log(LogLevel::kWarning, "group_offsets", {{"error", noted.error().message()}});
    }
    ok_ = noted.ok();
    noted_ = std::move(positions);
  }

 private:
  const std::function<Status(std::span<const log::ReadFrom>, bool)> note_;
  std::vector<log::ReadFrom> noted_;
  bool ok_ = true;
};

// The processor and the parts of one server, as health sees them.
class Server {
 public:
  Server(const Session& session, ServeOptions options)
      : session_(session),
        options_(std::move(options)),
        batch_metrics_(metrics_),
        partition_metrics_(metrics_, session.clock),
        notes_(options_) {}

  Result<ExitCode> Run();

 private:
  void MakeProcessor();
  Status Start();
  HealthState Health() const;
  void Tick(std::chrono::microseconds now);
  ExitCode Drain();
  std::vector<runtime::PartitionStatus> Partitions() const {
    return processor_ ? processor_->Status() : std::vector<runtime::PartitionStatus>();
  }

  const Session& session_;
  ServeOptions options_;
  Metrics metrics_;
  BatchMetrics batch_metrics_;
  PartitionMetrics partition_metrics_;
  PositionNotes notes_;
  std::unique_ptr<runtime::Processor> processor_;  // Null: none.
  mutable std::mutex mutex_;
  bool started_ = false;  // Guarded by mutex_, and so are parts_ until it is true.
  ServerParts parts_;
  std::unique_ptr<HealthListener> listener_;
  bool ready_ = false;  // Was, once.
  std::chrono::microseconds note_next_{};
};

void Server::MakeProcessor() {
  auto& options = *options_.processor;
  options.on_batch = [this](std::int32_t partition, const runtime::BatchReport& report) {
    batch_metrics_.Add(partition, report);
  };
  options.on_error = [this](std::int32_t, const Error& error) { partition_metrics_.Failed(error); };
  options.on_phase = [this](std::int32_t partition, const std::string& phase,
                            const std::string& error) {
    if (options_.progress_path && phase != "restoring" && phase != "catching_up") {
      RemoveProgress(options_.progress_path(partition));
    }
    const bool bad = phase == "stopped" || phase == "waiting_for_log" || phase == "holding";
    Log(bad ? LogLevel::kError : LogLevel::kInfo, "partition_phase",
        {{"partition", partition}, {"phase", phase}, {"error", error}});
    partition_metrics_.Phase(partition, phase, error);
  };
  options.on_snapshot = [this](std::int32_t partition, const runtime::SnapshotNote& note) {
    const bool bad = !note.error.empty();
    Log(bad ? LogLevel::kError : LogLevel::kInfo, "snapshot",
        {{"partition", partition},
         {"event", WordOfSnapshot(note.event)},
         {"seq", note.seq},
         {"seconds", Seconds(note.took)},
         {"error", note.error}});
    partition_metrics_.Snapshot(partition, note);
  };
  options.on_take_over = [this](std::int32_t partition, runtime::TakeOverCause cause) {
    Log(LogLevel::kWarning, "take_over", {{"partition", partition}, {"cause", WordOfCause(cause)}});
    partition_metrics_.TakeOver(cause);
  };
  options.on_back_off = [](std::int32_t partition) {
    Log(LogLevel::kError, "take_over_backed_off",
        {{"partition", partition},
         {"error",
          "fenced twice within a minute: another instance takes the partition too; find "
          "out why before it is taken over by order"}});
  };
  options.on_progress = [this](std::int32_t partition, const std::string& phase,
                               const runtime::Progress& progress) {
    Log(LogLevel::kInfo, "progress",
        {{"partition", partition},
         {"phase", phase},
         {"done", progress.done},
         {"total", progress.total},
         {"per_second", progress.per_second},
         {"eta_seconds", progress.eta_seconds}});
    if (options_.progress_path) {
      WriteProgress(options_.progress_path(partition),
                    {.phase = phase, .progress = progress, .at = session_.clock.Now()});
    }
  };
  processor_ =
      std::make_unique<runtime::Processor>(session_.log, session_.clock, std::move(options));
}

HealthState Server::Health() const {
  const std::scoped_lock lock(mutex_);
  if (!started_) {
    HealthState health = HealthOf(Partitions());
    health.ready = false;
    return health;
  }
  return HealthOf(Partitions(), parts_);
}

Status Server::Start() {
  if (options_.processor) {
    MakeProcessor();
  }
  const HealthSources sources{.metrics_text = [this] { return metrics_.RenderText(); },
                              .health = [this] { return Health(); }};
  if (options_.health) {
    ALERTSTREAM_ASSIGN_OR_RETURN(listener_, HealthListener::Start(*options_.health, sources));
  }
  ServerParts parts;
  if (options_.start_parts) {
    ALERTSTREAM_ASSIGN_OR_RETURN(parts,
                                 options_.start_parts({.metrics = metrics_, .sources = sources}));
  }
  {
    const std::scoped_lock lock(mutex_);
    parts_ = std::move(parts);
    started_ = true;
  }
  if (processor_) {
    // The phase that partitions begin with is no change, so nobody is told of it.
    for (const auto& status : processor_->Status()) {
      partition_metrics_.Phase(status.partition, status.phase, status.error);
    }
    processor_->Start();
  }
  Log(LogLevel::kInfo, "serving",
      {{"log", session_.log.Describe()},
       {"partitions", Partitions().size()},
       {"metrics_port", listener_ ? static_cast<int>(listener_->port()) : 0}});
  return Status::Ok();
}

void Server::Tick(std::chrono::microseconds now) {
  const auto partitions = Partitions();
  for (const auto& status : partitions) {
    partition_metrics_.Set(status);
  }
  for (const auto& part : parts_) {
    part->Tick();
  }
  if (now >= note_next_) {
    note_next_ = now + kPositionsEvery;
    notes_.Note(partitions, false);
  }
}

ExitCode Server::Drain() {
  Log(LogLevel::kInfo, "draining", {});
  const auto began = session_.clock.SinceBoot();
  bool in_time = true;
  for (const auto& part : parts_) {
    const auto used =
        std::chrono::duration_cast<std::chrono::milliseconds>(session_.clock.SinceBoot() - began);
    const auto left = std::max(options_.drain_timeout - used, kStopMin);
    if (!part->Stop(left)) {
      Log(LogLevel::kWarning, "not_drained", {{"part", part->name()}});
      in_time = false;
    }
  }
  if (processor_) {
    processor_->Stop();
  }
  const auto took = session_.clock.SinceBoot() - began;
  if (processor_) {
    notes_.Note(processor_->Status(), true);  // A courtesy: no part of the draining.
  }
  Log(LogLevel::kInfo, "stopped", {{"seconds", Seconds(took)}});
  return took > options_.drain_timeout || !in_time ? ExitCode::kTimeout : ExitCode::kOk;
}

Result<ExitCode> Server::Run() {
  metrics_.GaugeOf(MetricId::kBuildInfo, {kVersion, kGitHash}).Set(1);
  ALERTSTREAM_RETURN_IF_ERROR(Start());
  auto next = session_.clock.SinceBoot();
  note_next_ = next + kPositionsEvery;
  Status failed;
  while (!session_.Interrupted() && failed.ok()) {
    session_.clock.SleepFor(kPause);
    if (!ready_ && Health().ready) {
      ready_ = true;
      failed = options_.on_ready ? options_.on_ready() : Status::Ok();
    }
    const auto now = session_.clock.SinceBoot();
    if (now >= next) {
      next = now + kStatusEvery;
      Tick(now);
    }
  }
  const ExitCode exit = Drain();
  if (!failed.ok()) {
    return failed.error();
  }
  return exit;
}

}  // namespace

Result<ExitCode> Serve(const Session& session, ServeOptions options) {
  return Server(session, std::move(options)).Run();
}

}  // namespace alertstream::cli

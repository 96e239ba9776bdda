#include "ops/cli/commands/serve.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

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

void PartitionMetrics::Set(const runtime::PartitionStatus& status) {
  const std::string where = std::to_string(status.partition);
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
    if (status.phase == "starting" || status.phase == "catching_up" || status.phase == "stopped") {
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

HealthState HealthOf(const std::vector<runtime::PartitionStatus>& partitions) {
  HealthState health{.ready = true, .body = {}};
  JsonList list;
  for (const auto& status : partitions) {
    health.ready = health.ready && status.phase == "owner";
    JsonObject object;
    object.Integer("partition", status.partition);
    object.Text("phase", status.phase);
    if (!status.error.empty()) {
      object.Text("error", status.error);
    }
    object.Integer("seq", static_cast<std::int64_t>(status.seq));
    object.Number("lag_seconds", status.idle ? 0 : status.lag_seconds);
    object.Number("held_seconds", status.held_seconds);
    list.Raw(object.Take());
  }
  JsonObject object;
  object.Text("status", health.ready ? "ready" : "not_ready");
  object.Raw("partitions", list.Take());
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

}  // namespace

Result<ExitCode> Serve(const Session& session, ServeOptions options) {
  Metrics metrics;
  BatchMetrics batch_metrics(metrics);
  PartitionMetrics partition_metrics(metrics, session.clock);
  PositionNotes notes(options);
  metrics.GaugeOf(MetricId::kBuildInfo, {kVersion, kGitHash}).Set(1);
  options.processor.on_batch = [&](std::int32_t partition, const runtime::BatchReport& report) {
    batch_metrics.Add(partition, report);
  };
  options.processor.on_error = [&](std::int32_t, const Error& error) {
    partition_metrics.Failed(error);
  };
  options.processor.on_phase = [&](std::int32_t partition, const std::string& phase,
                                   const std::string& error) {
    const bool bad = phase == "stopped" || phase == "waiting_for_log" || phase == "holding";
    Log(bad ? LogLevel::kError : LogLevel::kInfo, "partition_phase",
        {{"partition", partition}, {"phase", phase}, {"error", error}});
    partition_metrics.Phase(partition, phase, error);
  };
  runtime::Processor processor(session.log, session.clock, std::move(options.processor));
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto listener,
      HealthListener::Start(options.health,
                            {.metrics_text = [&metrics] { return metrics.RenderText(); },
                             .health = [&processor] { return HealthOf(processor.Status()); }}));
  // The phase that partitions begin with is no change, so nobody is told of it.
  for (const auto& status : processor.Status()) {
    partition_metrics.Phase(status.partition, status.phase, status.error);
  }
  processor.Start();
  Log(LogLevel::kInfo, "serving",
      {{"log", session.log.Describe()},
       {"partitions", processor.Status().size()},
       {"metrics_port", listener->port()}});
  auto next = session.clock.SinceBoot();
  auto note_next = next + kPositionsEvery;
  while (!session.Interrupted()) {
    session.clock.SleepFor(kPause);
    const auto now = session.clock.SinceBoot();
    if (now < next) {
      continue;
    }
    next = now + kStatusEvery;
    const auto partitions = processor.Status();
    for (const auto& status : partitions) {
      partition_metrics.Set(status);
    }
    if (now >= note_next) {
      note_next = now + kPositionsEvery;
      notes.Note(partitions, false);
    }
  }
  Log(LogLevel::kInfo, "draining", {});
  const auto began = session.clock.SinceBoot();
  processor.Stop();
  const auto took = session.clock.SinceBoot() - began;
  notes.Note(processor.Status(), true);  // A courtesy: no part of the draining.
  Log(LogLevel::kInfo, "stopped", {{"seconds", Seconds(took)}});
  return took > options.drain_timeout ? ExitCode::kTimeout : ExitCode::kOk;
}

}  // namespace alertstream::cli

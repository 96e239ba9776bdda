#include "ops/cli/commands/serve.h"

#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include <google/protobuf/descriptor.h>

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

// The word of what a fact is about: "trigger", "opt_out".
std::string KindOfFact(const v1::Fact& fact) {
  const auto* field =
      fact.GetDescriptor()->FindFieldByNumber(static_cast<int>(fact.subject_case()));
  return field == nullptr ? std::string("none") : field->name();
}

}  // namespace

void BatchMetrics::Add(std::int32_t partition, const runtime::BatchReport& report) {
  const std::string where = std::to_string(partition);
  metrics_.CounterOf(MetricId::kBatches, {"batch"}).Add();
  metrics_.HistogramOf(MetricId::kCommitSeconds).Observe(Seconds(report.commit));
  metrics_.HistogramOf(MetricId::kBatchRecords).Observe(static_cast<double>(report.inputs));
  metrics_.GaugeOf(MetricId::kJournalSeq, {where}).Set(static_cast<double>(report.seq));
  if (report.effects == nullptr) {
    return;
  }
  const engine::Effects& effects = *report.effects;
  for (std::size_t i = 0; i < effects.consumed.size(); ++i) {
    if (effects.consumed[i] > 0) {
      metrics_.CounterOf(MetricId::kRecordsRead, {schemas::NameOf(schemas::kInputTopics[i])})
          .Add(static_cast<double>(effects.consumed[i]));
    }
  }
  if (effects.consumed.back() > 0) {
    metrics_.HistogramOf(MetricId::kEventToDecisionSeconds).Observe(Seconds(report.lag));
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
  v1::NotificationCommand command;
  for (std::size_t i = 0; i < effects.commands.count(); ++i) {
    if (Decode(effects.commands.value(i), &command)) {
      metrics_.CounterOf(MetricId::kCommands, {Word(command.channel())}).Add();
    }
  }
  v1::Fact fact;
  for (std::size_t i = 0; i < effects.facts.count(); ++i) {
    if (Decode(effects.facts.value(i), &fact)) {
      metrics_.CounterOf(MetricId::kFacts, {KindOfFact(fact)}).Add();
    }
  }
  v1::DeadLetter letter;
  for (std::size_t i = 0; i < effects.dead_letters.count(); ++i) {
    if (Decode(effects.dead_letters.value(i), &letter)) {
      metrics_.CounterOf(MetricId::kDeadLetters, {Word(letter.stage()), Word(letter.reason())})
          .Add();
    }
  }
  for (const auto& reroute : effects.reroutes) {
    metrics_.CounterOf(MetricId::kRerouted, {schemas::NameOf(reroute.topic)}).Add();
  }
  if (effects.timers_fired > 0) {
    metrics_.CounterOf(MetricId::kTimersFired).Add(static_cast<double>(effects.timers_fired));
  }
}

void BatchMetrics::Set(const runtime::PartitionStatus& status) {
  const std::string where = std::to_string(status.partition);
  metrics_.GaugeOf(MetricId::kReady, {where}).Set(status.phase == "owner" ? 1 : 0);
  metrics_.GaugeOf(MetricId::kLagSeconds, {"site-events", where})
      .Set(status.idle ? 0 : status.lag_seconds);
  metrics_.GaugeOf(MetricId::kHeld, {where}).Set(status.held_seconds > 0 ? 1 : 0);
  metrics_.GaugeOf(MetricId::kOwnerEpoch, {where}).Set(static_cast<double>(status.owner_epoch));
  metrics_.GaugeOf(MetricId::kJournalSeq, {where}).Set(static_cast<double>(status.seq));
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

Result<ExitCode> Serve(const Session& session, ServeOptions options) {
  Metrics metrics;
  BatchMetrics batch_metrics(metrics);
  metrics.GaugeOf(MetricId::kBuildInfo, {kVersion, kGitHash}).Set(1);
  options.processor.on_batch = [&](std::int32_t partition, const runtime::BatchReport& report) {
    batch_metrics.Add(partition, report);
  };
  options.processor.on_phase = [&](std::int32_t partition, const std::string& phase,
                                   const std::string& error) {
    const bool bad = phase == "stopped" || phase == "waiting_for_log" || phase == "holding";
    Log(bad ? LogLevel::kError : LogLevel::kInfo, "partition_phase",
        {{"partition", partition}, {"phase", phase}, {"error", error}});
    if (phase == "owner" && error.empty()) {
      metrics.CounterOf(MetricId::kOwnershipChanges, {"claimed"}).Add();
    } else if (phase == "waiting_for_log") {
      metrics.CounterOf(MetricId::kLogErrors, {"commit", "unavailable"}).Add();
    } else if (phase == "stopped") {
      metrics.CounterOf(MetricId::kOwnershipChanges, {"stopped"}).Add();
    }
  };
  runtime::Processor processor(session.log, session.clock, std::move(options.processor));
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto listener,
      HealthListener::Start(options.health,
                            {.metrics_text = [&metrics] { return metrics.RenderText(); },
                             .health = [&processor] { return HealthOf(processor.Status()); }}));
  processor.Start();
  Log(LogLevel::kInfo, "serving",
      {{"log", session.log.Describe()},
       {"partitions", processor.Status().size()},
       {"metrics_port", listener->port()}});
  auto next = session.clock.SinceBoot();
  auto last = next;
  while (!session.Interrupted()) {
    session.clock.SleepFor(kPause);
    const auto now = session.clock.SinceBoot();
    if (now < next) {
      continue;
    }
    next = now + kStatusEvery;
    for (const auto& status : processor.Status()) {
      batch_metrics.Set(status);
      if (status.held_seconds > 0) {
        metrics.CounterOf(MetricId::kHeldSeconds, {"permission_view"}).Add(Seconds(now - last));
      } else if (status.phase == "stopped") {
        metrics.CounterOf(MetricId::kHeldSeconds, {"operator"}).Add(Seconds(now - last));
      }
    }
    last = now;
  }
  Log(LogLevel::kInfo, "draining", {});
  const auto began = session.clock.SinceBoot();
  processor.Stop();
  const auto took = session.clock.SinceBoot() - began;
  Log(LogLevel::kInfo, "stopped", {{"seconds", Seconds(took)}});
  return took > options.drain_timeout ? ExitCode::kTimeout : ExitCode::kOk;
}

}  // namespace alertstream::cli

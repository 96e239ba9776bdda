#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <iterator>
#include <mutex>
#include <ratio>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "processor/log/kafka/client.h"
#include "schemas/decision.pb.h"
#include "tests/bench/deciders.h"
#include "tests/bench/kafka_stages.h"

namespace alertstream::bench {
namespace {

using namespace std::chrono_literals;

constexpr double kP50GoalMs = 8;
constexpr double kP99GoalMs = 40;
// Slower decisions make a stall, and so do all that are less than kStallGap apart.
constexpr double kStallMs = 40;
constexpr auto kStallGap = 20ms;
constexpr std::size_t kStallsPrinted = 30;
// A decision that has not come by then never comes.
constexpr auto kLastDecision = 10s;

// Each event's time, by its number; 0 is never.
using Time = std::atomic<std::int64_t>;
using Times = std::vector<Time>;

// Which event lies where: what one idempotent producer writes lies in the order of its calls.
class Places {
 public:
  Places(log::EventLog& log, std::int32_t partitions) {
    std::vector<log::TopicPartition> asked;
    asked.reserve(static_cast<std::size_t>(partitions));
    for (std::int32_t i = 0; i < partitions; ++i) {
      asked.push_back({schemas::Topic::kSiteEvents, i});
    }
    begins_ = Must(log.Ends(asked, log::EndKind::kUncommitted, kTimeout));
    events_.resize(begins_.size());
  }

  // REQUIRES: called for one event after the other, before anybody looks.
  void Add(std::int32_t partition, std::uint64_t event) {
    events_[static_cast<std::size_t>(partition)].push_back(event);
  }
  std::uint64_t At(std::int32_t partition, std::int64_t offset) const {
    const auto i = static_cast<std::size_t>(partition);
    const auto at = static_cast<std::size_t>(offset - begins_[i]);
    if (offset < begins_[i] || at >= events_[i].size()) {
      Die("a decision about an event that nobody produced");
    }
    return events_[i][at];
  }

 private:
  std::vector<std::int64_t> begins_;
  std::vector<std::vector<std::uint64_t>> events_;  // By partition, in the order of offsets.
};

// A batch at the time of its commit.
struct Batch {
  std::int64_t end;
  std::int64_t commit;
  std::int64_t fold;
  bool held;  // Its events waited for the horizon.
};

class Batches {
 public:
  // Thread-safe.
  void Add(const runtime::BatchReport& report) {
    const std::int64_t now = SystemClock().SinceBoot().count();
    const std::lock_guard lock(mutex_);
    batches_.push_back({now, report.commit.count(), report.fold.count(), report.held});
  }
  std::vector<Batch> Between(std::int64_t begin, std::int64_t end) const {
    const std::lock_guard lock(mutex_);
    std::vector<Batch> found;
    std::copy_if(batches_.begin(), batches_.end(), std::back_inserter(found),
                 [&](const Batch& batch) { return batch.end >= begin && batch.end <= end; });
    return found;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Batch> batches_;  // Guarded by mutex_.
};

struct Run {
  const KafkaSettings& settings;
  std::vector<Input> events;
  std::vector<std::int32_t> partitions;  // Of each event.
  Times produced;
  Times stored;  // The broker has said so.
  Times visible;
  Batches batches;

  explicit Run(const KafkaSettings& all)
      : settings(all),
        produced(all.rate * static_cast<std::uint64_t>((all.warm_up + all.latency_run).count())),
        stored(produced.size()),
        visible(produced.size()) {
    const std::int64_t now_us = ToMicros(SystemClock().Now());
    for (std::uint64_t i = 0; i < produced.size(); ++i) {
      events.push_back(EventRecord(all.size, i, now_us));
      partitions.push_back(schemas::PartitionOf(events.back().key, all.partitions));
    }
  }
};

// At a steady rate, whatever happens to the events before.
void Produce(const log::KafkaLogOptions& options, Run* run) {
  std::atomic<std::uint64_t> failed = 0;
  auto settings = log::ProducerSettings();
  settings.emplace_back("linger.ms", "0");
  const auto producer = Must(log::KafkaHandle::Create(
      Must(log::MakeKafkaContext(options)),
      {.type = RD_KAFKA_PRODUCER,
       .settings = settings,
       .on_delivery =
           [&failed](const rd_kafka_message_t& message) {
             failed += message.err == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : 1;
             *static_cast<Time*>(message._private) = SystemClock().SinceBoot().count();
           },
       .background = true}));
  Must(producer->MakeTopics());
  producer->RefreshTopics(log::Deadline(kTimeout));
  auto& clock = SystemClock();
  const std::chrono::microseconds period(std::micro::den / run->settings.rate);
  const auto begun = clock.SinceBoot();
  for (std::size_t i = 0; i < run->events.size(); ++i) {
    const auto due = begun + period * static_cast<std::int64_t>(i);
    const auto left = std::chrono::floor<std::chrono::milliseconds>(due - clock.SinceBoot());
    if (left > 0ms) {
      clock.SleepFor(left);
    }
    const Input& event = run->events[i];
    const log::NewRecord record{.topic = schemas::Topic::kSiteEvents,
                                .partition = run->partitions[i],
                                .key = event.key,
                                .value = event.value};
    run->produced[i] = clock.SinceBoot().count();
    if (log::Produce(*producer, record, &run->stored[i]) != RD_KAFKA_RESP_ERR_NO_ERROR) {
      Die("the producer refuses an event");
    }
  }
  rd_kafka_flush(producer->get(), 10'000);
  if (failed > 0) {
    Die(fmt::format("{} events were not delivered", failed.load()));
  }
}

// Notes when a reader of committed records sees the decision about each event.
void Follow(log::EventLog& log, const std::vector<log::ReadFrom>& from, const Places& places,
            Run* run) {
  const auto reader = Must(log.OpenReader(from));
  const auto until =
      SystemClock().SinceBoot() + run->settings.warm_up + run->settings.latency_run + kLastDecision;
  v1::DecisionRecord decision;
  log::Fetched fetched;
  for (std::size_t seen = 0; seen < run->events.size() && SystemClock().SinceBoot() < until;) {
    reader->Wait(100ms);
    for (std::size_t i = 0; i < from.size(); ++i) {
      fetched.records.clear();
      fetched.owners.clear();
      static_cast<void>(Must(reader->Fetch(i, {10'000, std::size_t{8} << 20}, &fetched)));
      const std::int64_t now = SystemClock().SinceBoot().count();
      for (const auto& record : fetched.records) {
        if (!decision.ParseFromArray(record.value.data(), static_cast<int>(record.value.size()))) {
          Die("a decision cannot be parsed");
        }
        run->visible[places.At(from[i].source.partition, decision.event().offset())] = now;
        ++seen;
      }
    }
  }
}

std::vector<log::ReadFrom> DecisionEnds(log::EventLog& log, std::int32_t partitions) {
  std::vector<log::TopicPartition> asked;
  asked.reserve(static_cast<std::size_t>(partitions));
  for (std::int32_t i = 0; i < partitions; ++i) {
    asked.push_back({schemas::Topic::kDecisions, i});
  }
  const auto ends = Must(log.Ends(asked, log::EndKind::kStable, kTimeout));
  std::vector<log::ReadFrom> from;
  from.reserve(asked.size());
  for (std::size_t i = 0; i < asked.size(); ++i) {
    from.push_back({asked[i], ends[i]});
  }
  return from;
}

double Ms(std::int64_t micros) { return static_cast<double>(micros) / 1000; }

// When decisions were slow, and what the slowest of each such time waited for.
void PrintStalls(const Run& run, std::size_t first) {
  struct Stall {
    std::size_t begin;
    std::size_t end;
    std::size_t worst;
  };
  const auto took = [&](std::size_t i) { return run.visible[i] - run.produced[i]; };
  std::vector<Stall> stalls;
  for (std::size_t i = first; i < run.events.size(); ++i) {
    if (Ms(took(i)) <= kStallMs) {
      continue;
    }
    const auto gap = std::chrono::microseconds(kStallGap).count();
    if (stalls.empty() || run.produced[i] - run.produced[stalls.back().end] > gap) {
      stalls.push_back({i, i, i});
    }
    auto& stall = stalls.back();
    stall.end = i;
    stall.worst = took(i) > took(stall.worst) ? i : stall.worst;
  }
  const auto begun = SystemClock().Now() - (SystemClock().SinceBoot() -
                                            std::chrono::microseconds(run.produced[0].load()));
  fmt::print("           {} stalls over {} ms; seconds since the first event, at {:.3f} s UTC:\n",
             stalls.size(), kStallMs, static_cast<double>(ToMicros(begun)) / 1e6);
  for (std::size_t i = 0; i < std::min(stalls.size(), kStallsPrinted); ++i) {
    const auto [begin, end, worst] = stalls[i];
    Batch longest{};
    for (const auto& batch : run.batches.Between(run.produced[worst], run.visible[worst])) {
      longest.commit = std::max(longest.commit, batch.commit);
      longest.fold = std::max(longest.fold, batch.fold);
      longest.held |= batch.held;
    }
    fmt::print(
        "           {:7.3f} s: {:.0f} ms, {} events; stored after {:.0f} ms, longest fold {:.0f} "
        "ms, longest commit {:.0f} ms{}\n",
        static_cast<double>(run.produced[worst] - run.produced[0]) / 1e6, Ms(took(worst)),
        end - begin + 1, Ms(run.stored[worst] - run.produced[worst]), Ms(longest.fold),
        Ms(longest.commit), longest.held ? ", held for the horizon" : "");
  }
}

void MeasureOver(const KafkaSettings& settings) {
  KafkaScratch scratch(settings.broker, settings.partitions);
  Run run(settings);
  LiveProcessor processor(scratch, settings.partitions, settings.size,
                          [&](const runtime::BatchReport& report) { run.batches.Add(report); });
  Places places(scratch.log(), settings.partitions);
  for (std::size_t i = 0; i < run.events.size(); ++i) {
    places.Add(run.partitions[i], i);
  }
  const auto from = DecisionEnds(scratch.log(), settings.partitions);
  const std::uint64_t batches = processor.batches();
  const Stopwatch watch;
  std::thread producer([&] { Produce(scratch.options(), &run); });
  Follow(scratch.log(), from, places, &run);
  producer.join();
  processor.Check();
  const double cpu = watch.cpu();
  std::vector<double> took_ms;
  const auto first = settings.rate * static_cast<std::uint64_t>(settings.warm_up.count());
  for (std::size_t i = first; i < run.events.size(); ++i) {
    if (run.visible[i] == 0) {
      Die(fmt::format("event {} was not decided", i));
    }
    took_ms.push_back(Ms(run.visible[i] - run.produced[i]));
  }
  const double seconds =
      static_cast<double>(run.produced[run.events.size() - 1] - run.produced[first]) / 1e6;
  fmt::print(
      "latency    {} events at {:.0f} a second over {} partition(s), from the producer's call to a "
      "reader of committed decisions, after {} s that are not counted:\n"
      "           p50 {:.1f} ms (goal {}), p90 {:.1f} ms, p99 {:.1f} ms (goal {}), at most {:.1f} "
      "ms; {:.1f} events a batch, {:.2f} CPU s a second\n",
      took_ms.size(), static_cast<double>(took_ms.size()) / seconds, settings.partitions,
      settings.warm_up.count(), Percentile(took_ms, 0.5), kP50GoalMs, Percentile(took_ms, 0.9),
      Percentile(took_ms, 0.99), kP99GoalMs, Percentile(took_ms, 1),
      static_cast<double>(run.events.size()) / static_cast<double>(processor.batches() - batches),
      cpu / watch.wall());
  PrintStalls(run, first);
  std::fflush(stdout);
}

}  // namespace

void MeasureLatency(const KafkaSettings& settings) {
  KafkaSettings run = settings;
  if (run.partitions > 0) {
    MeasureOver(run);
    return;
  }
  for (const std::int32_t partitions : {1, 4}) {
    run.partitions = partitions;
    MeasureOver(run);
  }
}

}  // namespace alertstream::bench

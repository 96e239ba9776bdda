#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "processor/engine/limits.h"
#include "processor/log/kafka/client.h"
#include "processor/log/memory/memory_log.h"
#include "tests/bench/deciders.h"
#include "tests/bench/kafka_stages.h"

namespace alertstream::bench {
namespace {

using log::KafkaError;
using log::KafkaHandle;

constexpr double kRatioGoal = 0.75;
// As many records as the task takes at once.
constexpr std::size_t kBatch = engine::kBatchRecordsMax;
constexpr int kLibraryTimeoutMs = 30'000;
constexpr std::array kOutputs = {schemas::Topic::kNotificationCommands, schemas::Topic::kDecisions,
                                 schemas::Topic::kFacts};

// What a run wrote to one topic.
struct Written {
  schemas::Topic topic{};
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;  // Of values and headers.
  std::string Sample() const { return std::string(records == 0 ? 0 : bytes / records, 'x'); }
};

void Check(const KafkaError& error) {
  if (error != nullptr) {
    Die(rd_kafka_error_string(error.get()));
  }
}

struct Measured {
  double cpu = 0;  // Seconds.
  std::uint64_t batches = 0;
  std::vector<Written> written;  // kOutputs, then the journal.
};

void Print(const char* what, const char* on, const KafkaSettings& settings,
           const Measured& measured, double wall) {
  const auto events = static_cast<double>(settings.events);
  fmt::print(
      "{:<10} {}: {} events in {} batches, {:.2f} s wall, {:.2f} CPU s, {:.0f} events a "
      "CPU-second\n",
      what, on, settings.events, measured.batches, wall, measured.cpu, events / measured.cpu);
  std::fflush(stdout);
}

std::vector<std::int64_t> OutputEnds(log::EventLog& log) {
  std::vector<log::TopicPartition> asked;
  asked.reserve(kOutputs.size() + 1);
  for (const auto topic : kOutputs) {
    asked.push_back({topic, 0});
  }
  asked.push_back({schemas::Topic::kJournal, 0});
  return Must(log.Ends(asked, log::EndKind::kStable, kTimeout));
}

// Reads what was appended to partition 0 of the output topics between two ends.
std::vector<Written> ReadOutputs(log::EventLog& log, const std::vector<std::int64_t>& begins) {
  constexpr std::size_t kBytes = std::size_t{8} << 20;
  const auto ends = OutputEnds(log);
  std::vector<Written> all;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    Written written{.topic = i < kOutputs.size() ? kOutputs[i] : schemas::Topic::kJournal};
    const log::ReadFrom from{.source = {written.topic, 0}, .offset = begins[i]};
    const auto reader = Must(log.OpenReader(std::span(&from, 1)));
    while (reader->Position(0) < ends[i]) {
      log::Fetched fetched;
      if (Must(reader->Fetch(0, {kBatch, kBytes}, &fetched)) == 0) {
        reader->Wait(std::chrono::milliseconds(50));
      }
      for (const auto& record : fetched.records) {
        ++written.records;
        written.bytes += record.value.size();
        for (const auto& header : record.headers) {
          written.bytes += header.name.size() + header.value.size();
        }
      }
    }
    all.push_back(written);
  }
  return all;
}

// The task on `log`, whose topics are new; from the appended events to a flushed state.
Measured Decide(const char* what, const char* on, log::EventLog& log, const std::string& directory,
                const KafkaSettings& settings) {
  Deciders deciders(log, directory);
  static_cast<void>(deciders.ApplyRules(settings.size));
  AppendEvents(log, settings.size, 0, settings.events);
  const auto begins = OutputEnds(log);
  WaitForQuiet();
  const Stopwatch watch;
  const Decided decided = deciders.Drain();
  const double wall = watch.wall();
  deciders.Flush();
  Measured measured{.cpu = watch.cpu(), .batches = decided.commit_ms.size()};
  Print(what, on, settings, measured, wall);
  fmt::print("           commit p50 {:.1f} ms, p99 {:.1f} ms\n", Percentile(decided.commit_ms, 0.5),
             Percentile(decided.commit_ms, 0.99));
  const std::uint64_t people = std::uint64_t{settings.size.tenants} * settings.size.recipients;
  if (settings.events <= people * kEventTypes && decided.sends != settings.events) {
    Die(fmt::format("{} messages were commanded for {} events", decided.sends, settings.events));
  }
  measured.written = ReadOutputs(log, begins);
  return measured;
}

// The producers of the plain loop, and what they have written.
class RawOutputs {
 public:
  RawOutputs(const std::shared_ptr<const log::KafkaContext>& context, const Measured& like,
             std::uint64_t events)
      : events_(events) {
    for (const char* id : {"raw-a", "raw-b"}) {
      // Fuller batches, which cost the library less (the task rather has its answers sooner).
      auto settings = log::ProducerSettings();
      settings.emplace_back("linger.ms", "1");
      settings.emplace_back("transactional.id", context->options.topic_prefix + id);
      producers_.push_back(
          Must(KafkaHandle::Create(context, {.type = RD_KAFKA_PRODUCER,
                                             .settings = settings,
                                             .on_delivery = [](const rd_kafka_message_t&) {}})));
      Must(producers_.back()->MakeTopics());
      Check(KafkaError(rd_kafka_init_transactions(producers_.back()->get(), kLibraryTimeoutMs)));
    }
    for (const auto& written : like.written) {
      topics_.push_back({.like = written, .sample = written.Sample()});
    }
  }

  // One transaction with what belongs to the events up to `seen`, and a journal record.
  void Commit(std::uint64_t seen) {
    auto& producer = *producers_[commits_++ % producers_.size()];
    Check(KafkaError(rd_kafka_begin_transaction(producer.get())));
    for (auto& topic : topics_) {
      const bool journal = topic.like.topic == schemas::Topic::kJournal;
      const auto due = journal ? commits_ : topic.like.records * seen / events_;
      for (; topic.done < due; ++topic.done) {
        if (rd_kafka_produce(producer.topic(topic.like.topic), 0, RD_KAFKA_MSG_F_COPY,
                             topic.sample.data(), topic.sample.size(), "tenant-0001", 11,
                             nullptr) != 0) {
          Die("the plain loop's producer refuses a record");
        }
      }
    }
    Check(KafkaError(rd_kafka_commit_transaction(producer.get(), kLibraryTimeoutMs)));
  }
  std::uint64_t commits() const { return commits_; }

 private:
  struct Topic {
    Written like;
    std::string sample;
    std::uint64_t done = 0;
  };
  const std::uint64_t events_;
  std::vector<std::shared_ptr<KafkaHandle>> producers_;  // Shared with the library's callbacks.
  std::vector<Topic> topics_;
  std::uint64_t commits_ = 0;
};

// Consume, and for each batch one transaction with as many and as large records as `like` wrote, on
// two ids in turn; nothing but the C library.
Measured RawLoop(const log::KafkaLogOptions& options, const Measured& like,
                 const KafkaSettings& settings) {
  const auto context = Must(log::MakeKafkaContext(options));
  RawOutputs outputs(context, like, settings.events);
  const auto consumer =
      Must(KafkaHandle::Create(context, {.type = RD_KAFKA_CONSUMER,
                                         .settings = {{"group.id", options.topic_prefix + "raw"},
                                                      {"isolation.level", "read_committed"},
                                                      {"enable.auto.commit", "false"}}}));
  WaitForQuiet();
  const Stopwatch watch;
  const log::KafkaPartitionList list(rd_kafka_topic_partition_list_new(1));
  const auto& topic = context->NameOf(schemas::Topic::kSiteEvents);
  // Offset 0 is the log's marker.
  rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), 0)->offset = 1;
  rd_kafka_assign(consumer->get(), list.get());
  const log::KafkaQueue queue(rd_kafka_queue_get_consumer(consumer->get()));
  std::vector<rd_kafka_message_t*> messages(kBatch);
  std::uint64_t seen = 0;
  while (seen < settings.events) {
    const auto got = rd_kafka_consume_batch_queue(queue.get(), 5, messages.data(), kBatch);
    if (got <= 0) {
      continue;
    }
    for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
      rd_kafka_message_destroy(messages[i]);
    }
    seen += static_cast<std::uint64_t>(got);
    outputs.Commit(seen);
  }
  Measured measured{.cpu = watch.cpu(), .batches = outputs.commits()};
  Print("raw", "librdkafka alone", settings, measured, watch.wall());
  const auto apart =
      std::max(measured.batches, like.batches) - std::min(measured.batches, like.batches);
  if (apart * 10 > like.batches) {
    fmt::print("           warning: {} batches against {}: the ratio compares unlike loops\n",
               measured.batches, like.batches);
  }
  return measured;
}

}  // namespace

void MeasureThroughput(const KafkaSettings& settings) {
  for (std::uint32_t round = 0; round < settings.rounds; ++round) {
    KafkaScratch scratch(settings.broker, 1);
    Measured fold;
    {
      const std::string directory = scratch.directory() + "/fold";
      std::filesystem::create_directory(directory);
      log::MemoryEventLog memory({.clock = SystemClock()});
      MakeTopics(memory, 1);
      fold = Decide("fold", "memory log", memory, directory, settings);
    }
    const Measured full = Decide("full", "Kafka", scratch.log(), scratch.directory(), settings);
    // Last, because its records do not belong into the journal.
    const Measured raw = RawLoop(scratch.options(), full, settings);
    std::uint64_t bytes = 0;
    std::uint64_t records = 0;
    for (const auto& written : full.written) {
      records += written.records;
      bytes += written.bytes;
    }
    const auto events = static_cast<double>(settings.events);
    fmt::print(
        "ratio      {:.2f} of 1 / (1 / raw + 1 / fold) (goal {}); a CPU-microsecond an event: raw "
        "{:.2f}, fold {:.2f}, full {:.2f}\n           {:.2f} records and {:.0f} bytes written an "
        "event\n",
        (raw.cpu + fold.cpu) / full.cpu, kRatioGoal, raw.cpu / events * 1e6,
        fold.cpu / events * 1e6, full.cpu / events * 1e6, static_cast<double>(records) / events,
        static_cast<double>(bytes) / events);
    std::fflush(stdout);
  }
}

}  // namespace alertstream::bench

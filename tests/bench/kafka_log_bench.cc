// The Kafka adapter against a plain librdkafka loop doing the same in the same run: consume 300 B
// events, and for each batch one transaction with a 250 B decision and a 300 B command an event.
//   alertstream_kafka_log_bench HOST:PORT [EVENTS]
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "processor/base/clock.h"
#include "processor/log/kafka/client.h"
#include "processor/log/kafka/kafka_log.h"
#include "tests/support/kafka_admin.h"

namespace alertstream::log {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kTimeout{30'000};
constexpr std::size_t kBatch = 2000;
constexpr TopicPartition kEvents0{.topic = Topic::kSiteEvents, .partition = 0};

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);  // NOLINT(concurrency-mt-unsafe): a program without threads of its own.
}

void Must(const Status& status) {
  if (!status.ok()) {
    Die(status.error().message());
  }
}

template <typename T>
T Must(Result<T> result) {
  if (!result.ok()) {
    Die(result.error().message());
  }
  return std::move(result).value();
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

class Stopwatch {
 public:
  void Print(const char* what, std::size_t records) const {
    const auto wall = std::chrono::duration<double>(SystemClock().SinceBoot() - wall_).count();
    const auto cpu = CpuSeconds() - cpu_;
    const auto count = static_cast<double>(records);
    std::printf("%-34s %8.0f records/s wall, %8.0f records a CPU-second\n", what, count / wall,
                count / cpu);
    std::fflush(stdout);
  }

 private:
  std::chrono::microseconds wall_ = SystemClock().SinceBoot();
  double cpu_ = CpuSeconds();
};

void Fill(EventLog& log, std::size_t events) {
  const std::string value(300, 'e');
  const Stopwatch watch;
  for (std::size_t done = 0; done < events; done += kBatch * 5) {
    const std::vector<NewRecord> records(
        kBatch * 5, {.topic = Topic::kSiteEvents, .partition = 0, .key = "acme", .value = value});
    Must(log.Append(records, kTimeout));
  }
  watch.Print("append, one caller", events);
}

void Read(EventLog& log, std::size_t events) {
  const Stopwatch watch;
  const ReadFrom from{.source = kEvents0, .offset = 0};
  const auto reader = Must(log.OpenReader(std::span(&from, 1)));
  std::size_t count = 0;
  while (count < events) {
    Fetched fetched;
    count += Must(reader->Fetch(0, {.records_max = kBatch, .bytes_max = 8 << 20}, &fetched));
    if (fetched.records.empty()) {
      reader->Wait(100ms);
    }
  }
  watch.Print("read, one source", events);
}

void AddOutputs(std::vector<NewRecord>* outputs) {
  static const std::string decision(250, 'd');
  static const std::string command(300, 'c');
  outputs->push_back(
      {.topic = Topic::kDecisions, .partition = 0, .key = "acme", .value = decision});
  outputs->push_back(
      {.topic = Topic::kNotificationCommands, .partition = 0, .key = "acme", .value = command});
}

void Loop(EventLog& log, std::size_t events) {
  std::unique_ptr<Transactor> transactors[] = {Must(log.OpenTransactor("bench-a")),
                                               Must(log.OpenTransactor("bench-b"))};
  for (auto& transactor : transactors) {
    Must(transactor->Init(kTimeout));
  }
  const Stopwatch watch;
  const ReadFrom from{.source = kEvents0, .offset = 0};
  const auto reader = Must(log.OpenReader(std::span(&from, 1)));
  std::vector<NewRecord> outputs;
  std::size_t count = 0;
  std::size_t commits = 0;
  while (count < events) {
    Fetched fetched;
    if (Must(reader->Fetch(0, {.records_max = kBatch, .bytes_max = 8 << 20}, &fetched)) == 0) {
      reader->Wait(100ms);
      continue;
    }
    outputs.clear();
    for (std::size_t i = 0; i < fetched.records.size(); ++i) {
      AddOutputs(&outputs);
    }
    Must(transactors[commits++ % 2]->Commit(outputs, kTimeout));
    count += fetched.records.size();
  }
  watch.Print("loop, this adapter", events);
  std::printf("%34s %zu commits of %zu events\n", "", commits, events / commits);
}

void Small(EventLog& log) {
  std::unique_ptr<Transactor> transactors[] = {Must(log.OpenTransactor("bench-a")),
                                               Must(log.OpenTransactor("bench-b"))};
  for (auto& transactor : transactors) {
    Must(transactor->Init(kTimeout));
  }
  const std::string value(300, 'j');
  const std::vector<NewRecord> records = {
      {.topic = Topic::kDecisions, .partition = 0, .key = "acme", .value = value},
      {.topic = Topic::kJournal, .partition = 0, .key = "acme", .value = value}};
  for (const std::size_t ids : {1u, 2u}) {
    std::vector<double> took_ms;
    for (std::size_t i = 0; i < 400; ++i) {
      const auto began = SystemClock().SinceBoot();
      Must(transactors[i % ids]->Commit(records, kTimeout));
      took_ms.push_back(
          std::chrono::duration<double, std::milli>(SystemClock().SinceBoot() - began).count());
    }
    std::sort(took_ms.begin(), took_ms.end());
    std::printf("commit of 2 records, %zu id(s) in turn   p50 %.1f ms, p90 %.1f ms, p99 %.1f ms\n",
                ids, took_ms[200], took_ms[360], took_ms[396]);
  }
}

void CheckKafka(const KafkaError& error) {
  if (error != nullptr) {
    Die(rd_kafka_error_string(error.get()));
  }
}

// Two producers, one consumer queue, nothing but the C library; every record by rd_kafka_produce.
void RawLoop(const std::shared_ptr<const KafkaContext>& context, std::size_t events) {
  std::vector<std::shared_ptr<KafkaHandle>> producers;
  for (const char* id : {"raw-a", "raw-b"}) {
    KafkaHandle::Spec spec{.type = RD_KAFKA_PRODUCER,
                           .settings = {{"linger.ms", "0"}, {"transactional.id", id}},
                           .on_delivery = [](const rd_kafka_message_t&) {}};
    producers.push_back(Must(KafkaHandle::Create(context, std::move(spec))));
    Must(producers.back()->MakeTopics());
    CheckKafka(KafkaError(rd_kafka_init_transactions(producers.back()->get(), 30'000)));
  }
  const auto consumer = Must(KafkaHandle::Create(
      context, {.type = RD_KAFKA_CONSUMER,
                .settings = {{"group.id", "raw"}, {"isolation.level", "read_committed"}}}));
  const Stopwatch watch;
  const KafkaPartitionList list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), context->NameOf(Topic::kSiteEvents).c_str(), 0)
      ->offset = 0;
  rd_kafka_assign(consumer->get(), list.get());
  const KafkaQueue queue(rd_kafka_queue_get_consumer(consumer->get()));
  std::string outputs[] = {std::string(250, 'd'), std::string(300, 'c')};
  const Topic topics[] = {Topic::kDecisions, Topic::kNotificationCommands};
  std::vector<rd_kafka_message_t*> messages(kBatch);
  std::size_t count = 0;
  std::size_t commits = 0;
  while (count < events) {
    const auto got = rd_kafka_consume_batch_queue(queue.get(), 5, messages.data(), kBatch);
    if (got <= 0) {
      continue;
    }
    auto& producer = *producers[commits++ % 2];
    CheckKafka(KafkaError(rd_kafka_begin_transaction(producer.get())));
    for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
      for (std::size_t j = 0; j < 2; ++j) {
        rd_kafka_produce(producer.topic(topics[j]), 0, RD_KAFKA_MSG_F_COPY, outputs[j].data(),
                         outputs[j].size(), "acme", 4, nullptr);
      }
      rd_kafka_message_destroy(messages[i]);
    }
    CheckKafka(KafkaError(rd_kafka_commit_transaction(producer.get(), 30'000)));
    count += static_cast<std::size_t>(got);
  }
  watch.Print("loop, librdkafka alone", events);
  std::printf("%34s %zu commits of %zu events\n", "", commits, events / commits);
}

int Run(const std::string& bootstrap, std::size_t events) {
  KafkaLogOptions options;
  options.bootstrap = bootstrap;
  options.topic_prefix = "bench-" + std::to_string(ToMicros(SystemClock().Now())) + "-";
  const auto log = Must(OpenKafkaLog(options));
  Must(log->ApplyTopics({.partitions = 1, .replication = 1}, kTimeout));
  Small(*log);
  Fill(*log, events);
  Read(*log, events);
  const auto context = Must(MakeKafkaContext(options));
  for (int round = 0; round < 2; ++round) {
    RawLoop(context, events);
    Loop(*log, events);
  }
  Must(DeleteKafkaTopics(options));
  return 0;
}

}  // namespace
}  // namespace alertstream::log

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: alertstream_kafka_log_bench HOST:PORT [EVENTS]\n");
    return 2;
  }
  return alertstream::log::Run(argv[1], argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 400'000);
}

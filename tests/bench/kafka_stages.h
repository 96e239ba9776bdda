// The stages of kafka_bench. Each makes topics with a prefix of its own and deletes them again.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "processor/log/event_log.h"
#include "processor/log/kafka/kafka_log.h"
#include "processor/runtime/processor.h"
#include "processor/state/rocksdb/rocksdb_store.h"
#include "tests/bench/workload.h"

namespace alertstream::bench {

struct KafkaSettings {
  std::string broker;
  std::string stage;               // Empty: all but memory.
  std::uint64_t events = 200'000;  // Of the throughput stage.
  std::uint32_t rounds = 2;        // Of the throughput stage.
  std::int32_t partitions = 0;     // Of the latency and the memory stage; 0: as README.md says.
  std::uint64_t rate = 1000;       // Events a second of the latency stage.
  std::chrono::seconds latency_run{30};
  std::chrono::seconds warm_up{20};  // Of the latency stage, before what counts.
  std::chrono::minutes memory_run{10};
  WorkloadSize size{.tenants = 100, .recipients = 1000};
  WorkloadSize memory_size{.tenants = 1000, .recipients = 1000};
};

// The whole task against what a plain loop and the fold cost, in CPU time of this process.
void MeasureThroughput(const KafkaSettings& settings);
// From the call that produces an event to its decision at a reader of committed records.
void MeasureLatency(const KafkaSettings& settings);
// Resident memory while events are decided as fast as possible.
void MeasureMemory(const KafkaSettings& settings);

// A log with topics of its own and a directory for the state; both are gone afterwards.
class KafkaScratch {
 public:
  KafkaScratch(const std::string& broker, std::int32_t partitions);
  ~KafkaScratch();
  KafkaScratch(const KafkaScratch&) = delete;
  KafkaScratch& operator=(const KafkaScratch&) = delete;

  log::EventLog& log() { return *log_; }
  const log::KafkaLogOptions& options() const { return options_; }
  const std::string& directory() const { return directory_; }

 private:
  log::KafkaLogOptions options_;
  std::string directory_;
  std::unique_ptr<log::EventLog> log_;
};

// The processor as the program runs it, leases included, on a log whose rules were applied.
class LiveProcessor {
 public:
  // Called on the partitions' threads after each committed batch.
  using OnBatch = std::function<void(const runtime::BatchReport& report)>;

  // Returns when all partitions are owned.
  LiveProcessor(KafkaScratch& scratch, std::int32_t partitions, const WorkloadSize& size,
                OnBatch on_batch = nullptr);
  ~LiveProcessor() { processor_->Stop(); }
  LiveProcessor(const LiveProcessor&) = delete;
  LiveProcessor& operator=(const LiveProcessor&) = delete;

  // Thread-safe.
  std::uint64_t decided() const { return decided_; }
  std::uint64_t sends() const { return sends_; }
  std::uint64_t batches() const { return batches_; }
  // Ends the program if a partition is no longer owned.
  void Check() const;

 private:
  const OnBatch on_batch_;
  std::shared_ptr<state::StoreMemory> memory_;  // Shared with the stores.
  std::atomic<std::uint64_t> decided_ = 0;
  std::atomic<std::uint64_t> sends_ = 0;
  std::atomic<std::uint64_t> batches_ = 0;
  std::unique_ptr<runtime::Processor> processor_;
};

}  // namespace alertstream::bench

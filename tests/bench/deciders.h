// The tasks of all partitions of a log, one after the other on one thread, with their states in
// RocksDB: what the benchmarks measure. Used by fold_bench and kafka_bench. Belongs to one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "processor/base/clock.h"
#include "processor/base/crypto.h"
#include "processor/log/event_log.h"
#include "processor/runtime/partition_state.h"
#include "processor/runtime/task.h"
#include "processor/state/rocksdb/rocksdb_store.h"
#include "tests/bench/workload.h"

namespace alertstream::bench {

inline constexpr std::chrono::seconds kTimeout{30};
// As the program has it by default: with the local log's buffers and the rules of a thousand
// tenants about 370 MiB.
inline constexpr std::size_t kMapBytes = std::size_t{128} << 20;
inline constexpr std::size_t kStoreBytes = std::size_t{32} << 20;

HmacKey TokenKey();

class Stopwatch {
 public:
  double wall() const;  // Seconds.
  double cpu() const;   // Seconds of all threads.

 private:
  std::chrono::microseconds wall_ = SystemClock().SinceBoot();
  double cpu_ = CpuSeconds();
};

// Returns when the process does nothing any more: background work of what was done before must not
// be paid by what is measured next.
void WaitForQuiet();

// The value at `part` (0.99) of the sorted values; 0 without any.
double Percentile(std::vector<double> values, double part);

// Creates the topics with `partitions` partitions and their markers.
void MakeTopics(log::EventLog& log, std::int32_t partitions);

// Appends what `make(0)`, `make(1)`, ... `make(count - 1)` give, each to its tenant's partition.
void AppendAll(log::EventLog& log, schemas::Topic topic, std::uint64_t count,
               const std::function<Input(std::uint64_t)>& make);
void AppendEvents(log::EventLog& log, const WorkloadSize& size, std::uint64_t first,
                  std::uint64_t count);

struct Decided {
  std::uint64_t inputs = 0;
  std::uint64_t outputs = 0;
  std::uint64_t sends = 0;
  std::vector<double> commit_ms;
};

class Deciders {
 public:
  // The state of partition 2 lies in `directory`/state-2.
  Deciders(log::EventLog& log, const std::string& directory);

  // Decides until everything that the log held at the call is decided, or `sends_max` messages have
  // been commanded.
  Decided Drain(std::uint64_t sends_max = std::numeric_limits<std::uint64_t>::max());
  // Appends rules and consents of all tenants and decides them.
  Decided ApplyRules(const WorkloadSize& size);
  void Flush();
  runtime::PartitionTask& task(std::size_t partition) { return *partitions_[partition].task; }

 private:
  struct Partition {
    std::unique_ptr<state::StateStore> store;
    std::unique_ptr<runtime::PartitionState> state;
    std::unique_ptr<runtime::PartitionTask> task;
  };
  log::EventLog& log_;
  std::shared_ptr<state::StoreMemory> memory_;  // Shared with the stores.
  std::unique_ptr<runtime::PermissionHorizon> horizon_;
  std::vector<Partition> partitions_;
};

}  // namespace alertstream::bench

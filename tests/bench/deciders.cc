#include "tests/bench/deciders.h"

#include <algorithm>
#include <numeric>

#include "processor/engine/state_keys.h"
#include "processor/runtime/identity.h"

namespace alertstream::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kAppendRecords = 20'000;

}  // namespace

HmacKey TokenKey() { return HmacKey("token key of the benchmark"); }

double Stopwatch::wall() const {
  return std::chrono::duration<double>(SystemClock().SinceBoot() - wall_).count();
}

double Stopwatch::cpu() const { return CpuSeconds() - cpu_; }

void WaitForQuiet() {
  for (int quiet = 0; quiet < 3;) {
    const Stopwatch watch;
    SystemClock().SleepFor(100ms);
    quiet = watch.cpu() < 0.005 ? quiet + 1 : 0;
  }
}

double Percentile(std::vector<double> values, double part) {
  if (values.empty()) {
    return 0;
  }
  const auto at = static_cast<std::size_t>(part * static_cast<double>(values.size()));
  const auto nth = values.begin() + static_cast<std::ptrdiff_t>(std::min(at, values.size() - 1));
  std::nth_element(values.begin(), nth, values.end());
  return *nth;
}

void MakeTopics(log::EventLog& log, std::int32_t partitions) {
  Must(log.ApplyTopics({.partitions = partitions, .replication = 1}, kTimeout));
  static_cast<void>(Must(runtime::EnsureMarkers(log, TokenKey(), kTimeout)));
}

void AppendAll(log::EventLog& log, schemas::Topic topic, std::uint64_t count,
               const std::function<Input(std::uint64_t)>& make) {
  const std::int32_t partitions = Must(log.Partitions(kTimeout));
  std::vector<Input> inputs;
  std::vector<log::NewRecord> records;
  for (std::uint64_t done = 0; done < count;) {
    inputs.clear();
    records.clear();
    for (; done < count && inputs.size() < kAppendRecords; ++done) {
      inputs.push_back(make(done));
    }
    for (const auto& input : inputs) {
      records.push_back({.topic = topic,
                         .partition = schemas::PartitionOf(input.key, partitions),
                         .key = input.key,
                         .value = input.value});
    }
    static_cast<void>(Must(log.Append(records, kTimeout)));
  }
}

void AppendEvents(log::EventLog& log, const WorkloadSize& size, std::uint64_t first,
                  std::uint64_t count) {
  const std::int64_t now_us = ToMicros(SystemClock().Now());
  AppendAll(log, schemas::Topic::kSiteEvents, count,
            [&](std::uint64_t i) { return EventRecord(size, first + i, now_us); });
}

Deciders::Deciders(log::EventLog& log, const std::string& directory)
    : log_(log), memory_(state::StoreMemory::Create(kStoreBytes)) {
  std::vector<std::int32_t> all(static_cast<std::size_t>(Must(log.Partitions(kTimeout))));
  std::iota(all.begin(), all.end(), 0);
  horizon_ = std::make_unique<runtime::PermissionHorizon>(log, SystemClock(), all);
  horizon_->Start();
  const auto count = static_cast<std::int32_t>(all.size());
  for (const std::int32_t i : all) {
    const auto identity = Must(runtime::CheckMarkers(log, TokenKey(), i, kTimeout));
    Partition partition;
    partition.store = Must(state::OpenRocksDbStore(directory + "/state-" + std::to_string(i),
                                                   engine::IsHistoryKey, memory_));
    partition.state = Must(runtime::PartitionState::Open(
        {.log_id = identity.log_id,
         .fold = {.token_key = TokenKey(), .partition = i, .partitions = count},
         .cache_bytes = kMapBytes / all.size()},
        *partition.store));
    partition.task = Must(runtime::PartitionTask::Start(log, *partition.state, *horizon_,
                                                        SystemClock(), {.instance = "bench"}));
    partitions_.push_back(std::move(partition));
  }
}

Decided Deciders::Drain(std::uint64_t sends_max) {
  std::vector<log::TopicPartition> asked;
  for (std::size_t i = 0; i < partitions_.size(); ++i) {
    for (const schemas::Topic topic : schemas::kInputTopics) {
      asked.push_back({topic, static_cast<std::int32_t>(i)});
    }
  }
  const auto ends = Must(log_.Ends(asked, log::EndKind::kStable, kTimeout));
  Decided total;
  for (bool busy = true; busy && total.sends < sends_max;) {
    busy = false;
    for (std::size_t i = 0; i < partitions_.size(); ++i) {
      auto& task = *partitions_[i].task;
      const auto report = Must(task.RunOnce());
      if (!report) {
        const auto passed = task.passed();
        for (std::size_t k = 0; k < passed.size() && !busy; ++k) {
          busy = passed[k] < ends[i * passed.size() + k];
        }
        if (busy) {
          task.Wait(5ms);
        }
        continue;
      }
      busy = true;
      total.inputs += report->inputs;
      total.outputs += report->outputs;
      total.sends += report->effects->commands.count();
      total.commit_ms.push_back(std::chrono::duration<double, std::milli>(report->commit).count());
    }
  }
  return total;
}

Decided Deciders::ApplyRules(const WorkloadSize& size) {
  constexpr std::uint32_t kRecordsPerTenant = 2 + kTriggersPerTenant;
  AppendAll(log_, schemas::Topic::kAccountChanges, std::uint64_t{size.tenants} * kRecordsPerTenant,
            [&](std::uint64_t i) {
              const auto tenant = static_cast<std::uint32_t>(i / kRecordsPerTenant);
              const auto record = static_cast<std::uint32_t>(i % kRecordsPerTenant);
              return record == 0   ? TenantRecord(tenant)
                     : record == 1 ? SenderRecord(tenant)
                                   : TriggerRecord(tenant, record - 2);
            });
  // A consent for a tenant that is not known yet would be a dead letter.
  static_cast<void>(Drain());
  AppendAll(log_, schemas::Topic::kConsentChanges, std::uint64_t{size.tenants} * size.recipients,
            [&](std::uint64_t i) {
              return ConsentRecord(static_cast<std::uint32_t>(i % size.tenants),
                                   static_cast<std::uint32_t>(i / size.tenants));
            });
  Decided consents = Drain();
  Flush();
  return consents;
}

void Deciders::Flush() {
  for (auto& partition : partitions_) {
    Must(partition.task->Flush());
  }
}

}  // namespace alertstream::bench

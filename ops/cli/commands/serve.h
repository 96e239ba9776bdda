// `serve --target=processor`: decides until it is told to stop, and tells metrics and health how it
// goes. A library function over ports; the wiring gives it its log and its stores.
#pragma once

#include <chrono>
#include <functional>

#include "ops/cli/commands/session.h"
#include "ops/cli/health_listener.h"
#include "processor/base/metrics.h"

namespace alertstream::cli {

struct ServeOptions {
  runtime::ProcessorOptions processor;  // Its callbacks are set here.
  HealthListenerOptions health;
  // SIGTERM to the end: what is under way is committed, the rest waits in the log.
  std::chrono::milliseconds drain_timeout{10'000};
};

// What a batch did, as counters. Thread-safe as Metrics is; used by serve and its tests.
class BatchMetrics {
 public:
  explicit BatchMetrics(Metrics& metrics) : metrics_(metrics) {}
  void Add(std::int32_t partition, const runtime::BatchReport& report);
  // What a partition is at now.
  void Set(const runtime::PartitionStatus& status);

 private:
  Metrics& metrics_;
};

// {"status":"ready|not_ready","partitions":[{"partition","phase","error"?,...}]}
HealthState HealthOf(const std::vector<runtime::PartitionStatus>& partitions);

// Until session.interrupted. kUnavailable: the listener cannot start. Ends with kOk, or kTimeout if
// the drain took longer than allowed.
Result<ExitCode> Serve(const Session& session, ServeOptions options);

}  // namespace alertstream::cli

// `serve` and `dev`: decides, takes events and sends until it is told to stop, and tells metrics
// and health how it goes. A library function over ports; the wiring gives it its log, its stores
// and its parts.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ops/cli/commands/session.h"
#include "ops/cli/health_listener.h"
#include "processor/base/metrics.h"

namespace alertstream::cli {

inline constexpr std::chrono::seconds kPositionsEvery{5};

// A part of a server besides the processor: the API, the dispatcher, the simulator of a dev.
class ServerPart {
 public:
  virtual ~ServerPart() = default;
  virtual std::string_view name() const = 0;
  // Whether it does its work, and a JSON object that says how; thread-safe, from memory.
  virtual HealthState Health() const = 0;
  // Twice a second, for gauges that nobody else sets.
  virtual void Tick() = 0;
  // Takes nothing new and ends what is under way. False: not all of it within `deadline`.
  virtual bool Stop(std::chrono::milliseconds deadline) = 0;
};
using ServerParts = std::vector<std::unique_ptr<ServerPart>>;

// What parts are given: where their metrics go, and what /metrics and /health answer.
struct ServerContext {
  Metrics& metrics;
  HealthSources sources;
};

struct ServeOptions {
  // Its callbacks are set here. Nothing: this server decides nothing.
  std::optional<runtime::ProcessorOptions> processor;
  // Where a partition's progress is written while it is not ready (progress_file.h); may be empty.
  std::function<std::string(std::int32_t partition)> progress_path;
  // Nothing: only a part answers for metrics and health.
  std::optional<HealthListenerOptions> health;
  // SIGTERM to the end: what is under way is committed, the rest waits in the log.
  std::chrono::milliseconds drain_timeout{10'000};
  // Told every kPositionsEvery how far inputs were consumed, and once more at the end (`last`), for
  // tools that show lag. What it returns is logged and changes nothing. May be empty.
  std::function<Status(std::span<const log::ReadFrom> positions, bool last)> note_positions;
  // Starts the other parts, in the order in which they are stopped, before the processor is. May be
  // empty.
  std::function<Result<ServerParts>(const ServerContext& context)> start_parts;
  // Called once, when everything is ready for the first time. An error ends the server. May be
  // empty.
  std::function<Status()> on_ready;
};

// What a batch did, as counters. Thread-safe as Metrics is; used by serve and its tests.
class BatchMetrics {
 public:
  // Series whose labels are known beforehand begin at 0, so that a first increase is seen.
  explicit BatchMetrics(Metrics& metrics);
  void Add(std::int32_t partition, const runtime::BatchReport& report);

 private:
  void AddOutputs(const engine::Effects& effects);

  Metrics& metrics_;
};

// What partitions are at, and how long for. Add and Phase are called by their threads, Set by the
// one that serves.
class PartitionMetrics {
 public:
  PartitionMetrics(Metrics& metrics, Clock& clock);
  void Phase(std::int32_t partition, const std::string& phase, const std::string& error);
  void Failed(const Error& error);
  void Snapshot(std::int32_t partition, const runtime::SnapshotNote& note);
  void TakeOver(runtime::TakeOverCause cause);
  void Set(const runtime::PartitionStatus& status);

 private:
  void SetStandby(const std::string& where, const runtime::PartitionStatus& status);
  struct Known {
    std::uint64_t followed = 0;  // Already counted; so are the others.
    std::uint64_t mismatches = 0;
    double held_seconds = 0;  // Already counted.
    std::chrono::microseconds seen_at{};
  };
  Metrics& metrics_;
  Clock& clock_;
  std::map<std::int32_t, Known> known_;  // Of Set only.
  std::mutex mutex_;
  std::map<std::int32_t, std::chrono::microseconds> starting_since_;  // Guarded by mutex_.
};

// The positions of the partitions that are owned, for note_positions.
std::vector<log::ReadFrom> PositionsOf(const std::vector<runtime::PartitionStatus>& partitions);

// {"status":"ready|not_ready","partitions":[{"partition","phase","error"?,...}],"api":{...},...}:
// a member for each part.
HealthState HealthOf(const std::vector<runtime::PartitionStatus>& partitions,
                     const ServerParts& parts = {});

// Until session.interrupted. kUnavailable: a listener cannot start. Ends with kOk, or kTimeout if
// the drain took longer than allowed.
Result<ExitCode> Serve(const Session& session, ServeOptions options);

}  // namespace alertstream::cli

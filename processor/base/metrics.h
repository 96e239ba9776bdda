// Metrics: counters, gauges and histograms of the program, and their text form for Prometheus.
//
// Every family stands in one table (MetricTable) with its help, its unit and its labels. A
// component asks for its series once, when it is made, and keeps the references: adding to one is
// an atomic operation without a look-up. Thread-safe. Used by the runtime, the adapters and the
// program; never by deciding code. No label names a tenant or a recipient: their number has no
// limit, and metrics leave the machine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace alertstream {

enum class MetricId : std::uint8_t {
  // Counters.
  kRecordsRead,
  kEvents,
  kDecisions,
  kCommands,
  kFacts,
  kDeadLetters,
  kRerouted,
  kSkipped,
  kTimersFired,
  kBatches,
  kOwnershipChanges,
  kTaskErrors,
  kHeldSeconds,
  kWebhookRequests,
  kIngestRequests,
  kIngestEvents,
  kHttpRequests,
  kHttpRefusals,
  kKeysReloads,
  kDispatches,
  kProjectionTransactions,
  kProjectionRows,
  kSnapshots,
  kTakeOvers,
  kFollowedBatches,
  kRootMismatches,
  // Gauges.
  kBuildInfo,
  kReady,
  kLagSeconds,
  kHeld,
  kJournalSeq,
  kOwnerEpoch,
  kStateCacheBytes,
  kRecoverySeconds,
  kHttpConnections,
  kHttpParked,
  kIdentityKeys,
  kCircuitState,
  kDispatchInFlight,
  kDispatchWaiting,
  kDispatchHeld,
  kProjectionLagSeconds,
  kProjectionSeq,
  kStandby,
  kStandbyLagSeconds,
  kTakeOverBackedOff,
  kSnapshotSeq,
  kCatchUpRemaining,
  kCatchUpEtaSeconds,
  // Histograms.
  kCommitSeconds,
  kFoldSeconds,
  kEventToDecisionSeconds,
  kBatchRecords,
  kIngestAckSeconds,
  kDispatchSeconds,
  kProjectionSeconds,
  kSnapshotSeconds,
};
inline constexpr std::size_t kMetricCount =
    static_cast<std::size_t>(MetricId::kSnapshotSeconds) + 1;

enum class MetricType : std::uint8_t { kCounter, kGauge, kHistogram };

struct MetricSpec {
  MetricId id;
  MetricType type;
  std::string_view name;                   // Ends in its unit, and in _total for a counter.
  std::string_view unit;                   // "seconds", "bytes", "records", ...; "" for a state.
  std::array<std::string_view, 3> labels;  // "" where there is none.
  std::string_view help;
  std::span<const double> buckets;  // Upper bounds; histograms only.
};

// All families in the order of their ids.
std::span<const MetricSpec> MetricTable();

// Series of one family. Labels are partitions, topics and closed enums, so a family that has more
// holds a label that was never meant to be one.
inline constexpr std::size_t kSeriesPerFamilyMax = 16'384;

class Counter {
 public:
  // REQUIRES: amount >= 0.
  void Add(double amount = 1);
  double value() const;

 private:
  friend class Metrics;
  explicit Counter(prometheus::Counter& series) : series_(&series) {}
  prometheus::Counter* series_;
};

class Gauge {
 public:
  void Set(double value);
  void Add(double amount);
  double value() const;

 private:
  friend class Metrics;
  explicit Gauge(prometheus::Gauge& series) : series_(&series) {}
  prometheus::Gauge* series_;
};

class Histogram {
 public:
  void Observe(double value);
  std::uint64_t count() const;
  double sum() const;

 private:
  friend class Metrics;
  explicit Histogram(prometheus::Histogram& series) : series_(&series) {}
  prometheus::Histogram* series_;
};

class Metrics {
 public:
  using LabelValues = std::initializer_list<std::string_view>;

  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The series of family `id` with these label values, in the table's order; the same values give
  // the same series, which exists as long as this object.
  // REQUIRES: `id` is a family of that type with as many labels as there are values.
  Counter& CounterOf(MetricId id, LabelValues values = {});
  Gauge& GaugeOf(MetricId id, LabelValues values = {});
  Histogram& HistogramOf(MetricId id, LabelValues values = {});

  // Every series in the text format 0.0.4 that Prometheus scrapes.
  std::string RenderText() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Content-Type of RenderText.
inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace alertstream

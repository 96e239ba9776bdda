#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "processor/base/check.h"
#include "processor/base/metrics.h"

namespace alertstream {
namespace {

// Powers of two from half a millisecond: the goals (p50 8 ms, p99 40 ms) fall between bounds, and a
// stalled broker still shows by how much.
constexpr std::array kLatencySeconds = {0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064,
                                        0.128,  0.256, 0.512, 1.0,   2.0,   4.0,   8.0};
// Up to the largest batch that the task collects and the most effects that it may have.
constexpr std::array kBatchSizes = {1.0, 4.0, 16.0, 64.0, 256.0, 1000.0, 2000.0, 5000.0, 10000.0};

constexpr MetricType kC = MetricType::kCounter;
constexpr MetricType kG = MetricType::kGauge;
constexpr MetricType kH = MetricType::kHistogram;

constexpr std::array<MetricSpec, kMetricCount> kTable = {{
    {MetricId::kRecordsRead,
     kC,
     "alertstream_records_read_total",
     "records",
     {"topic", ""},
     "Input records that were folded and committed",
     {}},
    {MetricId::kEvents,
     kC,
     "alertstream_events_total",
     "events",
     {"verdict", ""},
     "Events by verdict: accepted, duplicate, expired, no_match",
     {}},
    {MetricId::kDecisions,
     kC,
     "alertstream_decisions_total",
     "decisions",
     {"outcome", "reason"},
     "Decisions by outcome and reason",
     {}},
    {MetricId::kCommands,
     kC,
     "alertstream_commands_total",
     "commands",
     {"channel", ""},
     "Notification commands by channel",
     {}},
    {MetricId::kFacts,
     kC,
     "alertstream_facts_total",
     "facts",
     {"kind", ""},
     "Accepted and rejected changes of state by kind",
     {}},
    {MetricId::kDeadLetters,
     kC,
     "alertstream_dead_letters_total",
     "records",
     {"stage", "reason"},
     "Records that could not be decided, by stage and reason",
     {}},
    {MetricId::kRerouted,
     kC,
     "alertstream_rerouted_total",
     "records",
     {"topic", ""},
     "Records that lay in a wrong partition and were appended to the right one",
     {}},
    {MetricId::kSkipped,
     kC,
     "alertstream_skipped_total",
     "records",
     {"topic", ""},
     "Records that were skipped because they crash the engine",
     {}},
    {MetricId::kTimersFired,
     kC,
     "alertstream_timers_fired_total",
     "timers",
     {"", ""},
     "Timers that were folded",
     {}},
    {MetricId::kBatches,
     kC,
     "alertstream_batches_total",
     "batches",
     {"kind", ""},
     "Committed batches by kind: batch, skip",
     {}},
    {MetricId::kOwnershipChanges,
     kC,
     "alertstream_ownership_changes_total",
     "changes",
     {"change", ""},
     "Partitions claimed, and lost to another instance (fenced) or by an error (stopped)",
     {}},
    {MetricId::kTaskErrors,
     kC,
     "alertstream_task_errors_total",
     "errors",
     {"error", ""},
     "Failed attempts of partitions' tasks, also those that are repeated, by the kind of error",
     {}},
    {MetricId::kHeldSeconds,
     kC,
     "alertstream_held_seconds_total",
     "seconds",
     {"cause", ""},
     "Time in which events waited for a permission topic (permission_view) or a repair (stopped)",
     {}},
    {MetricId::kWebhookRequests,
     kC,
     "alertstream_webhook_requests_total",
     "requests",
     {"provider", "result"},
     "Calls of providers by what came of them: accepted, unrouted (nobody's number), repeated, or "
     "why they were refused",
     {}},
    {MetricId::kIngestRequests,
     kC,
     "alertstream_ingest_requests_total",
     "requests",
     {"result", ""},
     "Requests to the ingest door: accepted, replayed, batch, or the code of the problem",
     {}},
    {MetricId::kIngestEvents,
     kC,
     "alertstream_ingest_events_total",
     "events",
     {"trust", ""},
     "Events that the ingest door appended, by the kind of key: secret, publishable",
     {}},
    {MetricId::kHttpRequests,
     kC,
     "alertstream_http_requests_total",
     "requests",
     {"", ""},
     "Requests that the API handed to a handler",
     {}},
    {MetricId::kHttpRefusals,
     kC,
     "alertstream_http_refusals_total",
     "requests",
     {"reason", ""},
     "Requests and connections that the API's server turned away itself, by reason",
     {}},
    {MetricId::kKeysReloads,
     kC,
     "alertstream_keys_reloads_total",
     "files",
     {"result", ""},
     "Changes of the keys file, by whether the new content could be taken",
     {}},
    {MetricId::kDispatches,
     kC,
     "alertstream_dispatch_total",
     "attempts",
     {"channel", "provider", "class"},
     "Attempts that ended, by channel, provider and class of the outcome",
     {}},
    {MetricId::kProjectionTransactions,
     kC,
     "alertstream_projection_transactions_total",
     "transactions",
     {"partition", ""},
     "Transactions by which the projector moved the read model on",
     {}},
    {MetricId::kProjectionRows,
     kC,
     "alertstream_projection_rows_total",
     "rows",
     {"partition", ""},
     "Rows of the read model that the projector wrote",
     {}},
    {MetricId::kSnapshots,
     kC,
     "alertstream_snapshots_total",
     "snapshots",
     {"kind", ""},
     "Snapshots of state by what became of them: made, failed, restored, refused (damaged)",
     {}},
    {MetricId::kTakeOvers,
     kC,
     "alertstream_take_overs_total",
     "partitions",
     {"cause", ""},
     "Partitions that this standby took over: by order, or because the owner's lease was stale",
     {}},
    {MetricId::kFollowedBatches,
     kC,
     "alertstream_followed_batches_total",
     "batches",
     {"", ""},
     "Batches that this standby decided again, with the owner's roots as the result",
     {}},
    {MetricId::kRootMismatches,
     kC,
     "alertstream_root_mismatches_total",
     "batches",
     {"", ""},
     "Batches that came out otherwise when this standby decided them again",
     {}},
    {MetricId::kBuildInfo,
     kG,
     "alertstream_build_info",
     "",
     {"version", "revision"},
     "1; its labels say what runs",
     {}},
    {MetricId::kReady,
     kG,
     "alertstream_partition_ready",
     "",
     {"partition", ""},
     "1 if the partition decides, 0 if it waits, recovers or has stopped",
     {}},
    {MetricId::kLagSeconds,
     kG,
     "alertstream_lag_seconds",
     "seconds",
     {"partition", ""},
     "Time of the last batch minus the append time of its oldest record; 0 when all is decided",
     {}},
    {MetricId::kHeld,
     kG,
     "alertstream_partition_held",
     "",
     {"partition", ""},
     "1 while events of the partition wait for a permission topic",
     {}},
    {MetricId::kJournalSeq,
     kG,
     "alertstream_journal_seq",
     "records",
     {"partition", ""},
     "Sequence number of the newest journal record",
     {}},
    {MetricId::kOwnerEpoch,
     kG,
     "alertstream_owner_epoch",
     "claims",
     {"partition", ""},
     "Epoch of this instance's claim on the partition",
     {}},
    {MetricId::kStateCacheBytes,
     kG,
     "alertstream_state_cache_bytes",
     "bytes",
     {"partition", ""},
     "Memory of the write-back map",
     {}},
    {MetricId::kRecoverySeconds,
     kG,
     "alertstream_recovery_seconds",
     "seconds",
     {"partition", ""},
     "How long the last start took until the first new decision was possible",
     {}},
    {MetricId::kHttpConnections,
     kG,
     "alertstream_http_connections",
     "connections",
     {"", ""},
     "Connections to the API that are open",
     {}},
    {MetricId::kHttpParked,
     kG,
     "alertstream_http_parked_requests",
     "requests",
     {"", ""},
     "Requests to the API that wait for their answer",
     {}},
    {MetricId::kIdentityKeys,
     kG,
     "alertstream_identity_keys",
     "keys",
     {"state", ""},
     "Live API keys of the database, by whether this server holds them (held) or has no room "
     "(left_out)",
     {}},
    {MetricId::kCircuitState,
     kG,
     "alertstream_circuit_state",
     "",
     {"provider", "account", ""},
     "Breaker of a provider account: 0 closed, 1 half open, 2 open, 3 suspended until somebody "
     "acts",
     {}},
    {MetricId::kDispatchInFlight,
     kG,
     "alertstream_dispatch_in_flight",
     "calls",
     {"", "", ""},
     "Calls to providers that have not ended",
     {}},
    {MetricId::kDispatchWaiting,
     kG,
     "alertstream_dispatch_waiting",
     "commands",
     {"", "", ""},
     "Commands at hand that wait for pace or a breaker",
     {}},
    {MetricId::kDispatchHeld,
     kG,
     "alertstream_dispatch_held",
     "commands",
     {"", "", ""},
     "Commands held because their person may have opted out a moment ago",
     {}},
    {MetricId::kProjectionLagSeconds,
     kG,
     "alertstream_projection_lag_seconds",
     "seconds",
     {"partition", ""},
     "Age of the oldest batch that the read model does not hold; 0 when it holds all",
     {}},
    {MetricId::kProjectionSeq,
     kG,
     "alertstream_projection_seq",
     "records",
     {"partition", ""},
     "Journal record that the read model ends with",
     {}},
    {MetricId::kStandby,
     kG,
     "alertstream_standby",
     "",
     {"partition", ""},
     "1: this instance follows the partition",
     {}},
    {MetricId::kStandbyLagSeconds,
     kG,
     "alertstream_standby_lag_seconds",
     "seconds",
     {"partition", ""},
     "How long ago this standby was as far as the journal; 0 if it is now",
     {}},
    {MetricId::kTakeOverBackedOff,
     kG,
     "alertstream_take_over_backed_off",
     "",
     {"partition", ""},
     "1: fenced twice within a minute, so it does not take over by itself for 5 minutes",
     {}},
    {MetricId::kSnapshotSeq,
     kG,
     "alertstream_snapshot_seq",
     "",
     {"partition", ""},
     "Journal seq of the newest snapshot that this process made or restored",
     {}},
    {MetricId::kCatchUpRemaining,
     kG,
     "alertstream_catch_up_remaining",
     "records",
     {"partition", ""},
     "Journal records to fold again, or keys to verify, before the partition works",
     {}},
    {MetricId::kCatchUpEtaSeconds,
     kG,
     "alertstream_catch_up_eta_seconds",
     "seconds",
     {"partition", ""},
     "When that will be done, at the present rate",
     {}},
    {MetricId::kCommitSeconds,
     kH,
     "alertstream_commit_seconds",
     "seconds",
     {"", ""},
     "Commit of one batch, from its first append to the known outcome",
     kLatencySeconds},
    {MetricId::kFoldSeconds,
     kH,
     "alertstream_fold_seconds",
     "seconds",
     {"", ""},
     "Fold of one batch",
     kLatencySeconds},
    {MetricId::kEventToDecisionSeconds,
     kH,
     "alertstream_event_to_decision_seconds",
     "seconds",
     {"", ""},
     "From the append time of the oldest event of a batch to its committed decision",
     kLatencySeconds},
    {MetricId::kBatchRecords,
     kH,
     "alertstream_batch_records",
     "records",
     {"", ""},
     "Input records a batch",
     kBatchSizes},
    {MetricId::kIngestAckSeconds,
     kH,
     "alertstream_ingest_ack_seconds",
     "seconds",
     {"", ""},
     "From a request to the ingest door to the log's answer",
     kLatencySeconds},
    {MetricId::kDispatchSeconds,
     kH,
     "alertstream_dispatch_duration_seconds",
     "seconds",
     {"", "", ""},
     "A call to a provider, from its start to its answer or failure",
     kLatencySeconds},
    {MetricId::kProjectionSeconds,
     kH,
     "alertstream_projection_transaction_seconds",
     "seconds",
     {"", "", ""},
     "A transaction of the projector, until it is committed",
     kLatencySeconds},
    {MetricId::kSnapshotSeconds,
     kH,
     "alertstream_snapshot_seconds",
     "seconds",
     {"", ""},
     "Time that deciding waited for a snapshot",
     kLatencySeconds},
}};

constexpr bool IsInOrder() {
  for (std::size_t i = 0; i < kTable.size(); ++i) {
    if (static_cast<std::size_t>(kTable[i].id) != i) {
      return false;
    }
  }
  return true;
}
static_assert(IsInOrder(), "the table is indexed by MetricId");

std::size_t LabelCount(const MetricSpec& spec) {
  return static_cast<std::size_t>(std::count_if(spec.labels.begin(), spec.labels.end(),
                                                [](std::string_view l) { return !l.empty(); }));
}

prometheus::Labels LabelsOf(const MetricSpec& spec, const std::vector<std::string>& values) {
  prometheus::Labels labels;
  for (std::size_t i = 0; i < values.size(); ++i) {
    labels.emplace(std::string(spec.labels[i]), values[i]);
  }
  return labels;
}

// One kind of family: the library's, and our handles on its series. The handles' addresses stay.
template <typename Family, typename Handle>
struct Families {
  std::map<MetricId, Family*> families;
  std::map<MetricId, std::map<std::vector<std::string>, std::unique_ptr<Handle>>> series;
};

}  // namespace

std::span<const MetricSpec> MetricTable() { return kTable; }

void Counter::Add(double amount) { series_->Increment(amount); }
double Counter::value() const { return series_->Value(); }

void Gauge::Set(double value) { series_->Set(value); }
void Gauge::Add(double amount) { series_->Increment(amount); }
double Gauge::value() const { return series_->Value(); }

void Histogram::Observe(double value) { series_->Observe(value); }
std::uint64_t Histogram::count() const { return series_->Collect().histogram.sample_count; }
double Histogram::sum() const { return series_->Collect().histogram.sample_sum; }

struct Metrics::Impl {
  prometheus::Registry registry;
  std::mutex mutex;  // Guards the three below; the library guards its own.
  Families<prometheus::Family<prometheus::Counter>, Counter> counters;
  Families<prometheus::Family<prometheus::Gauge>, Gauge> gauges;
  Families<prometheus::Family<prometheus::Histogram>, Histogram> histograms;

  // Finds or makes a handle; `make` makes the library's series from its labels and wraps it.
  template <typename Kind, typename Make>
  auto& SeriesOf(Kind& kind, MetricId id, LabelValues given, const Make& make) {
    const MetricSpec& spec = kTable[static_cast<std::size_t>(id)];
    ALERTSTREAM_CHECK(given.size() == LabelCount(spec));
    const std::vector<std::string> values(given.begin(), given.end());
    const std::scoped_lock lock(mutex);
    const auto family = kind.families.find(id);
    ALERTSTREAM_CHECK(family != kind.families.end());  // Else it is of another type.
    auto& series = kind.series[id];
    auto& handle = series[values];
    if (handle == nullptr) {
      ALERTSTREAM_CHECK(series.size() <= kSeriesPerFamilyMax);
      handle = make(*family->second, spec, LabelsOf(spec, values));
    }
    return *handle;
  }
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {
  for (const MetricSpec& spec : kTable) {
    const std::string name(spec.name);
    const std::string help(spec.help);
    switch (spec.type) {
      case MetricType::kCounter:
        impl_->counters.families[spec.id] =
            &prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry);
        break;
      case MetricType::kGauge:
        impl_->gauges.families[spec.id] =
            &prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry);
        break;
      case MetricType::kHistogram:
        impl_->histograms.families[spec.id] =
            &prometheus::BuildHistogram().Name(name).Help(help).Register(impl_->registry);
        break;
    }
  }
}

Metrics::~Metrics() = default;

Counter& Metrics::CounterOf(MetricId id, LabelValues values) {
  return impl_->SeriesOf(impl_->counters, id, values,
                         [](auto& family, const MetricSpec&, const prometheus::Labels& labels) {
                           return std::unique_ptr<Counter>(new Counter(family.Add(labels)));
                         });
}

Gauge& Metrics::GaugeOf(MetricId id, LabelValues values) {
  return impl_->SeriesOf(impl_->gauges, id, values,
                         [](auto& family, const MetricSpec&, const prometheus::Labels& labels) {
                           return std::unique_ptr<Gauge>(new Gauge(family.Add(labels)));
                         });
}

Histogram& Metrics::HistogramOf(MetricId id, LabelValues values) {
  return impl_->SeriesOf(
      impl_->histograms, id, values,
      [](auto& family, const MetricSpec& spec, const prometheus::Labels& labels) {
        const std::vector<double> buckets(spec.buckets.begin(), spec.buckets.end());
        return std::unique_ptr<Histogram>(new Histogram(family.Add(labels, buckets)));
      });
}

std::string Metrics::RenderText() const {
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

}  // namespace alertstream

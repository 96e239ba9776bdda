#include "projections/projector.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace alertstream::projections {
namespace {

using std::chrono::milliseconds;

// How long a thread waits for the journal before it looks whether it is to end.
constexpr milliseconds kWait{200};
// For a session of the pool: longer than any transaction should take.
constexpr milliseconds kSessionWait{30'000};
// After as many failures in a row of one transaction it is cut smaller: it may take too long.
constexpr int kFailuresBeforeSmaller = 3;

double Seconds(std::chrono::microseconds duration) {
  return static_cast<double>(duration.count()) / 1e6;
}

struct Series {
  std::optional<Counter> transactions;
  std::optional<Counter> rows;
  std::optional<Gauge> seq;
  std::optional<Histogram> seconds;
};

Series SeriesOf(Metrics* metrics, std::int32_t partition) {
  if (metrics == nullptr) {
    return {};
  }
  const std::string where = std::to_string(partition);
  return {.transactions = metrics->CounterOf(MetricId::kProjectionTransactions, {where}),
          .rows = metrics->CounterOf(MetricId::kProjectionRows, {where}),
          .seq = metrics->GaugeOf(MetricId::kProjectionSeq, {where}),
          .seconds = metrics->HistogramOf(MetricId::kProjectionSeconds)};
}

}  // namespace

// One partition, on its thread.
class Projector::Worker {
 public:
  Worker(Projector& owner, std::size_t index)
      : owner_(owner),
        index_(index),
        projector_(owner.log_, {.log_id = owner.options_.log_id,
                                .partition = owner.options_.partitions[index],
                                .rows_max = owner.options_.rows_max}),
        series_(SeriesOf(owner.options_.metrics, owner.options_.partitions[index])) {}

  void Run();

 private:
  void Step();
  alertstream::Status Open();
  alertstream::Status WriteOut();
  void Failed(const Error& error);
  void Progressed();
  void Pause();
  bool Stopping() const;
  void SetBehind(std::optional<LogTime> since);

  Projector& owner_;
  const std::size_t index_;
  PartitionProjector projector_;
  Series series_;
  bool open_ = false;
  bool unresolved_ = false;  // The last commit may have been applied.
  int failures_ = 0;         // In a row.
  milliseconds pause_ = kRetryFirst;
};

bool Projector::Worker::Stopping() const {
  const std::scoped_lock lock(owner_.mutex_);
  return owner_.stopping_;
}

void Projector::Worker::Run() {
  while (!Stopping()) {
    Step();
  }
}

void Projector::Worker::Step() {
  if (!open_) {
    if (const alertstream::Status opened = Open(); !opened.ok()) {
      Failed(opened.error());
      Pause();
      return;
    }
    open_ = true;
    Progressed();
  }
  // What may have been applied stays as it is until that is known.
  const auto collected = unresolved_ ? Result<bool>(true) : projector_.Collect(kWait);
  if (!collected.ok()) {
    Failed(collected.error());
    Pause();
    return;
  }
  if (!collected.value()) {
    SetBehind(std::nullopt);
    Progressed();
    return;
  }
  SetBehind(projector_.pending_since());
  const auto begun = owner_.clock_.SinceBoot();
  const std::size_t rows = projector_.pending_rows();
  if (const alertstream::Status written = WriteOut(); !written.ok()) {
    Failed(written.error());
    Pause();
    return;
  }
  if (series_.transactions) {
    series_.transactions->Add();
    series_.rows->Add(static_cast<double>(rows));
    series_.seconds->Observe(Seconds(owner_.clock_.SinceBoot() - begun));
  }
  {
    const std::scoped_lock lock(owner_.mutex_);
    ++owner_.entries_[index_].status.transactions;
    owner_.entries_[index_].status.rows += rows;
  }
  if (projector_.rows_max() < owner_.options_.rows_max) {
    projector_.set_rows_max(std::min(owner_.options_.rows_max, projector_.rows_max() * 2));
  }
  Progressed();
}

alertstream::Status Projector::Worker::Open() {
  unresolved_ = false;
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto session, owner_.pool_.Take(kSessionWait));
  return projector_.Open(*session);
}

alertstream::Status Projector::Worker::WriteOut() {
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto session, owner_.pool_.Take(kSessionWait));
  if (unresolved_) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const bool applied, projector_.Resolve(*session));
    unresolved_ = false;
    if (applied) {
      return alertstream::Status::Ok();
    }
  }
  return projector_.Write(*session);
}

void Projector::Worker::Failed(const Error& error) {
  ++failures_;
  bool stopped = false;
  switch (error.code()) {
    case ErrorCode::kUnknown:
      unresolved_ = true;
      break;
    case ErrorCode::kUnavailable:
    case ErrorCode::kExhausted:
      if (projector_.has_pending() && failures_ >= kFailuresBeforeSmaller &&
          projector_.rows_max() > kRowsPerTransactionMin) {
        projector_.set_rows_max(std::max(kRowsPerTransactionMin, projector_.rows_max() / 2));
        open_ = unresolved_;  // What may have been applied is asked for first.
        failures_ = 0;
      }
      break;
    case ErrorCode::kConflict:
      open_ = false;
      break;
    case ErrorCode::kInvalid:
    case ErrorCode::kDenied:
    case ErrorCode::kNotFound:
    case ErrorCode::kFenced:
    case ErrorCode::kCorrupt:
      open_ = false;
      stopped = true;
      pause_ = kRetryMax;
      break;
  }
  if (owner_.options_.on_error) {
    owner_.options_.on_error(owner_.options_.partitions[index_], error);
  }
  const std::scoped_lock lock(owner_.mutex_);
  Entry& entry = owner_.entries_[index_];
  entry.status.phase = stopped ? "stopped" : "waiting_for_database";
  entry.status.error = error.message();
  if (!entry.behind_since) {
    entry.behind_since = owner_.clock_.Now();
  }
}

void Projector::Worker::SetBehind(std::optional<LogTime> since) {
  const std::scoped_lock lock(owner_.mutex_);
  owner_.entries_[index_].behind_since = since;
}

void Projector::Worker::Progressed() {
  failures_ = 0;
  pause_ = kRetryFirst;
  const std::int64_t seq = projector_.position().seq;
  if (series_.seq) {
    series_.seq->Set(static_cast<double>(seq));
  }
  const std::scoped_lock lock(owner_.mutex_);
  ProjectionStatus& status = owner_.entries_[index_].status;
  status.phase = "projecting";
  status.error.clear();
  status.seq = seq;
}

void Projector::Worker::Pause() {
  std::unique_lock lock(owner_.mutex_);
  owner_.wake_.wait_for(lock, pause_, [this] { return owner_.stopping_; });
  pause_ = std::min(pause_ * 2, kRetryMax);
}

Projector::Projector(log::EventLog& log, Clock& clock, sql::Database& database,
                     ProjectorOptions options)
    : log_(log),
      clock_(clock),
      options_(std::move(options)),
      pool_(database,
            {.role = "alertstream_projector",
             .application_name = "alertstream-projector",
             .statement_timeout = kProjectorStatementTimeout},
            std::clamp<std::size_t>(options_.partitions.size(), 1, kProjectorSessionsMax)) {
  for (const std::int32_t partition : options_.partitions) {
    entries_.push_back({.status = {.partition = partition}, .behind_since = std::nullopt});
  }
}

Projector::~Projector() { Stop(); }

void Projector::Start() {
  for (std::size_t i = 0; i < options_.partitions.size(); ++i) {
    threads_.emplace_back([this, i] { Worker(*this, i).Run(); });
  }
}

void Projector::Stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) {
      thread.join();
    }
  }
}

double Projector::LagOf(const Entry& entry) const {
  return entry.behind_since ? std::max(0.0, Seconds(clock_.Now() - *entry.behind_since)) : 0;
}

std::vector<ProjectionStatus> Projector::Status() const {
  const std::scoped_lock lock(mutex_);
  std::vector<ProjectionStatus> statuses;
  for (const Entry& entry : entries_) {
    statuses.push_back(entry.status);
    statuses.back().lag_seconds = LagOf(entry);
  }
  return statuses;
}

void Projector::NoteLag() {
  if (options_.metrics == nullptr) {
    return;
  }
  for (const ProjectionStatus& status : Status()) {
    options_.metrics->GaugeOf(MetricId::kProjectionLagSeconds, {std::to_string(status.partition)})
        .Set(status.lag_seconds);
  }
}

bool Projector::Ready() const {
  const std::scoped_lock lock(mutex_);
  return std::all_of(entries_.begin(), entries_.end(),
                     [](const Entry& entry) { return entry.status.phase == "projecting"; });
}

}  // namespace alertstream::projections

// Projector: keeps the read model up with the log: one thread a partition, a few sessions for all.
// Whatever fails is tried again with a growing pause; what was folded waits in memory meanwhile and
// nothing is lost or written twice. Thread-safe. Used by the server's part and by tests.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "processor/base/clock.h"
#include "processor/base/metrics.h"
#include "processor/log/event_log.h"
#include "projections/partition_projector.h"
#include "projections/sql/database.h"

namespace alertstream::projections {

// One backend of the server each. Transactions of more partitions at once would only wait for the
// same disk.
inline constexpr std::size_t kProjectorSessionsMax = 4;
inline constexpr std::chrono::milliseconds kRetryFirst{50};
inline constexpr std::chrono::milliseconds kRetryMax{5000};
// A transaction of kRowsPerTransactionMax rows takes a tenth of a second on a quiet machine. With
// what a silent server is given on top, and another try, less than the 30 s of ops/guarantees.md
// (I7).
inline constexpr std::chrono::milliseconds kProjectorStatementTimeout{15'000};

struct ProjectorOptions {
  std::string log_id;
  std::vector<std::int32_t> partitions;
  std::size_t rows_max = kRowsPerTransactionMax;
  Metrics* metrics = nullptr;  // May be null.
  // Called on a partition's thread for every failed try; no personal data in it. May be empty.
  std::function<void(std::int32_t partition, const Error& error)> on_error = {};
};

struct ProjectionStatus {
  std::int32_t partition = 0;
  // starting; projecting; waiting_for_database (or for the log): it is tried again soon; stopped:
  // somebody has to do what the error says, which is looked at every kRetryMax.
  std::string phase = "starting";
  std::string error;
  std::int64_t seq = 0;    // Journal record that the tables end with.
  double lag_seconds = 0;  // Since when the oldest batch waits that is not in the tables.
  std::uint64_t transactions = 0;
  std::uint64_t rows = 0;
};

class Projector {
 public:
  // `log`, `clock` and `database` outlive it.
  Projector(log::EventLog& log, Clock& clock, sql::Database& database, ProjectorOptions options);
  // As Stop.
  ~Projector();
  Projector(const Projector&) = delete;
  Projector& operator=(const Projector&) = delete;

  void Start();
  // Ends what is under way; what was collected and not written is read again at the next start.
  void Stop();

  std::vector<ProjectionStatus> Status() const;
  // Every partition is projecting.
  bool Ready() const;
  // Sets the gauges of lag, which grows also while a transaction hangs. Now and then.
  void NoteLag();

 private:
  class Worker;

  log::EventLog& log_;
  Clock& clock_;
  const ProjectorOptions options_;
  sql::Pool pool_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // Guarded by mutex_.
  struct Entry {
    ProjectionStatus status;
    std::optional<LogTime> behind_since;  // Of the oldest batch that is not in the tables.
  };
  double LagOf(const Entry& entry) const;
  std::vector<Entry> entries_;  // Guarded by mutex_; as options_.partitions.
  std::vector<std::thread> threads_;
};

}  // namespace alertstream::projections

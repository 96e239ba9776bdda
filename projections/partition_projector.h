// PartitionProjector: folds one partition of the log into tables, exactly once. Collect reads and
// folds what the journal has accepted; Write sends it with the position row in one transaction. It
// owns no session, so a pool can serve many partitions. Belongs to one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "processor/base/result.h"
#include "processor/log/event_log.h"
#include "processor/runtime/output_reader.h"
#include "projections/all.h"
#include "projections/batch.h"
#include "projections/input_follower.h"
#include "projections/position.h"
#include "projections/sql/database.h"

namespace alertstream::projections {

// Rows of one transaction: enough that the cost of a commit does not show, few enough that a
// transaction takes a fraction of a second and a few megabytes.
inline constexpr std::size_t kRowsPerTransactionMax = 4000;
inline constexpr std::size_t kRowsPerTransactionMin = 50;

// Bytes of the records that a transaction's rows come from: a batch of few rows may hold megabytes
// of event data. One batch (at most 8 MiB of effects and 4 MiB of input) always fits.
inline constexpr std::size_t kBytesPerTransactionMax = std::size_t{16} << 20;

inline constexpr const char* kSchema = "read_model";
inline constexpr const char* kNextSchema = "read_model_next";

struct PartitionProjectorOptions {
  std::string log_id;  // 16 bytes.
  std::int32_t partition = 0;
  const char* schema = kSchema;  // A constant.
  std::size_t rows_max = kRowsPerTransactionMax;
  std::size_t bytes_max = kBytesPerTransactionMax;
  std::chrono::milliseconds read_timeout{10'000};
};

class PartitionProjector {
 public:
  PartitionProjector(log::EventLog& log, PartitionProjectorOptions options);

  // Reads the position row, makes one if there is none, and goes on from there; what was collected
  // is forgotten. kCorrupt: the tables are of another log, or the log does not have the journal
  // record that they end with; the message says what to do.
  Status Open(sql::Session& session);
  bool is_open() const { return reader_ != nullptr; }

  // Folds what is at hand until there are rows_max rows or bytes_max bytes, and up to seq
  // `seq_max`; the last batch is folded whole. If nothing is pending, waits for something at most
  // `timeout`. True if there is something to write.
  Result<bool> Collect(std::chrono::milliseconds timeout,
                       std::int64_t seq_max = std::numeric_limits<std::int64_t>::max());

  // Writes what was collected. ok: it is committed, or was already. kConflict: the tables have
  // moved (another projector, a rebuild, a database that lost its last commits): Open again.
  // Otherwise nothing was written, or (kUnknown) nobody knows: call Resolve, with another session
  // if this one is not alive.
  Status Write(sql::Session& session);
  // After a commit of unknown outcome. True: it was applied. False: it was not; Write again.
  // kConflict as above.
  Result<bool> Resolve(sql::Session& session);

  bool has_pending() const { return pending_batches_ > 0; }
  std::size_t pending_rows() const;
  std::size_t pending_batches() const { return pending_batches_; }
  // Of the oldest batch that waits to be written.
  LogTime pending_since() const { return pending_since_; }
  // What the tables hold.
  const Position& position() const { return written_; }
  void set_rows_max(std::size_t rows_max) { options_.rows_max = rows_max; }
  std::size_t rows_max() const { return options_.rows_max; }

 private:
  Status CheckHistory(const Position& position);
  Status Fold(const runtime::ReleasedBatch& released);
  Status UseSchema(sql::Session& session);
  Status EnsureMonths(sql::Session& session);
  Status WriteRows(sql::Session& session);
  void Settle();

  log::EventLog& log_;
  PartitionProjectorOptions options_;
  std::vector<std::unique_ptr<Projection>> projections_ = AllProjections();
  BatchDecoder decoder_;
  std::unique_ptr<runtime::OutputReader> reader_;
  std::optional<InputFollower> inputs_;
  // A released batch whose inputs could not be read yet; its views live until the reader's next.
  std::optional<runtime::ReleasedBatch> half_taken_;
  Position written_;
  Position pending_;  // Behind what was collected.
  std::size_t pending_batches_ = 0;
  std::size_t pending_bytes_ = 0;  // Of the outputs and inputs of those.
  LogTime pending_since_{};
  std::set<std::int64_t> months_;  // Whose partitions exist, as months since year 0.
};

}  // namespace alertstream::projections

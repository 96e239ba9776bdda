// Rebuild and verify: the read model folded anew from the log into a second schema, beside the one
// that is in use. Rebuild then puts it in the other's place in one transaction, which the running
// projector and the readers notice by themselves; verify compares the two row by row and takes it
// away again. One of them at a time in a database. Belongs to one thread; used by the command line
// and tests.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "processor/base/clock.h"
#include "processor/base/result.h"
#include "processor/log/event_log.h"
#include "projections/compare.h"
#include "projections/partition_projector.h"
#include "projections/sql/database.h"

namespace alertstream::projections {

struct RebuildProgress {
  std::int64_t done = 0;  // Journal records of all partitions.
  std::int64_t end = 0;
  std::uint64_t rows = 0;
  double seconds = 0;
  double seconds_left = 0;  // At the speed so far; 0: not known yet.
};

struct RebuildDeps {
  log::EventLog& log;
  Clock& clock;
  sql::Database& database;
  std::string log_id;
  std::int32_t partitions = 0;
  // Makes the tables of the read model in that schema, which exists and is empty.
  std::function<Status(sql::Session& session, const std::string& schema)> make_tables;
  std::function<void(const RebuildProgress&)> progress = {};  // About once a second. May be empty.
  std::function<bool()> interrupted = {};  // Ends it with kUnavailable. May be empty.
};

struct RebuildReport {
  std::int64_t journal_records = 0;
  std::uint64_t rows = 0;
  double seconds = 0;
};

// kConflict: another rebuild or verify is running.
Result<RebuildReport> Rebuild(const RebuildDeps& deps);

struct VerifyReport {
  RebuildReport folded;
  TableComparison comparison;
};
Result<VerifyReport> Verify(const RebuildDeps& deps);

}  // namespace alertstream::projections

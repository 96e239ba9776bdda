// One partition of an audit: its history decided again in a scratch state, from zero, a snapshot or
// where an earlier run stood, and the records of the asked range compared with what is stored. It
// never writes to the log. Each object belongs to one thread, which may be any.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "ops/cli/commands/audit_resume.h"
#include "ops/cli/commands/replay.h"
#include "ops/cli/commands/session.h"
#include "processor/runtime/audit_outputs.h"
#include "processor/runtime/replayer.h"
#include "processor/state/snapshot_store.h"
#include "schemas/journal.pb.h"

namespace alertstream::cli {

// Of the journal. What lies before it is decided again, since the state follows from it, and
// nothing after it is read.
struct AuditRange {
  std::optional<LogTime> from;  // Batches of this time and later.
  std::optional<LogTime> to;    // And not later than this.
  std::optional<std::int64_t> from_offset;
  std::optional<std::int64_t> to_offset;

  bool HasBegun(LogTime now, std::int64_t offset) const {
    return !(from && now < *from) && !(from_offset && offset < *from_offset);
  }
  bool BeginsLater() const { return from.has_value() || from_offset.has_value(); }
};

// Where the scratch states lie. Thread-safe for different partitions.
struct AuditStates {
  OpenStateOf open;  // Goes on from what lies there.
  std::function<Status(std::int32_t partition)> clear;
  // Restores to where `open` opens; null: there are no snapshots to begin from.
  state::SnapshotStore* snapshots = nullptr;
};

struct AuditPartitionOptions {
  std::int32_t partition = 0;
  AuditRange range;
  std::string tenant;  // "": everybody's.
  std::chrono::microseconds checkpoint_every{std::chrono::seconds(2)};
};

// The first difference. Of the two sides one is what was recorded, the other what was found.
struct AuditFinding {
  std::uint64_t seq = 0;
  std::int64_t journal_offset = -1;
  bool history_changed = false;  // Else the engine differs.
  bool before_range = false;     // So that nothing of the range could be compared.
  std::string what;
  // A record that differs, if there is one.
  std::optional<runtime::OutputDifference> record;
  bool expects_stored = false;  // The stored record was expected, the decided one was found.
  // What the journal says of the batch, if it does not agree with what was decided again.
  std::optional<v1::JournalRecord> recorded;
  std::optional<v1::JournalRecord> refolded;
};

struct PartitionAudit {
  std::int32_t partition = 0;
  bool done = false;                // Compared to the end, or to the first difference.
  std::uint64_t began_seq = 0;      // Of a snapshot; 0: from zero.
  std::uint64_t resumed_seq = 0;    // Where an earlier run stood; 0: there was none.
  AuditCounts counts;               // With what earlier runs counted.
  std::optional<AuditPlace> first;  // Of the range compared; nothing: it held no batch.
  std::optional<AuditPlace> last;
  std::optional<AuditFinding> finding;
  Status status;  // Why it is not done.
};

// Read by whoever shows progress. `at` moves from `from` to `end`, in offsets of the journal.
struct AuditProgress {
  std::atomic<std::int64_t> at{0};
  std::atomic<std::int64_t> end{0};
};

// REQUIRES: `states` and `book` outlive the call; no other call for this partition.
PartitionAudit AuditPartition(const Session& session, const AuditPartitionOptions& options,
                              const AuditStates& states, AuditBook& book, AuditProgress* progress);

// The tenant of a record on an output topic; nothing: it cannot be decoded.
std::optional<std::string> TenantOfOutput(schemas::Topic topic, std::string_view value);

}  // namespace alertstream::cli

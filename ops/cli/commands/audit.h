// `audit verify`: decides history again in scratch states and compares it bit for bit with what was
// recorded: all of it or a range, several partitions at a time, going on where an earlier run was
// stopped. A library function over the ports of a session.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ops/cli/commands/audit_partition.h"
#include "ops/cli/commands/session.h"

namespace alertstream::cli {

// Partitions verified at the same time unless --jobs says otherwise: each takes a core and a cache
// of 128 MiB.
inline constexpr std::size_t kAuditJobsDefaultMax = 8;
inline constexpr std::size_t kAuditJobsMax = 64;

struct AuditOptions {
  std::vector<std::int32_t> partitions;  // Ascending; empty: all.
  AuditRange range;
  std::string tenant;            // Whose decisions and differences are told; "": everybody's.
  std::size_t jobs = 0;          // 0: as many as there are cores, up to kAuditJobsDefaultMax.
  std::string resume;            // Path of the file that keeps the progress; "": none.
  std::string states_directory;  // For messages; "": they are removed in any case.
  std::chrono::microseconds checkpoint_every{std::chrono::seconds(2)};
  bool terminal = false;  // err is one: progress is one line that is written over.
};

// What the user wrote.
struct AuditWords {
  std::vector<std::string> partitions;  // Numbers, or lists of them: "0,2".
  std::string from;                     // A time (RFC 3339) or journal/PARTITION/OFFSET.
  std::string to;
};
// kInvalid: a word that is neither, positions of two partitions, a range that ends before it
// begins. Which partitions the log has is not known here.
Result<AuditOptions> ParseAuditOptions(const AuditWords& words);

// kMismatch if a partition does not come out the same; with a tenant: if a record of the tenant's
// does not, or a partition cannot be decided again at all. Totals, "ranges" and, if anything
// differs, "details" as json. What `states` keeps is removed, with the resume file, when every
// partition was compared to its end or to its first difference.
Result<ExitCode> AuditVerify(const Session& session, const AuditOptions& options,
                             const AuditStates& states);

}  // namespace alertstream::cli

// What `audit verify` says: totals, the ranges that were compared, and the first difference of each
// partition with both sides of the record, as text or JSON. Personal data is masked. Pure but for
// the streams it prints on.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "ops/cli/commands/audit_partition.h"
#include "ops/cli/commands/session.h"

namespace alertstream::cli {

struct AuditReport {
  std::vector<PartitionAudit> partitions;
  std::string tenant;  // "": everybody's.
  std::chrono::microseconds took{};
};

// Differing members that are shown of one record; the rest is counted.
inline constexpr std::size_t kSideRowsMax = 40;

// A finding for people: where it is and what, then the members that differ, expected and found.
std::string FindingText(std::int32_t partition, const AuditFinding& finding);
// {"partition","seq","journal_offset","kind","what","before_range","expected","found",...}
std::string FindingJson(std::int32_t partition, const AuditFinding& finding);

// The totals on io.out.
void PrintAudit(const Session& session, const AuditReport& report);

}  // namespace alertstream::cli

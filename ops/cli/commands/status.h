// `status` and `doctor`: how the log and its partitions stand, and what is wrong with the
// deployment. Library functions over ports; nothing is repaired here.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ops/cli/commands/progress_file.h"
#include "ops/cli/commands/session.h"
#include "processor/runtime/crash_marker.h"

namespace alertstream::cli {

// The instances whose lease on a partition is live, by the log's own times. Empty for a local log,
// which needs no leases.
Result<std::map<std::int32_t, std::string>> ReadLiveLeases(const Session& session);

// The crash marker of a partition of this machine, if it has one.
using SuspectOf = std::function<std::optional<runtime::CrashMarker::Suspect>(std::int32_t)>;

// How far the restore or catch-up of a partition on this machine has come, if one is under way.
using ProgressOf = std::function<std::optional<PartitionProgress>(std::int32_t)>;

// One row a partition: who owns it, who stands by, where its journal stands, what waits, and the
// record that stops it, if one does.
Result<ExitCode> ShowStatus(const Session& session, const SuspectOf& suspect_of,
                            const ProgressOf& progress_of);

enum class CheckResult : std::uint8_t { kOk, kWarning, kFailed };

struct DoctorCheck {
  CheckResult result = CheckResult::kOk;
  std::string name;
  std::string text;  // What was found, and the remedy.
};

// Topics and their settings.
DoctorCheck CheckTopics(log::EventLog& log, std::chrono::milliseconds timeout);
// The log's clock against ours, by a record on `ownership`: a released lease of nobody.
DoctorCheck CheckClock(log::EventLog& log, Clock& clock, std::chrono::milliseconds timeout);
// Markers and token key against each other, for every partition.
DoctorCheck CheckIdentity(log::EventLog& log, const HmacKey& token_key,
                          std::chrono::milliseconds timeout);
DoctorCheck CheckDisk(const std::string& directory);

// Prints them; kFailed if one failed, kWarnings if `strict` and one warns.
Result<ExitCode> ReportChecks(const std::vector<DoctorCheck>& checks, bool strict,
                              const Streams& io);

}  // namespace alertstream::cli

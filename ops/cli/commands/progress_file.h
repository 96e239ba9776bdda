// A small file beside a partition's crash marker that says how far its restore or catch-up has
// come, so that `status` on the same machine can tell. Written by `serve`, removed when it is done.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "processor/base/time.h"
#include "processor/runtime/state_snapshots.h"

namespace alertstream::cli {

// One that was not written for so long was left behind by a process that died.
inline constexpr std::chrono::seconds kProgressFresh{10};

struct PartitionProgress {
  std::string phase;  // restoring, catching_up
  runtime::Progress progress;
  LogTime at{};
};

// Best effort: what cannot be written is not shown.
void WriteProgress(const std::string& path, const PartitionProgress& progress);
void RemoveProgress(const std::string& path);
// Nothing: there is none, or it is older than kProgressFresh.
std::optional<PartitionProgress> ReadProgress(const std::string& path, LogTime now);

// "catching_up, 45 %: 450 of 1,000, 120 a second, done in 5 s"
std::string ProgressText(const std::string& phase, const runtime::Progress& progress);

}  // namespace alertstream::cli

// Gate plan quota: SENDs of a tenant in a calendar month (UTC) against its plan. Pure.
#pragma once

#include <chrono>
#include <cstdint>

#include "processor/engine/gates/gate.h"
#include "processor/engine/limits.h"

namespace alertstream::engine {

// The quota in force for an event: taken with its first batch, so that a fan-out over several
// batches is decided under one policy.
struct PlanLimit {
  bool named = false;   // The tenant names a plan at all; without one there is no quota.
  bool exists = false;  // The plan it names exists.
  std::int64_t sends_per_month_max = 0;
  std::uint64_t version = 0;
  SourceRef source;
};

// Observed: SENDs this month before this one; limit: the plan's (-1: no plan named).
inline GateOutcome PlanQuotaGate(const PlanLimit& plan, std::int64_t sends) {
  if (!plan.named) {
    return Passed(sends, -1);
  }
  if (!plan.exists) {
    return Suppressed(v1::REASON_PLAN_MISSING, sends, 0, plan.source);
  }
  if (sends >= plan.sends_per_month_max) {
    return Suppressed(v1::REASON_QUOTA_EXCEEDED, sends, plan.sends_per_month_max, plan.source);
  }
  return Passed(sends, plan.sends_per_month_max, plan.source);
}

// 202611 for any time in November 2026, UTC.
inline std::uint32_t MonthOf(LogTime time) {
  const auto days = std::chrono::floor<std::chrono::days>(time.time_since_epoch());
  const std::chrono::year_month_day date{std::chrono::sys_days{days}};
  return static_cast<std::uint32_t>(static_cast<int>(date.year())) * 100 +
         static_cast<unsigned>(date.month());
}

}  // namespace alertstream::engine

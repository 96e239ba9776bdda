// What the benchmarks decide: tenants with triggers and recipients, and events of about 300 bytes
// that each meet five candidates, of which one holds and sends. Everything follows from the
// numbers, so that two runs decide the same. Used by fold_bench and kafka_bench; pure, but for the
// measuring at the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "processor/base/result.h"

namespace alertstream::bench {

struct WorkloadSize {
  std::uint32_t tenants = 1000;
  std::uint32_t recipients = 1000;  // Of each tenant.
};

inline constexpr std::uint32_t kEventTypes = 10;
inline constexpr std::uint32_t kCandidates = 5;  // Triggers of one type.
inline constexpr std::uint32_t kTriggersPerTenant = kEventTypes * kCandidates;

// A record's key and value.
struct Input {
  std::string key;
  std::string value;
};

std::string TenantId(std::uint32_t tenant);
Input TenantRecord(std::uint32_t tenant);
Input SenderRecord(std::uint32_t tenant);
// `trigger` < kTriggersPerTenant. No two tenants have a condition in common.
Input TriggerRecord(std::uint32_t tenant, std::uint32_t trigger);
// The recipient agrees to informational messages by SMS.
Input ConsentRecord(std::uint32_t tenant, std::uint32_t recipient);
// Event `number` of a stream that visits the tenants in turn and their recipients without a pattern
// that a cache could use; tenants * recipients events in a row concern as many different people,
// and nobody meets the same trigger twice in kEventTypes times as many. So each of those events
// sends, if the daily cap and the cooldown, which are a trigger's own, are all that could hold it.
Input EventRecord(const WorkloadSize& size, std::uint64_t number, std::int64_t event_time_us);

// Ends the program with the error's message unless `status` is ok.
void Must(const Status& status);
[[noreturn]] void Die(const std::string& what);
template <typename T>
T Must(Result<T> result) {
  if (!result.ok()) {
    Die(result.error().message());
  }
  return std::move(result).value();
}

// Of all threads of the process, user and system.
double CpuSeconds();
// Resident memory.
std::size_t RssBytes();
// Resident memory at its highest since the process began or ResetRssPeak was called.
std::size_t RssPeakBytes();
void ResetRssPeak();

}  // namespace alertstream::bench

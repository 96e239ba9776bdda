// Limits of the engine. Those that can change a decision are part of the engine version they came
// with: another value needs a version of its own. Pure vocabulary.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "processor/base/time.h"
#include "schemas/limits.h"
#include "schemas/topics.h"

namespace alertstream::engine {

// The version of the fold's behaviour that this program writes; it can fold every version up to it.
inline constexpr std::uint32_t kEngineVersion = 5;
static_assert(kEngineVersion == schemas::kChecksVersion, "the checks of records are part of it");

// A batch: enough records to spread the cost of a commit, few enough that a commit stays short.
inline constexpr std::size_t kBatchRecordsMax = 2000;
inline constexpr std::size_t kBatchInputBytesMax = 4 << 20;
// What one batch may emit; a larger fan-out goes on in the next batch. The usage facts at its end,
// at most one for each tenant that sent, come to it: part of version 1.
inline constexpr std::size_t kEffectsRecordsMax = 10'000;
inline constexpr std::size_t kEffectsBytesMax = 8 << 20;
static_assert(kBatchInputBytesMax + schemas::kDeadLetterBytesMax <= kEffectsBytesMax,
              "a batch of nothing but dead letters must fit");
// Decisions in one record on `decisions`: a record stays far below the record limit.
inline constexpr std::size_t kDecisionsPerRecordMax = 64;

// Timers that fire in one batch, so that a backlog of them cannot hold up events. Retries come by
// thousands after an outage of a provider, and each is no more work than an event. How many fired
// is recorded, so this number is no part of any version.
inline constexpr std::uint32_t kTimersPerBatchMax = 64;
// Of these, sweeps and fan-outs: one can be as much work as a whole batch of events.
inline constexpr std::uint32_t kHeavyTimersPerBatchMax = 8;

// Recipients of one event and trigger. One fan-out of 50 triggers is 50,000 decisions, 6 batches.
inline constexpr std::size_t kRecipientsMax = schemas::kRecipientsMax;

// A tenant's entities. Rules of one tenant are compiled together and kept in memory.
inline constexpr std::size_t kTriggersPerTenantMax = 1000;

// SENDs remembered for one (recipient, channel, trigger): the largest daily cap.
inline constexpr std::uint32_t kDailyCapMax = schemas::kDailyCapMax;
inline constexpr LogDuration kCapWindow = std::chrono::hours{24};
inline constexpr LogDuration kMaxAgeDefault = std::chrono::hours{24};

// An id seen within this time is a duplicate.
inline constexpr LogDuration kDedupeWindow{schemas::kDedupeUs};

// The one confirmation of a STOP must leave within this time (47 CFR 64.1200(a)(12)); later it is
// dropped.
inline constexpr LogDuration kConfirmationWindow = std::chrono::minutes{5};

// Attempts (since version 2). A try is an attempt that the provider may have looked at: the others
// (throttled, suspended, out of the window) are bounded by the expiry alone.
inline constexpr std::uint32_t kTriesMax = 6;
inline constexpr LogDuration kBackoffFirst = std::chrono::milliseconds{500};
inline constexpr LogDuration kBackoffMax = std::chrono::seconds{60};
inline constexpr LogDuration kThrottleWaitMin = std::chrono::seconds{1};
inline constexpr LogDuration kSuspendWait = std::chrono::seconds{60};
inline constexpr LogDuration kWindowWait = std::chrono::hours{1};
inline constexpr LogDuration kUnknownWaitDefault = std::chrono::minutes{15};
// No notification is outstanding for longer: its expiry is at most so long after its decision.
inline constexpr LogDuration kOutstandingMax{schemas::kMaxAgeUsMax};
// Triggers and notifications looked at for one opt-out or revocation; beyond this the whole channel
// is taken back at once. One person has a handful, unless a trigger without cooldown and cap writes
// them every few minutes.
inline constexpr std::uint32_t kCancelStepsMax = 1000;
// The same for all of a batch: each can be a read of the store, and the batch has to end.
inline constexpr std::uint32_t kCancelStepsPerBatchMax = 20'000;

// How long after its record was appended a dead letter can be acted on (since version 4). What was
// done about it is remembered as long, so that nothing is tried twice by mistake; later it is
// neither remembered nor acted on. A quarter: a fault of a quarter's end is still found.
inline constexpr LogDuration kDeadLetterWindow = std::chrono::hours{24 * 90};
// The broker's clock, which says when a record was appended, may run ahead of the log's time.
inline constexpr LogDuration kDeadLetterKept = kDeadLetterWindow + std::chrono::hours{1};

// Compiled rules of tenants kept in memory by one task.
inline constexpr std::size_t kTenantRulesCachedMax = 20'000;

}  // namespace alertstream::engine

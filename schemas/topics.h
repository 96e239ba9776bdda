// The topic catalogue: every topic of the log, what it holds, who writes and reads it. Stored: a
// topic's name, number and partition key may never change. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace alertstream::schemas {

// The number is stored in the local log's keys and in journal records. Add at the end; never reuse.
enum class Topic : std::uint8_t {
  kSiteEvents = 1,
  kConsentChanges = 2,
  kOptOuts = 3,
  kInboundMessages = 4,
  kDeliveryReceipts = 5,
  kDeliveryAttempts = 6,
  kAccountChanges = 7,
  kNotificationCommands = 8,
  kDecisions = 9,
  kFacts = 10,
  kDeadLetters = 11,
  kJournal = 12,
  kOwnership = 13,
};

enum class TopicRole : std::uint8_t {
  kInput,      // Read by the partition's task, in canonical order.
  kOutput,     // Written by the task only, in the transaction of a journal record.
  kJournal,    // The only truth about position.
  kOwnership,  // Leases; not part of history.
};

struct TopicSpec {
  Topic topic;
  std::string_view name;
  TopicRole role;
  bool permission;  // Site events and timers wait until this topic has been read to its end.
  std::int32_t value_bytes_max;
  std::int64_t retention_ms;  // -1: for ever.
  std::string_view message;
  std::string_view writers;
  std::string_view readers;
};

// Limits on a record's value, in bytes. The REST body limit is 1 MiB; an Envelope around it, and a
// dead letter around that, must still fit (checked below).
inline constexpr std::int32_t kEventBytesMax = 1 << 20;
inline constexpr std::int32_t kInputRecordBytesMax = (1 << 20) + (1 << 18);  // 1.25 MiB
inline constexpr std::int32_t kDeadLetterBytesMax = 1 << 21;                 // 2 MiB
inline constexpr std::int32_t kOutputRecordBytesMax = (1 << 20) + (1 << 18);
inline constexpr std::int32_t kEnvelopeOverheadBytesMax = 1 << 16;
static_assert(kEventBytesMax + kEnvelopeOverheadBytesMax <= kInputRecordBytesMax,
              "the largest accepted body must fit into an input record");
static_assert(kInputRecordBytesMax + (1 << 18) + kEnvelopeOverheadBytesMax <= kDeadLetterBytesMax,
              "the largest input record, with key and headers, must fit into a dead letter");

inline constexpr std::size_t kTopicCount = 13;
inline constexpr std::size_t kInputTopicCount = 7;

// All topics in the order of their numbers.
extern const std::array<TopicSpec, kTopicCount> kTopics;

// The inputs in canonical fold order: account changes, permission facts, attempts, receipts,
// events.
inline constexpr std::array<Topic, kInputTopicCount> kInputTopics = {
    Topic::kAccountChanges,  Topic::kOptOuts,          Topic::kConsentChanges,
    Topic::kInboundMessages, Topic::kDeliveryAttempts, Topic::kDeliveryReceipts,
    Topic::kSiteEvents,
};

const TopicSpec& SpecOf(Topic topic);
inline std::string_view NameOf(Topic topic) { return SpecOf(topic).name; }
std::optional<Topic> TopicByName(std::string_view name);

// The Java client's default partitioner for a keyed record: murmur2(key), sign bit cleared, modulo.
// REQUIRES: partitions > 0.
std::int32_t PartitionOf(std::string_view key, std::int32_t partitions);

// Tenant ids, which are routing keys today: [a-z0-9_-]{1,48}, first a letter or a digit.
inline constexpr std::size_t kTenantIdBytesMax = 48;
bool IsTenantId(std::string_view text);

// Reserved keys (they begin with '_', which no tenant id does).
inline constexpr std::string_view kLogKey = "_log";            // Log-wide control, one a partition.
inline constexpr std::string_view kUnroutedKey = "_unrouted";  // Inbound, tenant not known.

}  // namespace alertstream::schemas

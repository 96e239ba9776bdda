#include "schemas/topics.h"

#include <cstring>

#include "processor/base/check.h"

namespace alertstream::schemas {
namespace {

constexpr std::int64_t kForever = -1;
constexpr std::int64_t kDayMs = 86'400'000;

std::uint32_t LoadLittleEndian32(const char* bytes) {
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i) {
    value = (value << 8) | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

// MurmurHash2 with the seed that the Java client uses (0x9747b28c).
std::uint32_t Murmur2(std::string_view key) {
  constexpr std::uint32_t kM = 0x5bd1e995;
  constexpr int kR = 24;
  auto hash = 0x9747b28cU ^ static_cast<std::uint32_t>(key.size());
  std::size_t i = 0;
  for (; i + 4 <= key.size(); i += 4) {
    std::uint32_t k = LoadLittleEndian32(key.data() + i);
    k *= kM;
    k ^= k >> kR;
    k *= kM;
    hash *= kM;
    hash ^= k;
  }
  const std::size_t rest = key.size() - i;
  if (rest > 0) {
    for (std::size_t j = rest; j > 0; --j) {
      hash ^= static_cast<std::uint32_t>(static_cast<unsigned char>(key[i + j - 1]))
              << (8 * (j - 1));
    }
    hash *= kM;
  }
  hash ^= hash >> 13;
  hash *= kM;
  hash ^= hash >> 15;
  return hash;
}

}  // namespace

const std::array<TopicSpec, kTopicCount> kTopics = {{
    {Topic::kSiteEvents, "site-events", TopicRole::kInput, false, kInputRecordBytesMax, kForever,
     "Envelope or CloudEvents 1.0", "api, producers", "processor"},
    {Topic::kConsentChanges, "consent-changes", TopicRole::kInput, true, kInputRecordBytesMax,
     kForever, "Envelope", "api", "processor, dispatcher"},
    {Topic::kOptOuts, "opt-outs", TopicRole::kInput, true, kInputRecordBytesMax, kForever,
     "Envelope", "api", "processor, dispatcher"},
    {Topic::kInboundMessages, "inbound-messages", TopicRole::kInput, true, kInputRecordBytesMax,
     kForever, "Envelope", "api", "processor, dispatcher"},
    {Topic::kDeliveryReceipts, "delivery-receipts", TopicRole::kInput, false, kInputRecordBytesMax,
     kForever, "Envelope", "api", "processor"},
    {Topic::kDeliveryAttempts, "delivery-attempts", TopicRole::kInput, false, kInputRecordBytesMax,
     kForever, "Envelope", "dispatcher", "processor, dispatcher"},
    {Topic::kAccountChanges, "account-changes", TopicRole::kInput, true, kInputRecordBytesMax,
     kForever, "Envelope", "api, command line", "processor"},
    {Topic::kNotificationCommands, "notification-commands", TopicRole::kOutput, false,
     kOutputRecordBytesMax, kForever, "NotificationCommand", "processor", "dispatcher, projector"},
    {Topic::kDecisions, "decisions", TopicRole::kOutput, false, kOutputRecordBytesMax, kForever,
     "DecisionRecord", "processor", "projector, explain"},
    {Topic::kFacts, "facts", TopicRole::kOutput, false, kOutputRecordBytesMax, kForever, "Fact",
     "processor", "projector, explain"},
    {Topic::kDeadLetters, "dead-letters", TopicRole::kOutput, false, kDeadLetterBytesMax, kForever,
     "DeadLetter", "processor", "projector, dlq"},
    {Topic::kJournal, "journal", TopicRole::kJournal, false, kOutputRecordBytesMax, kForever,
     "JournalRecord", "processor", "every reader of outputs"},
    {Topic::kOwnership, "ownership", TopicRole::kOwnership, false, 4096, 7 * kDayMs, "Lease",
     "processor", "processor, doctor"},
}};

const TopicSpec& SpecOf(Topic topic) {
  const auto index = static_cast<std::size_t>(topic);
  ALERTSTREAM_CHECK(index >= 1 && index <= kTopicCount);
  return kTopics[index - 1];
}

std::optional<Topic> TopicByName(std::string_view name) {
  for (const auto& spec : kTopics) {
    if (spec.name == name) {
      return spec.topic;
    }
  }
  return std::nullopt;
}

std::int32_t PartitionOf(std::string_view key, std::int32_t partitions) {
  ALERTSTREAM_CHECK(partitions > 0);
  return static_cast<std::int32_t>(Murmur2(key) & 0x7fffffffU) % partitions;
}

bool IsTenantId(std::string_view text) {
  if (text.empty() || text.size() > kTenantIdBytesMax) {
    return false;
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!alphanumeric && (i == 0 || (c != '_' && c != '-'))) {
      return false;
    }
  }
  return true;
}

}  // namespace alertstream::schemas

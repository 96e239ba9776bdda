#include "processor/engine/effects.h"

#include "processor/base/check.h"

namespace alertstream::engine {

void OutputBuffer::Add(std::string_view key, const google::protobuf::MessageLite& message) {
  Item item{.key = bytes_.size(), .value = bytes_.size() + key.size(), .end = 0};
  bytes_.append(key);
  const std::size_t size = message.ByteSizeLong();
  bytes_.resize(item.value + size);
  message.SerializeWithCachedSizesToArray(
      reinterpret_cast<std::uint8_t*>(bytes_.data() + item.value));
  item.end = bytes_.size();
  items_.push_back(item);
}

std::string_view OutputBuffer::key(std::size_t i) const {
  const Item& item = items_[i];
  return std::string_view(bytes_).substr(item.key, item.value - item.key);
}

std::string_view OutputBuffer::value(std::size_t i) const {
  const Item& item = items_[i];
  return std::string_view(bytes_).substr(item.value, item.end - item.value);
}

void OutputBuffer::Truncate(std::size_t count) {
  ALERTSTREAM_CHECK(count <= items_.size());
  if (count < items_.size()) {
    bytes_.resize(items_[count].key);
    items_.resize(count);
  }
}

void Effects::Clear() {
  commands.Clear();
  decisions.Clear();
  facts.Clear();
  dead_letters.Clear();
  reroutes.clear();
  consumed.fill(0);
  timers_fired = 0;
  counts = DecisionCounts{};
  more = false;
}

std::size_t Effects::records() const {
  return commands.count() + decisions.count() + facts.count() + dead_letters.count() +
         reroutes.size();
}

std::size_t Effects::bytes() const {
  return commands.bytes() + decisions.bytes() + facts.bytes() + dead_letters.bytes();
}

Effects::Savepoint Effects::Save() const {
  return Savepoint{.commands = commands.count(),
                   .decisions = decisions.count(),
                   .facts = facts.count(),
                   .dead_letters = dead_letters.count(),
                   .reroutes = reroutes.size(),
                   .counts = counts};
}

void Effects::Restore(const Savepoint& savepoint) {
  commands.Truncate(savepoint.commands);
  decisions.Truncate(savepoint.decisions);
  facts.Truncate(savepoint.facts);
  dead_letters.Truncate(savepoint.dead_letters);
  reroutes.resize(savepoint.reroutes);
  counts = savepoint.counts;
}

const OutputBuffer& OutputsOf(const Effects& effects, schemas::Topic topic) {
  switch (topic) {
    case schemas::Topic::kNotificationCommands:
      return effects.commands;
    case schemas::Topic::kDecisions:
      return effects.decisions;
    case schemas::Topic::kFacts:
      return effects.facts;
    case schemas::Topic::kDeadLetters:
      return effects.dead_letters;
    case schemas::Topic::kSiteEvents:
    case schemas::Topic::kConsentChanges:
    case schemas::Topic::kOptOuts:
    case schemas::Topic::kInboundMessages:
    case schemas::Topic::kDeliveryReceipts:
    case schemas::Topic::kDeliveryAttempts:
    case schemas::Topic::kAccountChanges:
    case schemas::Topic::kJournal:
    case schemas::Topic::kOwnership:
      break;
  }
  ALERTSTREAM_CHECK(false && "not an output topic");
}

}  // namespace alertstream::engine

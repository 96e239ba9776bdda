#include "tests/simulation/models/delivery_model.h"

#include <fmt/format.h>

#include <set>
#include <utility>

#include "processor/base/id.h"
#include "schemas/envelope.pb.h"

namespace alertstream::simulation {
namespace {

using schemas::Topic;

struct Attempts {
  std::set<std::uint32_t> started;
  std::set<std::uint32_t> unknown;
  std::set<std::uint32_t> final;
};

std::map<std::string, Attempts> ReadAttempts(const SimBroker& broker) {
  std::map<std::string, Attempts> all;
  for (const StoredSlot& slot : broker.Slots({Topic::kDeliveryAttempts, 0})) {
    v1::Envelope envelope;
    if (slot.state != StoredSlot::State::kVisible ||
        !envelope.ParseFromString(slot.record->value) || !envelope.has_delivery_attempt()) {
      continue;
    }
    const v1::DeliveryAttempt& attempt = envelope.delivery_attempt();
    Attempts& of = all[attempt.notification_id()];
    if (attempt.phase() == v1::ATTEMPT_PHASE_STARTED) {
      of.started.insert(attempt.attempt());
      continue;
    }
    of.final.insert(attempt.attempt());
    if (attempt.result() == v1::ATTEMPT_CLASS_AMBIGUOUS) {
      of.unknown.insert(attempt.attempt());
    }
  }
  return all;
}

std::string IdOf(const v1::NotificationCommand& command) {
  return FormatId(IdKind::kNotification, command.notification_id());
}

}  // namespace

void CheckDeliveries(const SimBroker& broker, const std::map<std::string, int>& accepted,
                     Violations* violations) {
  const auto attempts = ReadAttempts(broker);
  for (const auto& [id, times] : accepted) {
    const auto found = attempts.find(id);
    const std::size_t started = found == attempts.end() ? 0 : found->second.started.size();
    const std::size_t unknown = found == attempts.end() ? 0 : found->second.unknown.size();
    if (static_cast<std::size_t>(times) > started) {
      violations->push_back(
          {"I9", fmt::format("{}: accepted {} times, started {} times", id, times, started)});
    } else if (static_cast<std::size_t>(times) > 1 + unknown) {
      violations->push_back({"I9", fmt::format("{}: accepted {} times, {} of its attempts were "
                                               "unknown",
                                               id, times, unknown)});
    }
  }
}

std::string UnfinishedCommand(const SimBroker& broker, const History& history) {
  const auto attempts = ReadAttempts(broker);
  for (const auto& command : history.commands) {
    if (command.kind() != v1::COMMAND_KIND_SEND &&
        command.kind() != v1::COMMAND_KIND_CONFIRMATION) {
      continue;
    }
    const auto found = attempts.find(IdOf(command));
    if (found == attempts.end() || !found->second.final.contains(command.attempt())) {
      return fmt::format("{} attempt {} has no result", IdOf(command), command.attempt());
    }
  }
  return "";
}

}  // namespace alertstream::simulation

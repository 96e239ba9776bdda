// The demo's provider: what would have become of a message, and the records by which a dispatcher
// and a provider tell it: attempts and receipts. Pure: an outcome follows from the seed, the
// number, the trigger, the time and the attempt, never from ids, which the deployment's token key
// changes. Used by the seeder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "processor/base/result.h"
#include "processor/base/time.h"
#include "schemas/envelope.pb.h"
#include "schemas/output.pb.h"

namespace alertstream::seed {

// Where a dispatcher that takes over begins to read; see v1::DeliveryAttempt.
struct DoneTo {
  std::uint64_t seq = 0;
  std::int64_t journal_offset = 0;
  std::int64_t commands_offset = 0;
  std::int64_t attempts_offset = 0;
};

class DemoProvider {
 public:
  // `landlines`: numbers that take no messages.
  DemoProvider(std::uint64_t rng_seed, std::vector<std::string> landlines);

  // STARTED and RESULT of a SEND or a CONFIRMATION, begun at `at`.
  std::vector<v1::Envelope> Attempt(const v1::NotificationCommand& command, LogTime at) const;
  // What the provider tells later of a message that it accepted at `at`; empty if it did not.
  std::vector<v1::Envelope> Receipts(const v1::NotificationCommand& command, LogTime at) const;

 private:
  enum class Outcome : std::uint8_t { kDelivered, kUndelivered, kRetry, kRefused };
  std::uint64_t Luck(const v1::NotificationCommand& command) const;
  Outcome OutcomeOf(const v1::NotificationCommand& command) const;

  const std::uint64_t rng_seed_;
  const std::vector<std::string> landlines_;
};

}  // namespace alertstream::seed

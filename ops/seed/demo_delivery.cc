#include "ops/seed/demo_delivery.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "ops/seed/demo_history.h"
#include "ops/seed/random.h"
#include "processor/base/id.h"
#include "processor/dispatch/attempt_log.h"

namespace alertstream::seed {
namespace {

using std::chrono::milliseconds;

// Of a thousand messages: how many the provider wants to be asked again for, and how many it takes
// and cannot deliver.
constexpr std::uint64_t kRetryPermille = 15;
constexpr std::uint64_t kUndeliveredPermille = 30;
constexpr LogDuration kCallTakes = milliseconds{120};
constexpr LogDuration kSentAfter = milliseconds{700};
constexpr LogDuration kDeliveredAfter = milliseconds{2400};

// Twilio's: a number that is no mobile one; a telephone that is off.
constexpr std::string_view kNotMobile = "21614";
constexpr std::string_view kUnreachable = "30003";

std::uint64_t HashOf(std::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325U;  // FNV-1a.
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
  }
  return hash;
}

std::string MessageSidOf(const v1::NotificationCommand& command) {
  const std::uint64_t hash =
      HashOf(command.notification_id() + static_cast<char>('0' + command.attempt()));
  return fmt::format("SM{:016x}{:016x}", Mix(hash), Mix(hash + 1));
}

v1::Envelope Head(std::string_view type, std::string_view source, v1::Trust trust, LogTime at) {
  v1::Envelope envelope;
  envelope.set_tenant(std::string(kTenant));
  envelope.set_routing_key(std::string(kTenant));
  envelope.set_schema_version(1);
  envelope.set_type(std::string(type));
  envelope.set_source(std::string(source));
  envelope.set_trust(trust);
  envelope.set_event_time_us(ToMicros(at));
  envelope.set_ingest_time_us(ToMicros(at));
  return envelope;
}

v1::Envelope AttemptOf(const v1::NotificationCommand& command, v1::AttemptPhase phase, LogTime at) {
  v1::Envelope envelope = Head("delivery.attempt", "dispatcher", v1::TRUST_SYSTEM, at);
  auto* attempt = envelope.mutable_delivery_attempt();
  attempt->set_notification_id(FormatId(IdKind::kNotification, command.notification_id()));
  attempt->set_attempt(command.attempt());
  attempt->set_phase(phase);
  attempt->set_provider(command.provider());
  attempt->set_account(command.account());
  attempt->set_at_us(ToMicros(at));
  return envelope;
}

struct Told {
  v1::ReceiptStatus status;
  std::string_view word;  // The provider's own.
  std::string_view error_code = "";
};

v1::Envelope ReceiptOf(const v1::NotificationCommand& command, const Told& told, LogTime at) {
  v1::Envelope envelope = Head("delivery.receipt", kProvider, v1::TRUST_WEBHOOK, at);
  const std::string sid = MessageSidOf(command);
  envelope.set_id(fmt::format("{}:{}", sid, told.word));
  auto* receipt = envelope.mutable_delivery_receipt();
  receipt->set_notification_id(FormatId(IdKind::kNotification, command.notification_id()));
  receipt->set_provider(command.provider());
  receipt->set_account(command.account());
  receipt->set_provider_message_id(sid);
  receipt->set_status(told.status);
  receipt->set_provider_status(std::string(told.word));
  receipt->set_error_code(std::string(told.error_code));
  receipt->set_at_us(ToMicros(at));
  return envelope;
}

}  // namespace

DemoProvider::DemoProvider(std::uint64_t rng_seed, std::vector<std::string> landlines)
    : rng_seed_(rng_seed), landlines_(std::move(landlines)) {}

std::uint64_t DemoProvider::Luck(const v1::NotificationCommand& command) const {
  const std::uint64_t what =
      HashOf(fmt::format("{} {} {} {}", command.to().plain(), command.trigger_id(),
                         command.decided_at_us(), command.attempt()));
  return Mix(what ^ Mix(rng_seed_)) % 1000;
}

DemoProvider::Outcome DemoProvider::OutcomeOf(const v1::NotificationCommand& command) const {
  if (std::find(landlines_.begin(), landlines_.end(), command.to().plain()) != landlines_.end()) {
    return Outcome::kRefused;
  }
  const std::uint64_t luck = Luck(command);
  // The second time the provider is well again.
  if (luck < kRetryPermille && command.attempt() == 1) {
    return Outcome::kRetry;
  }
  return luck < kRetryPermille + kUndeliveredPermille ? Outcome::kUndelivered : Outcome::kDelivered;
}

std::vector<v1::Envelope> DemoProvider::Attempt(const v1::NotificationCommand& command,
                                                LogTime at) const {
  std::vector<v1::Envelope> told;
  told.push_back(AttemptOf(command, v1::ATTEMPT_PHASE_STARTED, at));
  v1::Envelope& result =
      told.emplace_back(AttemptOf(command, v1::ATTEMPT_PHASE_RESULT, at + kCallTakes));
  auto* attempt = result.mutable_delivery_attempt();
  switch (OutcomeOf(command)) {
    case Outcome::kDelivered:
    case Outcome::kUndelivered:
      attempt->set_result(v1::ATTEMPT_CLASS_ACCEPTED);
      attempt->set_provider_message_id(MessageSidOf(command));
      break;
    case Outcome::kRetry:
      attempt->set_result(v1::ATTEMPT_CLASS_RETRY);
      attempt->set_error_code("http_503");
      break;
    case Outcome::kRefused:
      attempt->set_result(v1::ATTEMPT_CLASS_PERM_ADDRESS);
      attempt->set_error_code(std::string(kNotMobile));
      break;
  }
  dispatch::AddContent(command, attempt);
  return told;
}

std::vector<v1::Envelope> DemoProvider::Receipts(const v1::NotificationCommand& command,
                                                 LogTime at) const {
  const Outcome outcome = OutcomeOf(command);
  if (outcome == Outcome::kRetry || outcome == Outcome::kRefused) {
    return {};
  }
  const Told last = outcome == Outcome::kDelivered
                        ? Told{v1::RECEIPT_STATUS_DELIVERED, "delivered"}
                        : Told{v1::RECEIPT_STATUS_FAILED, "undelivered", kUnreachable};
  std::vector<v1::Envelope> told;
  told.push_back(ReceiptOf(command, {v1::RECEIPT_STATUS_SENT, "sent"}, at + kSentAfter));
  told.push_back(ReceiptOf(command, last, at + kDeliveredAfter));
  return told;
}

}  // namespace alertstream::seed

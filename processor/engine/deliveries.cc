// Attempts and receipts: what became of a notification. Both arrive late, twice and out of order;
// the state only ever moves up the lattice, so every order ends in the same state.
#include <array>

#include "processor/engine/fold_context.h"

namespace alertstream::engine {
namespace {

// Rank by v1::NotificationStatus: accepted < queued < sending < sent < failed < delivered < read; a
// failure yields to a delivery, never the other way round.
constexpr std::array<int, v1::NotificationStatus_ARRAYSIZE> kRanks = [] {
  std::array<int, v1::NotificationStatus_ARRAYSIZE> ranks{};
  int rank = 0;
  for (const auto status :
       {v1::NOTIFICATION_STATUS_UNSPECIFIED, v1::NOTIFICATION_STATUS_COMMANDED,
        v1::NOTIFICATION_STATUS_STARTED, v1::NOTIFICATION_STATUS_UNKNOWN_OUTCOME,
        v1::NOTIFICATION_STATUS_ACCEPTED, v1::NOTIFICATION_STATUS_QUEUED,
        v1::NOTIFICATION_STATUS_SENDING, v1::NOTIFICATION_STATUS_SENT,
        v1::NOTIFICATION_STATUS_FAILED, v1::NOTIFICATION_STATUS_DELIVERED,
        v1::NOTIFICATION_STATUS_READ}) {
    ranks[static_cast<std::size_t>(status)] = rank++;
  }
  return ranks;
}();

int RankOf(v1::NotificationStatus status) { return kRanks[static_cast<std::size_t>(status)]; }

// By v1::ReceiptStatus.
constexpr std::array<v1::NotificationStatus, v1::ReceiptStatus_ARRAYSIZE> kStatusOfReceipt = {
    v1::NOTIFICATION_STATUS_UNSPECIFIED, v1::NOTIFICATION_STATUS_ACCEPTED,
    v1::NOTIFICATION_STATUS_QUEUED,      v1::NOTIFICATION_STATUS_SENDING,
    v1::NOTIFICATION_STATUS_SENT,        v1::NOTIFICATION_STATUS_FAILED,
    v1::NOTIFICATION_STATUS_DELIVERED,   v1::NOTIFICATION_STATUS_READ};

v1::NotificationStatus StatusOf(const v1::DeliveryAttempt& attempt) {
  if (attempt.phase() == v1::ATTEMPT_PHASE_RESULT) {
    const v1::AttemptClass result = attempt.result();
    if (result == v1::ATTEMPT_CLASS_ACCEPTED) {
      return v1::NOTIFICATION_STATUS_ACCEPTED;
    }
    if (result == v1::ATTEMPT_CLASS_AMBIGUOUS) {
      return v1::NOTIFICATION_STATUS_UNKNOWN_OUTCOME;
    }
    if (result == v1::ATTEMPT_CLASS_PERM_ADDRESS || result == v1::ATTEMPT_CLASS_PERM_REQUEST ||
        result == v1::ATTEMPT_CLASS_OPT_OUT) {
      return v1::NOTIFICATION_STATUS_FAILED;
    }
  }
  // Started, or a result by which the provider did not take it: nothing moves.
  return v1::NOTIFICATION_STATUS_STARTED;
}

// Moves the notification to `fact`'s status if that is higher, and adds the fact.
void Apply(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope,
           std::string_view notification_id, v1::Fact* fact) {
  const auto id = ParseId(IdKind::kNotification, notification_id);
  v1::NotificationState state;
  if (!id.ok() ||
      !context.Load(
          StateKey(envelope.routing_key(), Table::kNotification).Bytes(AsView(id.value())),
          &state)) {
    context.AddDeadLetter(
        ref,
        {v1::DEAD_LETTER_STAGE_RECEIPT, v1::DEAD_LETTER_REASON_UNKNOWN_NOTIFICATION,
         "notification_id: this tenant has no such notification"},
        envelope.routing_key(), envelope.type());
    return;
  }
  auto* subject = fact->mutable_notification();
  subject->set_notification_id(id.value().data(), id.value().size());
  subject->set_changed(RankOf(subject->status()) > RankOf(state.status()));
  if (subject->changed()) {
    state.set_status(subject->status());
    context.Store(StateKey(envelope.routing_key(), Table::kNotification).Bytes(AsView(id.value())),
                  state);
  }
  context.AddFact(*fact);
}

}  // namespace

void FoldAttempt(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope) {
  const v1::DeliveryAttempt& attempt = envelope.delivery_attempt();
  v1::Fact fact = context.MakeFact(ref, envelope);
  auto* subject = fact.mutable_notification();
  subject->set_status(StatusOf(attempt));
  subject->set_provider(attempt.provider());
  subject->set_provider_message_id(attempt.provider_message_id());
  subject->set_error_code(attempt.error_code());
  subject->set_attempt(attempt.attempt());
  Apply(context, ref, envelope, attempt.notification_id(), &fact);
}

void FoldReceipt(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope) {
  const v1::DeliveryReceipt& receipt = envelope.delivery_receipt();
  v1::Fact fact = context.MakeFact(ref, envelope);
  auto* subject = fact.mutable_notification();
  subject->set_status(kStatusOfReceipt[static_cast<std::size_t>(receipt.status())]);
  subject->set_provider(receipt.provider());
  subject->set_provider_message_id(receipt.provider_message_id());
  subject->set_error_code(receipt.error_code());
  Apply(context, ref, envelope, receipt.notification_id(), &fact);
}

}  // namespace alertstream::engine

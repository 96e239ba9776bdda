// Attempts and receipts: what became of a notification. Both arrive late, twice and out of order;
// the state only ever moves up, so every order ends in the same state. Since version 2 the fold
// also decides here whether and when there is another attempt.
#include <algorithm>
#include <array>

#include "processor/engine/fold_context.h"
#include "processor/engine/notifications.h"

namespace alertstream::engine {
namespace {

// By v1::ReceiptStatus.
constexpr std::array<v1::NotificationStatus, v1::ReceiptStatus_ARRAYSIZE> kStatusOfReceipt = {
    v1::NOTIFICATION_STATUS_UNSPECIFIED, v1::NOTIFICATION_STATUS_ACCEPTED,
    v1::NOTIFICATION_STATUS_QUEUED,      v1::NOTIFICATION_STATUS_SENDING,
    v1::NOTIFICATION_STATUS_SENT,        v1::NOTIFICATION_STATUS_FAILED,
    v1::NOTIFICATION_STATUS_DELIVERED,   v1::NOTIFICATION_STATUS_READ};

// In version 1 nothing followed from an attempt: started, or a result by which the provider did not
// take it, moves nothing.
v1::NotificationStatus StatusInVersion1(const v1::DeliveryAttempt& attempt) {
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
  return v1::NOTIFICATION_STATUS_STARTED;
}

// Nothing: this tenant has no such notification; a dead letter was added.
std::optional<Notification> Find(FoldContext& context, const RecordRef& ref,
                                 const v1::Envelope& envelope, std::string_view notification_id) {
  if (const auto id = ParseId(IdKind::kNotification, notification_id); id.ok()) {
    Notification notification(context, envelope.routing_key(), AsView(id.value()));
    if (notification.Load()) {
      return notification;
    }
  }
  if (context.engine_version >= 2 && context.RulesOf(envelope.routing_key()) == nullptr) {
    context.AddDeadLetter(ref,
                          {v1::DEAD_LETTER_STAGE_TENANT, v1::DEAD_LETTER_REASON_UNKNOWN_TENANT,
                           "routing_key: there is no such tenant"},
                          envelope.routing_key(), envelope.type());
    return std::nullopt;
  }
  context.AddDeadLetter(ref,
                        {v1::DEAD_LETTER_STAGE_RECEIPT, v1::DEAD_LETTER_REASON_UNKNOWN_NOTIFICATION,
                         "notification_id: this tenant has no such notification"},
                        envelope.routing_key(), envelope.type());
  return std::nullopt;
}

// Moves the notification to the subject's status, as in version 1.
void Apply(FoldContext& context, Notification& notification, v1::Fact* fact) {
  auto* subject = fact->mutable_notification();
  subject->set_notification_id(notification.id());
  v1::NotificationState& state = notification.state();
  subject->set_changed(RankOf(subject->status()) > RankOf(state.status()));
  if (subject->changed()) {
    state.set_status(subject->status());
    notification.Save();
  }
  context.AddFact(*fact);
}

// What a result asks for.
struct Verdict {
  bool is_news = true;  // Otherwise nothing follows from it.
  v1::NotificationStatus status = v1::NOTIFICATION_STATUS_STARTED;
  LogTime retry_at{};  // With `timer`.
  v1::DeliveryTimerKind timer = v1::DELIVERY_TIMER_KIND_UNSPECIFIED;
  bool settles = false;
};

// How long after a result that is no end the next attempt is due.
LogDuration WaitAfter(const v1::DeliveryAttempt& attempt, std::string_view notification_id) {
  LogDuration wait = LogDuration{attempt.retry_after_us()};
  switch (attempt.result()) {
    case v1::ATTEMPT_CLASS_RETRY:
      return std::max(wait, BackoffOf(notification_id, attempt.attempt()));
    case v1::ATTEMPT_CLASS_THROTTLE:
      wait = std::max(wait, BackoffOf(notification_id, attempt.attempt()));
      return std::max(wait, kThrottleWaitMin);
    case v1::ATTEMPT_CLASS_SUSPEND:
      return std::max(wait, kSuspendWait);
    case v1::ATTEMPT_CLASS_WINDOW:
      return std::max(wait, kWindowWait);
    case v1::ATTEMPT_CLASS_ACCEPTED:
    case v1::ATTEMPT_CLASS_AMBIGUOUS:
    case v1::ATTEMPT_CLASS_PERM_ADDRESS:
    case v1::ATTEMPT_CLASS_PERM_REQUEST:
    case v1::ATTEMPT_CLASS_OPT_OUT:
    case v1::ATTEMPT_CLASS_UNSPECIFIED:
    case v1::AttemptClass_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::AttemptClass_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return wait;
}

// RETRY, THROTTLE, SUSPEND, WINDOW: the provider has not taken it.
Verdict JudgeNotTaken(FoldContext& context, const v1::Envelope& envelope,
                      Notification& notification) {
  const v1::DeliveryAttempt& attempt = envelope.delivery_attempt();
  v1::NotificationState& state = notification.state();
  if (attempt.result() == v1::ATTEMPT_CLASS_RETRY) {
    state.set_tries(state.tries() + 1);
  }
  if (state.tries() >= kTriesMax || state.attempt() >= schemas::kAttemptMax) {
    return {.status = v1::NOTIFICATION_STATUS_FAILED};
  }
  if (state.kind() == v1::COMMAND_KIND_UNSPECIFIED) {
    return {.status = v1::NOTIFICATION_STATUS_FAILED};  // Version 1 kept nothing to send again.
  }
  if (notification.is_past_sending()) {
    return {};
  }
  if (!notification.KeepContent(envelope) && context.engine_version >= 3) {
    return {.status = v1::NOTIFICATION_STATUS_FAILED};
  }
  const LogTime due = context.now + WaitAfter(attempt, notification.id());
  if (const auto obstacle = notification.Obstacle(due)) {
    return {.status = *obstacle, .settles = true};
  }
  return {.retry_at = due, .timer = v1::DELIVERY_TIMER_KIND_RETRY};
}

// AMBIGUOUS: sent or not, nobody knows. A message that may arrive twice is sent once more when no
// receipt has come; any other waits for one for ever.
Verdict JudgeUnknown(FoldContext& context, const v1::Envelope& envelope,
                     Notification& notification) {
  v1::NotificationState& state = notification.state();
  state.set_tries(state.tries() + 1);
  const TenantRules* rules = context.RulesOf(notification.tenant());
  const std::int64_t own = rules == nullptr ? 0 : rules->tenant().tenant().unknown_wait_us();
  const LogTime due = context.now + (own == 0 ? kUnknownWaitDefault : LogDuration{own});
  const bool may_arrive_twice = state.kind() == v1::COMMAND_KIND_CONFIRMATION ||
                                state.message_class() == v1::MESSAGE_CLASS_TRANSACTIONAL;
  if (may_arrive_twice && !state.resent_unknown() && state.tries() < kTriesMax &&
      !notification.is_past_sending() && !notification.Obstacle(due) &&
      notification.KeepContent(envelope)) {
    return {.status = v1::NOTIFICATION_STATUS_UNKNOWN_OUTCOME,
            .retry_at = due,
            .timer = v1::DELIVERY_TIMER_KIND_UNKNOWN};
  }
  return {.status = v1::NOTIFICATION_STATUS_UNKNOWN_OUTCOME, .settles = true};
}

// The first definite word on an attempt counts. One that is repeated, or comes when a later attempt
// is out, can only say that the message arrived after all.
Verdict Judge(FoldContext& context, const v1::Envelope& envelope, Notification& notification) {
  const v1::DeliveryAttempt& attempt = envelope.delivery_attempt();
  constexpr Verdict kNothing{.is_news = false};
  const bool present = attempt.attempt() == notification.state().attempt();
  const bool first = present && notification.is_out();
  if (attempt.phase() == v1::ATTEMPT_PHASE_STARTED) {
    return {};
  }
  if (attempt.phase() != v1::ATTEMPT_PHASE_RESULT) {
    return {.is_news = first,
            .status = attempt.phase() == v1::ATTEMPT_PHASE_CANCELLED
                          ? v1::NOTIFICATION_STATUS_CANCELLED
                          : v1::NOTIFICATION_STATUS_EXPIRED,
            .settles = true};
  }
  switch (attempt.result()) {
    case v1::ATTEMPT_CLASS_ACCEPTED:
      return {.status = v1::NOTIFICATION_STATUS_ACCEPTED};
    case v1::ATTEMPT_CLASS_PERM_ADDRESS:
    case v1::ATTEMPT_CLASS_PERM_REQUEST:
    case v1::ATTEMPT_CLASS_OPT_OUT:
      return {.is_news = present, .status = v1::NOTIFICATION_STATUS_FAILED};
    case v1::ATTEMPT_CLASS_RETRY:
    case v1::ATTEMPT_CLASS_THROTTLE:
    case v1::ATTEMPT_CLASS_SUSPEND:
    case v1::ATTEMPT_CLASS_WINDOW:
      return first ? JudgeNotTaken(context, envelope, notification) : kNothing;
    case v1::ATTEMPT_CLASS_AMBIGUOUS:
      return first ? JudgeUnknown(context, envelope, notification) : kNothing;
    case v1::ATTEMPT_CLASS_UNSPECIFIED:
    case v1::AttemptClass_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::AttemptClass_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return kNothing;
}

// True if this is the first definite word on the present attempt.
bool NoteResult(const v1::DeliveryAttempt& attempt, Notification& notification) {
  v1::NotificationState& state = notification.state();
  if (attempt.phase() == v1::ATTEMPT_PHASE_STARTED || attempt.attempt() != state.attempt()) {
    return false;
  }
  const bool is_end = RankOf(v1::NOTIFICATION_STATUS_ACCEPTED) <= RankOf(StatusInVersion1(attempt));
  const bool was_ambiguous = state.result() == v1::ATTEMPT_CLASS_AMBIGUOUS;
  if (!notification.is_out() && !(was_ambiguous && is_end)) {
    return false;
  }
  state.set_settled_attempt(attempt.attempt());
  state.set_result(attempt.result());
  return attempt.result() != v1::ATTEMPT_CLASS_AMBIGUOUS;
}

void FoldAttemptOf(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope,
                   Notification& notification, v1::Fact* fact) {
  const v1::DeliveryAttempt& attempt = envelope.delivery_attempt();
  if (attempt.attempt() > notification.state().attempt()) {
    context.AddDeadLetter(ref,
                          {v1::DEAD_LETTER_STAGE_RECEIPT, v1::DEAD_LETTER_REASON_FIELD_INVALID,
                           "attempt: this one was never commanded"},
                          envelope.routing_key(), envelope.type());
    return;
  }
  const Verdict verdict = Judge(context, envelope, notification);
  const bool definite = NoteResult(attempt, notification);
  auto* subject = fact->mutable_notification();
  subject->set_notification_id(notification.id());
  subject->set_result(attempt.result());
  if (!verdict.is_news) {
    subject->set_status(notification.state().status());
    context.AddFact(*fact);
    return;
  }
  subject->set_status(verdict.status);
  subject->set_changed(notification.MoveUp(verdict.status));
  if (verdict.timer != v1::DELIVERY_TIMER_KIND_UNSPECIFIED) {
    notification.StartTimer(verdict.retry_at, verdict.timer);
    subject->set_retry_at_us(ToMicros(verdict.retry_at));
  } else if (verdict.settles) {
    notification.Settle();
  }
  notification.Save();
  context.AddFact(*fact);
  if (definite && attempt.result() == v1::ATTEMPT_CLASS_OPT_OUT) {
    OptOutByProvider(context, ref, envelope, notification.state());
  }
}

}  // namespace

void FoldAttempt(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope) {
  const v1::DeliveryAttempt& attempt = envelope.delivery_attempt();
  auto notification = Find(context, ref, envelope, attempt.notification_id());
  if (!notification) {
    return;
  }
  v1::Fact fact = context.MakeFact(ref, envelope);
  auto* subject = fact.mutable_notification();
  subject->set_provider(attempt.provider());
  subject->set_provider_message_id(attempt.provider_message_id());
  subject->set_error_code(attempt.error_code());
  subject->set_attempt(attempt.attempt());
  if (context.engine_version >= 2) {
    FoldAttemptOf(context, ref, envelope, *notification, &fact);
    return;
  }
  subject->set_status(StatusInVersion1(attempt));
  Apply(context, *notification, &fact);
}

void FoldReceipt(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope) {
  const v1::DeliveryReceipt& receipt = envelope.delivery_receipt();
  auto notification = Find(context, ref, envelope, receipt.notification_id());
  if (!notification) {
    return;
  }
  v1::Fact fact = context.MakeFact(ref, envelope);
  auto* subject = fact.mutable_notification();
  subject->set_status(kStatusOfReceipt[static_cast<std::size_t>(receipt.status())]);
  subject->set_provider(receipt.provider());
  subject->set_provider_message_id(receipt.provider_message_id());
  subject->set_error_code(receipt.error_code());
  if (context.engine_version < 2) {
    Apply(context, *notification, &fact);
    return;
  }
  subject->set_notification_id(notification->id());
  subject->set_changed(notification->MoveUp(subject->status()));
  if (subject->changed()) {
    notification->Save();
  }
  context.AddFact(fact);
}

}  // namespace alertstream::engine

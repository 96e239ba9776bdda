// Retries of notifications (since version 4): direct notifications that ask for the text of one
// that never arrived, for the same person, through every gate but the condition.
#include <optional>
#include <utility>

#include "processor/engine/event_work.h"
#include "processor/engine/notifications.h"

namespace alertstream::engine {
namespace {

// Whether it can arrive twice if it is sent again, or is on its way already.
enum class Chance : std::uint8_t { kDead, kMayHaveArrived, kIsOut };

Chance ChanceOf(const Notification& notification, std::uint32_t engine_version) {
  const v1::NotificationState& state = notification.state();
  if (state.kind() != v1::COMMAND_KIND_SEND || state.timer_due_us() != 0) {
    return Chance::kIsOut;  // Confirmations as well: the person asks for them.
  }
  if (engine_version >= 5) {
    // An attempt says more than the status, which may be the late receipt of one before it.
    if (notification.is_out()) {
      return Chance::kIsOut;
    }
    if (state.status() == v1::NOTIFICATION_STATUS_FAILED && state.attempt() > 1 &&
        (state.result() == v1::ATTEMPT_CLASS_ACCEPTED ||
         state.result() == v1::ATTEMPT_CLASS_AMBIGUOUS)) {
      return Chance::kMayHaveArrived;
    }
  }
  switch (state.status()) {
    case v1::NOTIFICATION_STATUS_FAILED:
    case v1::NOTIFICATION_STATUS_EXPIRED:
    case v1::NOTIFICATION_STATUS_CANCELLED:
      return Chance::kDead;
    case v1::NOTIFICATION_STATUS_UNKNOWN_OUTCOME:
    case v1::NOTIFICATION_STATUS_ACCEPTED:
    case v1::NOTIFICATION_STATUS_QUEUED:
    case v1::NOTIFICATION_STATUS_SENDING:
    case v1::NOTIFICATION_STATUS_SENT:
      return Chance::kMayHaveArrived;
    case v1::NOTIFICATION_STATUS_UNSPECIFIED:
    case v1::NOTIFICATION_STATUS_COMMANDED:
    case v1::NOTIFICATION_STATUS_STARTED:
    case v1::NOTIFICATION_STATUS_DELIVERED:
    case v1::NOTIFICATION_STATUS_READ:
    case v1::NotificationStatus_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::NotificationStatus_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return Chance::kIsOut;
}

std::optional<Notification> FindRetried(FoldContext& context, std::string_view tenant,
                                        const v1::RetryRequested& retry) {
  const auto id = ParseId(IdKind::kNotification, retry.notification_id());
  if (!id.ok()) {
    return std::nullopt;
  }
  Notification notification(context, tenant, AsView(id.value()));
  return notification.Load() ? std::optional(std::move(notification)) : std::nullopt;
}

}  // namespace

bool EventFold::PassRetry(const RecordRef& ref, const v1::Envelope& envelope, Work* work) {
  const v1::DirectNotification& request = envelope.site_event().direct();
  if (!MakeRetry(request, work->tenant, nullptr)) {
    context_.AddDeadLetter(
        ref,
        {v1::DEAD_LETTER_STAGE_SCHEMA, v1::DEAD_LETTER_REASON_UNKNOWN_NOTIFICATION,
         "site_event.direct.retry.notification_id: this tenant has no such notification"},
        work->tenant, envelope.type());
    return false;
  }
  work->direct = &request;
  return true;
}

bool EventFold::MakeRetry(const v1::DirectNotification& request, std::string_view tenant,
                          const CompiledTrigger* pinned) {
  const auto notification = FindRetried(context_, tenant, request.retry());
  if (!notification) {
    return false;
  }
  const v1::NotificationState& state = notification->state();
  const CompiledTrigger* trigger = pinned;
  if (trigger == nullptr && !state.trigger_id().empty()) {
    trigger = context_.RulesOf(tenant)->FindTrigger(state.trigger_id());
  }
  // Cooldown, cap and age are those of the trigger today; the rest is what was decided then.
  if (trigger != nullptr) {
    direct_ = *trigger;
    direct_.condition = nullptr;
  } else {
    direct_ = CompiledTrigger{};
    direct_.max_age = kMaxAgeDefault;
  }
  direct_.enabled = true;
  direct_.channel = state.channel();
  direct_.message_class = state.message_class();
  direct_.sender = request.retry().sender_id();
  direct_.text = request.retry().body().plain();
  return true;
}

GateOutcome EventFold::JudgeRetry(const Work& work, const RecipientToken& token) {
  const v1::RetryRequested& retry = work.direct->retry();
  const auto notification = FindRetried(context_, work.tenant, retry);
  ALERTSTREAM_CHECK(notification.has_value());  // MakeRetry has found it; none is ever removed.
  const std::string_view own = {reinterpret_cast<const char*>(token.data()), token.size()};
  if (notification->state().recipient_token() != own) {
    return Failed(v1::REASON_RECIPIENT_INVALID);
  }
  const Chance chance = ChanceOf(*notification, context_.engine_version);
  if (chance == Chance::kIsOut || (chance == Chance::kMayHaveArrived && !retry.forced())) {
    return Failed(v1::REASON_NOT_RETRYABLE, notification->state().status());
  }
  if (!notification->state().retried_by().empty() && !retry.forced()) {
    return Failed(v1::REASON_RETRIED_BEFORE);
  }
  // Since version 5: whoever switched the trigger off meant its messages, too.
  const std::string& trigger = notification->state().trigger_id();
  if (context_.engine_version >= 5 && !retry.forced() && !trigger.empty() &&
      work.rules->FindTrigger(trigger) == nullptr) {
    return Failed(v1::REASON_NOT_RETRYABLE, notification->state().status());
  }
  return Passed();
}

void EventFold::NoteRetried(const Work& work) {
  if (IsRetry(work.direct)) {
    const auto id = ParseId(IdKind::kNotification, work.direct->retry().notification_id());
    ALERTSTREAM_CHECK(id.ok());
    record_.set_retry_of_notification(id.value().data(), id.value().size());
  }
}

void EventFold::FollowRetry(const Work& work, const v1::Decision& decision) {
  if (!IsRetry(work.direct)) {
    return;
  }
  auto notification = FindRetried(context_, work.tenant, work.direct->retry());
  ALERTSTREAM_CHECK(notification.has_value());
  notification->state().set_retried_by(decision.notification_id());
  notification->Save();
  v1::Fact fact = context_.MakeFact(work.tenant);
  auto* cause = fact.mutable_cause();
  cause->set_topic(static_cast<std::uint32_t>(schemas::Topic::kSiteEvents));
  cause->set_partition(static_cast<std::uint32_t>(context_.config.partition));
  cause->set_offset(work.offset);
  fact.set_actor(work.envelope->actor());
  fact.set_reason(work.direct->retry().reason());
  auto* subject = notification->DescribeIn(&fact);
  subject->set_status(notification->state().status());
  subject->set_retried_by(decision.notification_id());
  context_.AddFact(fact);
}

}  // namespace alertstream::engine

#include "processor/engine/notifications.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "processor/base/crypto.h"
#include "processor/engine/gates/consent.h"
#include "processor/engine/gates/opt_out.h"
#include "processor/engine/state_keys.h"

namespace alertstream::engine {
namespace {

constexpr std::array<int, v1::NotificationStatus_ARRAYSIZE> kRanks = [] {
  std::array<int, v1::NotificationStatus_ARRAYSIZE> ranks{};
  int rank = 0;
  for (const auto status :
       {v1::NOTIFICATION_STATUS_UNSPECIFIED, v1::NOTIFICATION_STATUS_COMMANDED,
        v1::NOTIFICATION_STATUS_STARTED, v1::NOTIFICATION_STATUS_EXPIRED,
        v1::NOTIFICATION_STATUS_CANCELLED, v1::NOTIFICATION_STATUS_UNKNOWN_OUTCOME,
        v1::NOTIFICATION_STATUS_ACCEPTED, v1::NOTIFICATION_STATUS_QUEUED,
        v1::NOTIFICATION_STATUS_SENDING, v1::NOTIFICATION_STATUS_SENT,
        v1::NOTIFICATION_STATUS_FAILED, v1::NOTIFICATION_STATUS_DELIVERED,
        v1::NOTIFICATION_STATUS_READ}) {
    ranks[static_cast<std::size_t>(status)] = rank++;
  }
  return ranks;
}();

bool Forbids(const v1::RecipientState& recipient, const v1::NotificationState& notification) {
  return !OptOutGate(recipient, notification.channel()).passed ||
         !ConsentGate(recipient, notification.channel(), notification.message_class()).passed;
}

StateKey RecipientKey(std::string_view tenant, const v1::NotificationState& notification) {
  return StateKey(tenant, Table::kRecipient).Bytes(notification.recipient_token());
}

// What one opt-out or revocation asks to be taken back.
class Withdrawal {
 public:
  Withdrawal(FoldContext& context, const v1::Fact& fact, std::string_view token,
             const v1::RecipientState& recipient)
      : context_(context), fact_(fact), token_(token), recipient_(recipient) {}

  void TakeBack(v1::Channel channel);

 private:
  bool TakeStep();
  bool CancelEach(v1::Channel channel);
  bool CancelOf(std::string_view trigger, v1::Channel channel);
  bool CancelFrom(std::string newest);
  void CancelWhole(v1::Channel channel);

  FoldContext& context_;
  const v1::Fact& fact_;  // For what is cancelled.
  std::string_view token_;
  const v1::RecipientState& recipient_;
  std::uint32_t steps_ = 0;
};

void Withdrawal::TakeBack(v1::Channel channel) {
  if (!CancelEach(channel)) {
    CancelWhole(channel);
  }
}

// False: this has been work enough.
bool Withdrawal::TakeStep() {
  if (steps_ == kCancelStepsMax || context_.cancel_steps == kCancelStepsPerBatchMax ||
      !context_.HasRoom()) {
    return false;
  }
  ++steps_;
  ++context_.cancel_steps;
  return true;
}

// False: there are too many.
bool Withdrawal::CancelEach(v1::Channel channel) {
  const TenantRules* rules = context_.RulesOf(fact_.tenant());
  ALERTSTREAM_CHECK(rules != nullptr);
  // A trigger is never forgotten, so these are all that can have sent anything …
  for (const std::string& trigger : rules->tenant().trigger_ids()) {
    if (!TakeStep() || !CancelOf(trigger, channel)) {
      return false;
    }
  }
  // … but for direct notifications with a text of their own: one more look, which is no step.
  return context_.engine_version < 3 || CancelOf("", channel);
}

// What one trigger has sent the person. False: this has been work enough.
bool Withdrawal::CancelOf(std::string_view trigger, v1::Channel channel) {
  v1::SendState sends;
  return !context_.Load(StateKey(fact_.tenant(), Table::kSends)
                            .Bytes(token_)
                            .Byte(static_cast<std::uint8_t>(channel))
                            .Bytes(trigger),
                        &sends) ||
         CancelFrom(sends.last_notification());
}

// Walks from the newest notification of a SendState to older ones. False: there are too many.
bool Withdrawal::CancelFrom(std::string newest) {
  while (!newest.empty()) {
    if (!TakeStep()) {
      return false;
    }
    Notification notification(context_, fact_.tenant(), newest);
    // All that lie further back were decided earlier still, and have expired.
    if (!notification.Load() ||
        FromMicros(notification.state().decided_at_us()) + kOutstandingMax <= context_.now) {
      return true;
    }
    if (Forbids(recipient_, notification.state())) {
      notification.Cancel(fact_);
    }
    newest = notification.state().previous();
  }
  return true;
}

void Withdrawal::CancelWhole(v1::Channel channel) {
  v1::NotificationCommand command;
  command.set_kind(v1::COMMAND_KIND_CANCEL);
  command.set_tenant(fact_.tenant());
  command.set_recipient_token(token_.data(), token_.size());
  command.set_channel(channel);
  command.set_decided_at_us(ToMicros(context_.now));
  if (!OptOutGate(recipient_, channel).passed) {
    context_.effects->commands.Add(fact_.tenant(), command);
    return;
  }
  for (const auto message_class : {v1::MESSAGE_CLASS_TRANSACTIONAL, v1::MESSAGE_CLASS_INFORMATIONAL,
                                   v1::MESSAGE_CLASS_MARKETING}) {
    if (!ConsentGate(recipient_, channel, message_class).passed) {
      command.set_message_class(message_class);
      context_.effects->commands.Add(fact_.tenant(), command);
    }
  }
}

}  // namespace

int RankOf(v1::NotificationStatus status) { return kRanks[static_cast<std::size_t>(status)]; }

void RememberCommand(const v1::NotificationCommand& command, std::uint32_t engine_version,
                     v1::NotificationState* state) {
  state->set_kind(command.kind());
  state->set_decided_at_us(command.decided_at_us());
  if (engine_version >= 3) {
    return;
  }
  state->mutable_to()->set_plain(command.to().plain());
  state->mutable_body()->set_plain(command.body().plain());
  state->set_sender_id(command.sender_id());
  state->set_provider(command.provider());
  state->set_account(command.account());
  state->set_from_number(command.from_number());
  state->set_segments(command.segments());
  state->set_trigger_version(command.trigger_version());
  if (command.has_trace()) {
    *state->mutable_trace() = command.trace();
  }
}

LogDuration BackoffOf(std::string_view notification_id, std::uint32_t attempt) {
  constexpr std::uint32_t kDoublingsMax = 16;  // Far above the maximum.
  const std::uint32_t doublings = std::min(std::max(attempt, 1U) - 1, kDoublingsMax);
  const std::int64_t longest = std::min(kBackoffMax.count(), kBackoffFirst.count() << doublings);
  const char number[4] = {static_cast<char>(attempt >> 24), static_cast<char>(attempt >> 16),
                          static_cast<char>(attempt >> 8), static_cast<char>(attempt)};
  const Digest digest = Sha256().Update(notification_id).Update(number, sizeof(number)).Final();
  std::int64_t chance = 0;  // 32 bits: times kBackoffMax far below 2^63.
  for (std::size_t i = 0; i < 4; ++i) {
    chance = (chance << 8) | digest[i];
  }
  return LogDuration{std::max<std::int64_t>(1, (longest * (chance + 1)) >> 32)};
}

bool Notification::Load() {
  return context_.Load(StateKey(tenant_, Table::kNotification).Bytes(id_), &state_);
}

void Notification::Save() {
  context_.Store(StateKey(tenant_, Table::kNotification).Bytes(id_), state_);
}

bool Notification::is_past_sending() const {
  return RankOf(state_.status()) >= RankOf(v1::NOTIFICATION_STATUS_ACCEPTED);
}

bool Notification::MoveUp(v1::NotificationStatus status) {
  if (RankOf(status) <= RankOf(state_.status())) {
    return false;
  }
  const bool was_past_sending = is_past_sending();
  state_.set_status(status);
  if (!was_past_sending && is_past_sending()) {
    // An earlier attempt did arrive: the later one may still be held back.
    if (is_out() && state_.attempt() > 1) {
      AddCancelCommand();
    }
    Settle();
  }
  return true;
}

void Notification::Settle() {
  DropTimer();
  ForgetContent();
}

bool Notification::KeepContent(const v1::Envelope& result) {
  const v1::DeliveryAttempt& attempt = result.delivery_attempt();
  if (context_.engine_version < 3 || state_.has_body() || !attempt.has_content()) {
    return state_.has_body();
  }
  const v1::AttemptContent& content = attempt.content();
  *state_.mutable_to() = content.to();
  *state_.mutable_body() = content.body();
  state_.set_sender_id(content.sender_id());
  state_.set_provider(attempt.provider());
  state_.set_account(attempt.account());
  state_.set_from_number(content.from_number());
  state_.set_segments(content.segments());
  state_.set_trigger_version(content.trigger_version());
  if (result.has_trace()) {
    *state_.mutable_trace() = result.trace();
  }
  return true;
}

void Notification::ForgetContent() {
  state_.clear_to();
  state_.clear_body();
  state_.clear_sender_id();
  state_.clear_provider();
  state_.clear_account();
  state_.clear_from_number();
  state_.clear_segments();
  state_.clear_trigger_version();
  state_.clear_trace();
}

std::optional<v1::NotificationStatus> Notification::Obstacle(LogTime at) {
  if (state_.kind() != v1::COMMAND_KIND_CONFIRMATION) {
    const TenantRules* rules = context_.RulesOf(tenant_);
    v1::RecipientState recipient;
    context_.Load(RecipientKey(tenant_, state_), &recipient);
    if (rules == nullptr || rules->tenant().tenant().status() != v1::TENANT_STATUS_ACTIVE ||
        Forbids(recipient, state_)) {
      return v1::NOTIFICATION_STATUS_CANCELLED;
    }
  }
  if (at >= FromMicros(state_.expires_at_us())) {
    return v1::NOTIFICATION_STATUS_EXPIRED;
  }
  return std::nullopt;
}

void Notification::StartTimer(LogTime due, v1::DeliveryTimerKind kind) {
  v1::TimerState timer;
  timer.mutable_delivery()->set_tenant(tenant_);
  timer.mutable_delivery()->set_notification_id(id_);
  timer.mutable_delivery()->set_kind(kind);
  context_.PutTimer(due, id_, timer);
  state_.set_timer_due_us(ToMicros(due));
}

void Notification::DropTimer() {
  if (state_.timer_due_us() != 0) {
    context_.state.Erase(TimerKey(FromMicros(state_.timer_due_us()), id_));
    state_.set_timer_due_us(0);
  }
}

v1::NotificationCommand Notification::MakeCommand(v1::CommandKind kind) const {
  v1::NotificationCommand command;
  command.set_notification_id(id_);
  command.set_kind(kind);
  command.set_tenant(tenant_);
  command.set_event_id(state_.event_id());
  if (state_.kind() == v1::COMMAND_KIND_SEND) {
    command.set_decision_id(id_);  // One decision, one notification: they share the id.
  }
  command.set_trigger_id(state_.trigger_id());
  command.set_recipient_token(state_.recipient_token());
  command.set_channel(state_.channel());
  command.set_message_class(state_.message_class());
  command.set_attempt(state_.attempt());
  command.set_expires_at_us(state_.expires_at_us());
  command.set_decided_at_us(ToMicros(context_.now));
  return command;
}

void Notification::CommandAgain() {
  state_.set_timer_due_us(0);
  state_.set_attempt(state_.attempt() + 1);
  v1::NotificationCommand command = MakeCommand(state_.kind());
  *command.mutable_to() = state_.to();
  *command.mutable_body() = state_.body();
  command.set_sender_id(state_.sender_id());
  command.set_provider(state_.provider());
  command.set_account(state_.account());
  command.set_from_number(state_.from_number());
  command.set_segments(state_.segments());
  command.set_trigger_version(state_.trigger_version());
  if (state_.has_trace()) {
    *command.mutable_trace() = state_.trace();
  }
  context_.effects->commands.Add(tenant_, command);
  if (context_.engine_version >= 3) {
    ForgetContent();
  }
}

void Notification::AddCancelCommand() {
  context_.effects->commands.Add(tenant_, MakeCommand(v1::COMMAND_KIND_CANCEL));
}

void Notification::Cancel(v1::Fact fact) {
  if (is_past_sending()) {
    return;
  }
  if (is_out()) {
    // The dispatcher says whether it came in time.
    AddCancelCommand();
    return;
  }
  if (state_.timer_due_us() == 0) {
    return;
  }
  auto* subject = DescribeIn(&fact);
  subject->set_status(v1::NOTIFICATION_STATUS_CANCELLED);
  subject->set_changed(MoveUp(v1::NOTIFICATION_STATUS_CANCELLED));
  context_.AddFact(fact);
  Settle();
  Save();
}

v1::NotificationFact* Notification::DescribeIn(v1::Fact* fact) const {
  auto* subject = fact->mutable_notification();
  subject->set_notification_id(id_);
  subject->set_attempt(state_.attempt());
  return subject;
}

std::vector<v1::Channel> ChannelsOf(v1::Channel channel) {
  if (channel != v1::CHANNEL_ALL) {
    return {channel};
  }
  return {v1::CHANNEL_SMS, v1::CHANNEL_WHATSAPP, v1::CHANNEL_EMAIL, v1::CHANNEL_PUSH,
          v1::CHANNEL_VOICE};
}

void CancelForbidden(FoldContext& context, const v1::Fact& fact, std::string_view token,
                     std::span<const v1::Channel> channels, const v1::RecipientState& recipient) {
  Withdrawal withdrawal(context, fact, token, recipient);
  for (const v1::Channel channel : channels) {
    for (const v1::Channel each : ChannelsOf(channel)) {
      withdrawal.TakeBack(each);
    }
  }
}

void FireDeliveryTimer(FoldContext& context, std::string_view key, const v1::DeliveryTimer& timer) {
  context.state.Erase(key);
  Notification notification(context, timer.tenant(), timer.notification_id());
  ALERTSTREAM_CHECK(notification.Load());
  v1::Fact fact = context.MakeFact(timer.tenant());
  notification.state().set_timer_due_us(0);
  if (const auto obstacle = notification.Obstacle(context.now)) {
    auto* subject = notification.DescribeIn(&fact);
    subject->set_status(*obstacle);
    subject->set_changed(notification.MoveUp(*obstacle));
    context.AddFact(fact);
    notification.Settle();
  } else {
    if (timer.kind() == v1::DELIVERY_TIMER_KIND_UNKNOWN) {
      notification.state().set_resent_unknown(true);
    }
    notification.CommandAgain();
  }
  notification.Save();
}

void FailDelivery(FoldContext& context, const v1::DeliveryTimer& timer) {
  Notification notification(context, timer.tenant(), timer.notification_id());
  if (!notification.Load()) {
    return;
  }
  notification.state().set_timer_due_us(0);
  v1::Fact fact = context.MakeFact(timer.tenant());
  auto* subject = notification.DescribeIn(&fact);
  subject->set_status(v1::NOTIFICATION_STATUS_FAILED);
  subject->set_changed(notification.MoveUp(v1::NOTIFICATION_STATUS_FAILED));
  context.AddFact(fact);
  notification.Settle();
  notification.Save();
}

}  // namespace alertstream::engine

// Direct notifications (since version 3): events that name one person and either a trigger, whose
// condition is not asked, or a text of their own.
#include <utility>

#include "processor/engine/event_work.h"
#include "schemas/personal.h"

namespace alertstream::engine {

// Before the event leaves any state: what is wrong with the request is a fault of the event.
bool EventFold::PassDirect(const RecordRef& ref, const v1::Envelope& envelope, Work* work) {
  if (context_.engine_version < 3 || !envelope.site_event().has_direct()) {
    return true;
  }
  const v1::DirectNotification& request = envelope.site_event().direct();
  if (IsRetry(&request)) {
    return PassRetry(ref, envelope, work);
  }
  const CompiledTrigger* trigger = nullptr;
  if (!request.trigger_id().empty()) {
    trigger = work->rules->FindTrigger(request.trigger_id());
    if (trigger == nullptr || !trigger->enabled) {
      context_.AddDeadLetter(ref,
                             {v1::DEAD_LETTER_STAGE_SCHEMA, v1::DEAD_LETTER_REASON_UNKNOWN_TRIGGER,
                              "site_event.direct.trigger_id: there is no such enabled trigger"},
                             work->tenant, envelope.type());
      return false;
    }
  }
  if (!MakeDirect(request, trigger)) {
    context_.AddDeadLetter(ref,
                           {v1::DEAD_LETTER_STAGE_SCHEMA, v1::DEAD_LETTER_REASON_FIELD_INVALID,
                            "site_event.direct.template_body: no valid template"},
                           work->tenant, envelope.type());
    return false;
  }
  work->direct = &request;
  return true;
}

bool EventFold::MakeDirect(const v1::DirectNotification& request, const CompiledTrigger* trigger) {
  if (trigger != nullptr) {
    direct_ = *trigger;
    direct_.condition = nullptr;
    return true;
  }
  auto body = context_.compiler.CompileTemplate(request.template_body());
  if (!body.ok()) {
    return false;
  }
  direct_ = CompiledTrigger{};
  direct_.channel = request.channel();
  direct_.message_class = request.message_class();
  direct_.sender = request.sender_id();
  direct_.max_age = kMaxAgeDefault;
  direct_.enabled = true;
  direct_.body = std::move(body).value();
  return true;
}

void EventFold::TakeDirectRecipient(const Work& work) {
  const v1::AddressKind kind = AddressKindOf(direct_.channel);
  Recipient recipient;
  const auto to = schemas::Unseal(work.direct->to());
  auto address = to.ok() ? NormalizeAddress(kind, to.value()) : Result<std::string>(to.error());
  if (address.ok()) {
    recipient.address = std::move(address).value();
    recipient.token = MakeRecipientToken(context_.config.token_key, work.tenant,
                                         static_cast<std::uint8_t>(kind), recipient.address);
    if (IsRetry(work.direct)) {
      recipient.outcome = JudgeRetry(work, recipient.token);
    }
  } else {
    recipient.outcome = Failed(v1::REASON_RECIPIENT_INVALID);
  }
  recipients_.clear();
  recipients_.push_back(std::move(recipient));
}

}  // namespace alertstream::engine

// Permission facts: consents, opt-outs, and what people answer. A STOP is obeyed at the offset
// where it lies; it is lifted only by the recipient's own START or by consent evidence later than
// it.
#include <algorithm>

#include "processor/engine/fold_context.h"
#include "processor/engine/gates/consent.h"
#include "processor/engine/gates/recipient.h"
#include "processor/engine/keywords.h"
#include "processor/engine/notifications.h"
#include "schemas/personal.h"

namespace alertstream::engine {
namespace {

constexpr std::string_view kDefaultStopReply =
    "You are unsubscribed and will receive no further messages.";
constexpr std::string_view kDefaultHelpReply = "Reply STOP to unsubscribe.";

struct Person {
  std::string address;  // Empty if only the token is known.
  RecipientToken token{};
};

// Nothing: the address is invalid; a dead letter was added.
std::optional<Person> Resolve(FoldContext& context, const RecordRef& ref,
                              const v1::Envelope& envelope, const v1::Personal& address,
                              v1::AddressKind kind, std::string_view token) {
  Person person;
  if (!token.empty()) {
    std::copy_n(token.begin(), person.token.size(), person.token.begin());
    return person;
  }
  if (kind == v1::ADDRESS_KIND_UNSPECIFIED) {
    kind = v1::ADDRESS_KIND_PHONE;
  }
  const auto raw = schemas::Unseal(address);
  auto normal = raw.ok() ? NormalizeAddress(kind, raw.value()) : Result<std::string>(raw.error());
  if (!normal.ok()) {
    context.AddDeadLetter(ref,
                          {v1::DEAD_LETTER_STAGE_SCHEMA, v1::DEAD_LETTER_REASON_FIELD_INVALID,
                           "address: " + normal.error().message()},
                          envelope.routing_key(), envelope.type());
    return std::nullopt;
  }
  person.address = std::move(normal).value();
  person.token = MakeRecipientToken(context.config.token_key, envelope.routing_key(),
                                    static_cast<std::uint8_t>(kind), person.address);
  return person;
}

// False: there is no such tenant; a dead letter was added.
bool RequireTenant(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope) {
  if (context.RulesOf(envelope.routing_key()) != nullptr) {
    return true;
  }
  context.AddDeadLetter(ref,
                        {v1::DEAD_LETTER_STAGE_TENANT, v1::DEAD_LETTER_REASON_UNKNOWN_TENANT,
                         "routing_key: there is no such tenant"},
                        envelope.routing_key(), envelope.type());
  return false;
}

StateKey RecipientKey(const v1::Envelope& envelope, const RecipientToken& token) {
  return StateKey(envelope.routing_key(), Table::kRecipient)
      .Bytes({reinterpret_cast<const char*>(token.data()), token.size()});
}

bool IsRecipientsOwn(v1::OptOutBy by) {
  return by == v1::OPT_OUT_BY_RECIPIENT || by == v1::OPT_OUT_BY_PROVIDER;
}

v1::RecipientState::OptOut* FindOptOut(v1::RecipientState* recipient, v1::Channel channel) {
  for (auto& opt_out : *recipient->mutable_opt_outs()) {
    if (opt_out.channel() == channel) {
      return &opt_out;
    }
  }
  return nullptr;
}

v1::RecipientState::OptOut* OptOutFor(v1::RecipientState* recipient, v1::Channel channel) {
  if (auto* present = FindOptOut(recipient, channel)) {
    return present;
  }
  auto* opt_outs = recipient->mutable_opt_outs();
  opt_outs->Add()->set_channel(channel);
  std::sort(opt_outs->begin(), opt_outs->end(),
            [](const auto& a, const auto& b) { return a.channel() < b.channel(); });
  return FindOptOut(recipient, channel);
}

struct OptOutWrite {
  v1::Channel channel;
  v1::OptOutStatus status;
  v1::OptOutBy by;
};

// Sets the opt-out and adds the fact. True if the status changed.
bool WriteOptOut(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope,
                 const RecipientToken& token, const OptOutWrite& write, std::string_view reason,
                 v1::RecipientState* recipient) {
  v1::RecipientState::OptOut* opt_out = OptOutFor(recipient, write.channel);
  const bool changed = opt_out->status() != write.status;
  // An operator's entry does not take over what the recipient did: it must stay theirs to lift.
  const bool keeps_owner = !changed && IsRecipientsOwn(opt_out->by());
  opt_out->set_status(write.status);
  if (!keeps_owner || IsRecipientsOwn(write.by)) {
    opt_out->set_by(write.by);
    const std::int64_t at_us = ToMicros(ref.record->append_time);
    // A retry may be of an older one: since version 5 the newest counts.
    opt_out->set_at_us(changed || context.engine_version < 5 ? at_us
                                                             : std::max(at_us, opt_out->at_us()));
    context.SetPosition(ref, opt_out->mutable_source());
  }
  recipient->set_version(recipient->version() + 1);

  v1::Fact fact = context.MakeFact(ref, envelope);
  fact.set_version(recipient->version());
  auto* subject = fact.mutable_opt_out();
  subject->set_recipient_token(token.data(), token.size());
  subject->set_channel(write.channel);
  subject->set_status(write.status);
  subject->set_by(opt_out->by());
  subject->set_reason(reason.data(), reason.size());
  context.AddFact(fact);
  return changed;
}

// Lifts the recipient's own opt-outs of `channel`, of every channel for CHANNEL_ALL: START, or
// later evidence. One of all channels is lifted only by evidence for all of them.
void LiftOptOuts(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope,
                 const RecipientToken& token, v1::Channel channel, std::int64_t later_than_us,
                 std::string_view reason, v1::RecipientState* recipient) {
  std::vector<v1::Channel> lifted;
  for (const auto& opt_out : recipient->opt_outs()) {
    const bool covers = channel == v1::CHANNEL_ALL || opt_out.channel() == channel;
    if (covers && opt_out.status() == v1::OPT_OUT_STATUS_ACTIVE && IsRecipientsOwn(opt_out.by()) &&
        opt_out.at_us() < later_than_us) {
      lifted.push_back(opt_out.channel());
    }
  }
  for (const v1::Channel each : lifted) {
    WriteOptOut(context, ref, envelope, token,
                {each, v1::OPT_OUT_STATUS_REMOVED, v1::OPT_OUT_BY_RECIPIENT}, reason, recipient);
  }
}

bool VersionMatches(FoldContext& context, std::uint64_t expected, std::uint64_t present,
                    v1::Fact* fact) {
  fact->set_version(present);
  if (expected == 0 || expected == present) {
    return true;
  }
  context.Reject(fact, v1::REJECT_REASON_VERSION_MISMATCH,
                 "expected version " + std::to_string(expected) + ", the present one is " +
                     std::to_string(present));
  return false;
}

v1::RecipientState::Consent* ConsentFor(v1::RecipientState* recipient, v1::Channel channel,
                                        v1::MessageClass message_class) {
  for (auto& consent : *recipient->mutable_consents()) {
    if (consent.channel() == channel && consent.message_class() == message_class) {
      return &consent;
    }
  }
  auto* consents = recipient->mutable_consents();
  auto* added = consents->Add();
  added->set_channel(channel);
  added->set_message_class(message_class);
  std::sort(consents->begin(), consents->end(), [](const auto& a, const auto& b) {
    return std::pair(a.channel(), a.message_class()) < std::pair(b.channel(), b.message_class());
  });
  return ConsentFor(recipient, channel, message_class);
}

// The channels of `channel` from which a revocation takes something away.
std::vector<v1::Channel> NotRevoked(const v1::RecipientState& recipient, v1::Channel channel,
                                    v1::MessageClass message_class) {
  std::vector<v1::Channel> channels = ChannelsOf(channel);
  std::erase_if(channels, [&](v1::Channel each) {
    const auto* in_force = ConsentInForce(recipient, each, message_class);
    return in_force != nullptr && in_force->status() == v1::CONSENT_STATUS_REVOKED;
  });
  return channels;
}

struct Reply {
  std::string_view text;
  std::uint32_t n;  // Tells the replies to one message apart.
};

// The one message that may be sent to somebody who opted out (47 CFR 64.1200(a)(12)). False: it is
// too late for it, or the provider has answered.
bool AddReply(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope,
              const Person& person, const Reply& reply) {
  const LogTime deadline = ref.record->append_time + kConfirmationWindow;
  const v1::InboundMessage& inbound = envelope.inbound_message();
  if (context.now >= deadline || person.address.empty() || inbound.provider_replied()) {
    return false;
  }
  const std::string_view token{reinterpret_cast<const char*>(person.token.data()),
                               person.token.size()};
  const IdBytes id =
      MakeId(IdCause{.append_time = ref.record->append_time,
                     .tenant = envelope.routing_key(),
                     .topic = static_cast<std::uint8_t>(ref.topic),
                     .partition = static_cast<std::uint32_t>(context.config.partition),
                     .offset = ref.record->offset,
                     .recipient_token = token,
                     .channel = static_cast<std::uint8_t>(inbound.channel()),
                     .n = reply.n});
  v1::NotificationCommand command;
  command.set_notification_id(id.data(), id.size());
  command.set_kind(v1::COMMAND_KIND_CONFIRMATION);
  command.set_tenant(envelope.routing_key());
  command.set_recipient_token(token.data(), token.size());
  command.set_channel(inbound.channel());
  command.set_message_class(v1::MESSAGE_CLASS_TRANSACTIONAL);
  command.mutable_to()->set_plain(person.address);
  command.mutable_body()->set_plain(reply.text.data(), reply.text.size());
  command.set_provider(inbound.provider());
  if (context.engine_version >= 2) {
    command.set_account(inbound.account());
  }
  command.set_from_number(inbound.to_number());
  command.set_attempt(1);
  command.set_expires_at_us(ToMicros(deadline));
  command.set_decided_at_us(ToMicros(context.now));
  context.effects->commands.Add(envelope.routing_key(), command);

  v1::NotificationState notification;
  notification.set_status(v1::NOTIFICATION_STATUS_COMMANDED);
  notification.set_recipient_token(token.data(), token.size());
  notification.set_channel(inbound.channel());
  notification.set_attempt(1);
  notification.set_expires_at_us(ToMicros(deadline));
  notification.set_message_class(v1::MESSAGE_CLASS_TRANSACTIONAL);
  if (context.engine_version >= 2) {
    RememberCommand(command, context.engine_version, &notification);
  }
  context.StoreFresh(StateKey(envelope.routing_key(), Table::kNotification).Bytes(AsView(id)),
                     notification);
  return true;
}

std::string_view KeywordName(InboundKeyword keyword) {
  switch (keyword) {
    case InboundKeyword::kStop:
      return "stop";
    case InboundKeyword::kStart:
    case InboundKeyword::kStartIfOptedOut:
      return "start";
    case InboundKeyword::kHelp:
      return "help";
    case InboundKeyword::kNone:
      break;
  }
  return "none";
}

InboundKeyword KeywordOf(const v1::InboundMessage& inbound) {
  const auto body = schemas::Unseal(inbound.body());
  return body.ok() ? ClassifyInbound(body.value()) : InboundKeyword::kNone;
}

// A STOP by text message ends voice calls as well, and the other way round (47 CFR 64.1200(a)(10)).
std::vector<v1::Channel> StopScope(v1::Channel channel) {
  if (channel == v1::CHANNEL_SMS || channel == v1::CHANNEL_VOICE) {
    return {v1::CHANNEL_SMS, v1::CHANNEL_VOICE};
  }
  return {channel};
}

bool IsOptedOut(const v1::RecipientState& recipient, v1::Channel channel) {
  return std::any_of(
      recipient.opt_outs().begin(), recipient.opt_outs().end(), [&](const auto& opt_out) {
        return (opt_out.channel() == channel || opt_out.channel() == v1::CHANNEL_ALL) &&
               opt_out.status() == v1::OPT_OUT_STATUS_ACTIVE;
      });
}

// Stores the person's new state, and takes back what it no longer allows on `channels`.
void StoreRestricted(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope,
                     const RecipientToken& token, const std::vector<v1::Channel>& channels,
                     const v1::RecipientState& recipient) {
  const StateKey key = RecipientKey(envelope, token);
  context.Store(key, recipient);
  if (context.engine_version < 2) {
    return;
  }
  const v1::Fact fact = context.MakeFact(ref, envelope);
  CancelForbidden(context, fact, AsView(token), channels, recipient);
}

// True if the person was not opted out of all of it before.
bool FoldStop(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope,
              const Person& person, v1::RecipientState* recipient) {
  const v1::InboundMessage& inbound = envelope.inbound_message();
  bool changed = false;
  for (const v1::Channel channel : StopScope(inbound.channel())) {
    changed |= WriteOptOut(context, ref, envelope, person.token,
                           {channel, v1::OPT_OUT_STATUS_ACTIVE, v1::OPT_OUT_BY_RECIPIENT},
                           "keyword", recipient);
  }
  if (!changed) {
    return false;
  }
  const std::string& own = context.RulesOf(envelope.routing_key())->tenant().tenant().stop_reply();
  if (AddReply(context, ref, envelope, person,
               {own.empty() ? kDefaultStopReply : std::string_view(own), 1})) {
    recipient->set_confirmed_stop_us(ToMicros(context.now));
  }
  return true;
}

}  // namespace

void OptOutByProvider(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope,
                      const v1::NotificationState& notification) {
  RecipientToken token{};
  ALERTSTREAM_CHECK(notification.recipient_token().size() == token.size());
  std::copy_n(notification.recipient_token().begin(), token.size(), token.begin());
  v1::RecipientState recipient;
  context.Load(RecipientKey(envelope, token), &recipient);
  const std::vector<v1::Channel> scope = StopScope(notification.channel());
  bool changed = false;
  for (const v1::Channel channel : scope) {
    // What is opted out already keeps its owner and its date.
    const auto* present = FindOptOut(&recipient, channel);
    if (present == nullptr || present->status() != v1::OPT_OUT_STATUS_ACTIVE) {
      changed |= WriteOptOut(context, ref, envelope, token,
                             {channel, v1::OPT_OUT_STATUS_ACTIVE, v1::OPT_OUT_BY_PROVIDER},
                             "provider", &recipient);
    }
  }
  if (changed) {
    StoreRestricted(context, ref, envelope, token, scope, recipient);
  }
}

bool IsRestricting(const v1::Envelope& envelope) {
  switch (envelope.payload_case()) {
    case v1::Envelope::kConsentChange:
      return envelope.consent_change().status() == v1::CONSENT_STATUS_REVOKED;
    case v1::Envelope::kOptOutChange:
      return envelope.opt_out_change().status() == v1::OPT_OUT_STATUS_ACTIVE;
    case v1::Envelope::kInboundMessage:
      return KeywordOf(envelope.inbound_message()) == InboundKeyword::kStop;
    case v1::Envelope::kSiteEvent:
    case v1::Envelope::kDeliveryReceipt:
    case v1::Envelope::kDeliveryAttempt:
    case v1::Envelope::kAccountChange:
    case v1::Envelope::PAYLOAD_NOT_SET:
      break;
  }
  return false;
}

void FoldConsentChange(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope) {
  if (!RequireTenant(context, ref, envelope)) {
    return;
  }
  const v1::ConsentChange& change = envelope.consent_change();
  const auto person = Resolve(context, ref, envelope, change.address(), change.address_kind(),
                              change.recipient_token());
  if (!person) {
    return;
  }
  const StateKey key = RecipientKey(envelope, person->token);
  v1::RecipientState recipient;
  context.Load(key, &recipient);
  const bool has_evidence = !change.evidence().kind().empty();
  // An act cannot be later than the record that tells of it: a date in the future would outrank
  // every revocation until then.
  const std::int64_t append_us = ToMicros(ref.record->append_time);
  const std::int64_t at_us =
      change.evidence().at_us() != 0 ? std::min(change.evidence().at_us(), append_us) : append_us;

  v1::Fact fact = context.MakeFact(ref, envelope);
  auto* subject = fact.mutable_consent();
  subject->set_recipient_token(person->token.data(), person->token.size());
  subject->set_channel(change.channel());
  subject->set_message_class(change.message_class());
  subject->set_status(change.status());
  subject->set_written(change.evidence().written());
  subject->set_source(change.source());
  subject->set_at_us(at_us);
  if (!VersionMatches(context, change.expected_version(), recipient.version(), &fact)) {
    return;
  }
  const auto* in_force = ConsentInForce(recipient, change.channel(), change.message_class());
  if (in_force != nullptr && at_us < in_force->at_us()) {
    context.Reject(&fact, v1::REJECT_REASON_OLDER_THAN_PRESENT,
                   "the evidence is older than the consent or revocation in force");
    return;
  }
  const auto not_revoked = NotRevoked(recipient, change.channel(), change.message_class());
  auto* consent = ConsentFor(&recipient, change.channel(), change.message_class());
  consent->set_status(change.status());
  consent->set_written(change.status() == v1::CONSENT_STATUS_GRANTED &&
                       change.evidence().written());
  consent->set_at_us(at_us);
  context.SetPosition(ref, consent->mutable_source());
  recipient.set_version(recipient.version() + 1);
  fact.set_version(recipient.version());
  context.AddFact(fact);
  if (change.status() == v1::CONSENT_STATUS_GRANTED && has_evidence) {
    LiftOptOuts(context, ref, envelope, person->token, change.channel(), at_us,
                "later consent evidence", &recipient);
  }
  if (change.status() == v1::CONSENT_STATUS_REVOKED) {
    StoreRestricted(context, ref, envelope, person->token, not_revoked, recipient);
    return;
  }
  context.Store(key, recipient);
}

void FoldOptOutChange(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope) {
  if (!RequireTenant(context, ref, envelope)) {
    return;
  }
  const v1::OptOutChange& change = envelope.opt_out_change();
  const auto person = Resolve(context, ref, envelope, change.address(), change.address_kind(),
                              change.recipient_token());
  if (!person) {
    return;
  }
  const StateKey key = RecipientKey(envelope, person->token);
  v1::RecipientState recipient;
  context.Load(key, &recipient);

  v1::Fact fact = context.MakeFact(ref, envelope);
  auto* subject = fact.mutable_opt_out();
  subject->set_recipient_token(person->token.data(), person->token.size());
  subject->set_channel(change.channel());
  subject->set_status(change.status());
  subject->set_by(change.by());
  subject->set_reason(change.reason());
  if (!VersionMatches(context, change.expected_version(), recipient.version(), &fact)) {
    return;
  }
  if (change.status() == v1::OPT_OUT_STATUS_REMOVED && !IsRecipientsOwn(change.by())) {
    const auto* present = FindOptOut(&recipient, change.channel());
    if (present == nullptr || present->status() != v1::OPT_OUT_STATUS_ACTIVE) {
      context.Reject(&fact, v1::REJECT_REASON_NOT_OPTED_OUT,
                     "there is no active opt-out on this channel");
      return;
    }
    if (IsRecipientsOwn(present->by())) {
      context.Reject(&fact, v1::REJECT_REASON_OPT_OUT_BY_RECIPIENT,
                     "opt_out_by_recipient: only the recipient's own START, or consent evidence "
                     "later than the opt-out, lifts it");
      return;
    }
  }
  const bool changed =
      WriteOptOut(context, ref, envelope, person->token,
                  {change.channel(), change.status(), change.by()}, change.reason(), &recipient);
  if (changed && change.status() == v1::OPT_OUT_STATUS_ACTIVE) {
    StoreRestricted(context, ref, envelope, person->token, {change.channel()}, recipient);
    return;
  }
  context.Store(key, recipient);
}

void FoldInboundMessage(FoldContext& context, const RecordRef& ref, const v1::Envelope& envelope) {
  if (!RequireTenant(context, ref, envelope)) {
    return;
  }
  const v1::InboundMessage& inbound = envelope.inbound_message();
  const auto person =
      Resolve(context, ref, envelope, inbound.from(), inbound.from_kind(), std::string_view());
  if (!person) {
    return;
  }
  const StateKey key = RecipientKey(envelope, person->token);
  v1::RecipientState recipient;
  context.Load(key, &recipient);
  InboundKeyword keyword = KeywordOf(inbound);
  if (keyword == InboundKeyword::kStartIfOptedOut && !IsOptedOut(recipient, inbound.channel())) {
    keyword = InboundKeyword::kNone;
  }

  v1::Fact fact = context.MakeFact(ref, envelope);
  fact.set_version(recipient.version());
  auto* subject = fact.mutable_inbound();
  subject->set_recipient_token(person->token.data(), person->token.size());
  subject->set_channel(inbound.channel());
  const std::string_view name = KeywordName(keyword);
  subject->set_keyword(name.data(), name.size());
  subject->set_provider_message_id(inbound.provider_message_id());
  context.AddFact(fact);

  switch (keyword) {
    case InboundKeyword::kStop:
      if (FoldStop(context, ref, envelope, *person, &recipient)) {
        StoreRestricted(context, ref, envelope, person->token, StopScope(inbound.channel()),
                        recipient);
      } else {
        context.Store(key, recipient);
      }
      return;
    case InboundKeyword::kStart:
    case InboundKeyword::kStartIfOptedOut:
      for (const v1::Channel channel : StopScope(inbound.channel())) {
        LiftOptOuts(context, ref, envelope, person->token, channel,
                    ToMicros(ref.record->append_time) + 1, "keyword", &recipient);
      }
      context.Store(key, recipient);
      return;
    case InboundKeyword::kHelp: {
      const std::string& own =
          context.RulesOf(envelope.routing_key())->tenant().tenant().help_reply();
      AddReply(context, ref, envelope, *person,
               {own.empty() ? kDefaultHelpReply : std::string_view(own), 2});
      return;
    }
    case InboundKeyword::kNone:
      return;
  }
}

}  // namespace alertstream::engine

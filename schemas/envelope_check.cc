#include "schemas/envelope_check.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "processor/base/check.h"
#include "schemas/field_check.h"
#include "schemas/limits.h"
#include "schemas/text.h"

namespace alertstream::schemas {
namespace {

using Payload = v1::Envelope::PayloadCase;
using Change = v1::AccountChange::ChangeCase;

// The payload that belongs on an input topic.
Payload PayloadOf(Topic topic) {
  switch (topic) {
    case Topic::kSiteEvents:
      return Payload::kSiteEvent;
    case Topic::kConsentChanges:
      return Payload::kConsentChange;
    case Topic::kOptOuts:
      return Payload::kOptOutChange;
    case Topic::kInboundMessages:
      return Payload::kInboundMessage;
    case Topic::kDeliveryReceipts:
      return Payload::kDeliveryReceipt;
    case Topic::kDeliveryAttempts:
      return Payload::kDeliveryAttempt;
    case Topic::kAccountChanges:
      return Payload::kAccountChange;
    case Topic::kNotificationCommands:
    case Topic::kDecisions:
    case Topic::kFacts:
    case Topic::kDeadLetters:
    case Topic::kJournal:
    case Topic::kOwnership:
      break;
  }
  return Payload::PAYLOAD_NOT_SET;
}

bool IsLogWide(Change change) {
  return change == Change::kEngineActivate || change == Change::kSkipRequested ||
         change == Change::kLogMarker;
}

// A dead letter may have no tenant.
bool MayBeLogWide(Change change, std::uint32_t engine_version) {
  return IsLogWide(change) || (engine_version >= 4 && change == Change::kDeadLetterAction);
}

bool CheckSchemaVersion(FieldCheck& check, std::uint32_t version) {
  if (version == 0) {
    return check.Missing("schema_version");
  }
  if (version > kSchemaVersionMax) {
    return check.Fail(v1::DEAD_LETTER_REASON_FUTURE_SCHEMA_VERSION,
                      "schema_version: later than this program understands (" +
                          std::to_string(kSchemaVersionMax) + ")");
  }
  return true;
}

bool CheckTenant(FieldCheck& check, std::string_view key, const v1::Envelope& envelope) {
  if (envelope.tenant() != key) {
    return check.Fail(v1::DEAD_LETTER_REASON_TENANT_MISMATCH,
                      "tenant: differs from the record's key");
  }
  if (envelope.routing_key() != key) {
    return check.Fail(v1::DEAD_LETTER_REASON_TENANT_MISMATCH,
                      "routing_key: differs from the record's key");
  }
  return true;
}

// The payload fits the topic, and an account change fits the key.
bool CheckPayload(FieldCheck& check, Topic topic, std::string_view key,
                  const v1::Envelope& envelope, std::uint32_t engine_version) {
  const Payload payload = envelope.payload_case();
  if (payload == Payload::PAYLOAD_NOT_SET) {
    return check.Missing("payload");
  }
  const bool log_key = key == kLogKey;
  const Change change = envelope.account_change().change_case();
  if (log_key && payload == Payload::kAccountChange && change == Change::kLogMarker) {
    return true;
  }
  if (payload != PayloadOf(topic)) {
    return check.Fail(v1::DEAD_LETTER_REASON_WRONG_PAYLOAD,
                      "payload: does not belong on " + std::string(NameOf(topic)));
  }
  if (log_key && !(payload == Payload::kAccountChange && MayBeLogWide(change, engine_version))) {
    return check.Fail(v1::DEAD_LETTER_REASON_WRONG_PAYLOAD,
                      "payload: the key _log carries log-wide changes only");
  }
  if (!log_key && payload == Payload::kAccountChange && IsLogWide(change)) {
    return check.Fail(v1::DEAD_LETTER_REASON_WRONG_PAYLOAD,
                      "account_change: a log-wide change needs the key _log");
  }
  return true;
}

bool CheckHead(FieldCheck& check, const v1::Envelope& envelope) {
  const bool is_event = envelope.has_site_event();
  return check.Id("id", envelope.id(), kEventIdBytesMax, kOptional) &&
         check.Form("type", envelope.type(), kEventTypeBytesMax, is_event ? kRequired : kOptional,
                    IsEventType, "only letters, digits and ._:/- are allowed") &&
         check.Time("event_time_us", envelope.event_time_us()) &&
         check.Time("ingest_time_us", envelope.ingest_time_us()) &&
         check.Id("source", envelope.source(), kSourceBytesMax, kOptional) &&
         check.Enum("trust", envelope.trust(), v1::Trust_IsValid, kRequired) &&
         check.Size("body_sha256", envelope.body_sha256(), kSha256Bytes, kOptional) &&
         check.Form("site", envelope.site(), kSiteIdBytesMax, kOptional, IsSiteId,
                    "only letters, digits and ._- are allowed") &&
         check.Id("actor", envelope.actor(), kActorBytesMax, kOptional) &&
         (!envelope.has_trace() || (check.Id("trace.traceparent", envelope.trace().traceparent(),
                                             kTraceparentBytesMax, kOptional) &&
                                    check.Id("trace.tracestate", envelope.trace().tracestate(),
                                             kTracestateBytesMax, kOptional))) &&
         (!envelope.has_idempotency() ||
          (check.Id("idempotency.key", envelope.idempotency().key(), kIdempotencyKeyBytesMax,
                    kOptional) &&
           check.Id("idempotency.scope", envelope.idempotency().scope(), kIdempotencyScopeBytesMax,
                    kOptional)));
}

std::size_t AddressBytesMax(v1::AddressKind kind) {
  switch (kind) {
    case v1::ADDRESS_KIND_EMAIL:
      return kEmailBytesMax;
    case v1::ADDRESS_KIND_PUSH_TOKEN:
      return kPushTokenBytesMax;
    case v1::ADDRESS_KIND_PHONE:
    case v1::ADDRESS_KIND_UNSPECIFIED:
    case v1::AddressKind_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::AddressKind_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return kPhoneTextBytesMax;
}

v1::AddressKind AddressKindOf(v1::Channel channel) {
  if (channel == v1::CHANNEL_EMAIL) {
    return v1::ADDRESS_KIND_EMAIL;
  }
  return channel == v1::CHANNEL_PUSH ? v1::ADDRESS_KIND_PUSH_TOKEN : v1::ADDRESS_KIND_PHONE;
}

// Consents and opt-outs name a person by an address with its kind, or by a token alone.
template <typename Message>
bool CheckPerson(FieldCheck& check, const Message& message) {
  if (!check.Enum("address_kind", message.address_kind(), v1::AddressKind_IsValid, kOptional)) {
    return false;
  }
  if (!message.has_address()) {
    if (message.recipient_token().empty()) {
      return check.Fail(v1::DEAD_LETTER_REASON_FIELD_MISSING,
                        check.NameOf("address") + ": missing, and no recipient_token instead");
    }
    return check.Size("recipient_token", message.recipient_token(), kRecipientTokenBytes,
                      kRequired);
  }
  return check.That("recipient_token", message.recipient_token().empty(),
                    "given beside an address; expected one of the two") &&
         check.Enum("address_kind", message.address_kind(), v1::AddressKind_IsValid, kRequired) &&
         check.PersonalText("address", message.address(), AddressBytesMax(message.address_kind()),
                            kRequired);
}

bool CheckConsent(FieldCheck& check, const v1::ConsentChange& consent) {
  if (!CheckPerson(check, consent) ||
      !check.Enum("channel", consent.channel(), v1::Channel_IsValid, kRequired) ||
      !check.Enum("message_class", consent.message_class(), v1::MessageClass_IsValid, kRequired) ||
      !check.Enum("status", consent.status(), v1::ConsentStatus_IsValid, kRequired) ||
      !check.Id("source", consent.source(), kSourceWordBytesMax, kOptional)) {
    return false;
  }
  if (!consent.has_evidence()) {
    return true;
  }
  const auto& evidence = consent.evidence();
  return check.Id("evidence.kind", evidence.kind(), kSourceWordBytesMax, kOptional) &&
         check.Id("evidence.disclosure_version", evidence.disclosure_version(),
                  kDisclosureVersionBytesMax, kOptional) &&
         check.Size("evidence.disclosure_sha256", evidence.disclosure_sha256(), kSha256Bytes,
                    kOptional) &&
         (!evidence.has_detail() || check.PersonalText("evidence.detail", evidence.detail(),
                                                       kConsentDetailBytesMax, kOptional)) &&
         check.Time("evidence.at_us", evidence.at_us());
}

bool CheckOptOut(FieldCheck& check, const v1::OptOutChange& change) {
  return CheckPerson(check, change) &&
         check.Enum("channel", change.channel(), v1::Channel_IsValid, kRequired) &&
         check.Enum("status", change.status(), v1::OptOutStatus_IsValid, kRequired) &&
         check.Enum("by", change.by(), v1::OptOutBy_IsValid, kRequired) &&
         check.Text("reason", change.reason(), kReasonBytesMax, kOptional);
}

bool CheckInbound(FieldCheck& check, const v1::InboundMessage& message,
                  std::uint32_t engine_version) {
  return check.Enum("from_kind", message.from_kind(), v1::AddressKind_IsValid, kRequired) &&
         check.PersonalText("from", message.from(), AddressBytesMax(message.from_kind()),
                            kRequired) &&
         check.Id("to_number", message.to_number(), kPhoneTextBytesMax, kOptional) &&
         check.OneChannel("channel", message.channel(), kRequired) &&
         check.PersonalBytes("body", message.body(), kInboundBodyBytesMax) &&
         check.Id("provider", message.provider(), kProviderBytesMax, kOptional) &&
         check.Id("provider_message_id", message.provider_message_id(), kProviderMessageIdBytesMax,
                  kOptional) &&
         (engine_version < 2 ||
          check.Id("account", message.account(), kProviderAccountBytesMax, kOptional));
}

bool CheckReceipt(FieldCheck& check, const v1::DeliveryReceipt& receipt) {
  if (receipt.notification_id().empty() && receipt.provider_message_id().empty()) {
    return check.Fail(
        v1::DEAD_LETTER_REASON_FIELD_MISSING,
        check.NameOf("notification_id") + ": missing, and no provider_message_id instead");
  }
  const Presence provider = receipt.notification_id().empty() ? kRequired : kOptional;
  return check.Id("notification_id", receipt.notification_id(), kNotificationIdBytesMax,
                  kOptional) &&
         check.Id("provider", receipt.provider(), kProviderBytesMax, provider) &&
         check.Id("account", receipt.account(), kProviderAccountBytesMax, kOptional) &&
         check.Id("provider_message_id", receipt.provider_message_id(), kProviderMessageIdBytesMax,
                  kOptional) &&
         check.Enum("status", receipt.status(), v1::ReceiptStatus_IsValid, kRequired) &&
         check.Id("provider_status", receipt.provider_status(), kProviderStatusBytesMax,
                  kOptional) &&
         check.Id("error_code", receipt.error_code(), kProviderStatusBytesMax, kOptional) &&
         check.Time("at_us", receipt.at_us());
}

bool IsPhaseOfVersion1(int phase) {
  return phase >= v1::ATTEMPT_PHASE_UNSPECIFIED && phase <= v1::ATTEMPT_PHASE_RESULT;
}

// What version 1 did not know of an attempt.
bool CheckDispatch(FieldCheck& check, const v1::DeliveryAttempt& attempt) {
  constexpr std::int64_t kOffsetMax = std::numeric_limits<std::int64_t>::max();
  return check.Range("retry_after_us", attempt.retry_after_us(), 0,
                     attempt.phase() == v1::ATTEMPT_PHASE_RESULT ? kRetryAfterUsMax : 0) &&
         check.Range("done_journal_offset", attempt.done_journal_offset(), 0, kOffsetMax) &&
         check.Range("done_commands_offset", attempt.done_commands_offset(), 0, kOffsetMax) &&
         check.Range("done_attempts_offset", attempt.done_attempts_offset(), 0, kOffsetMax);
}

// What version 2 did not know of an attempt.
bool CheckContent(FieldCheck& check, const v1::DeliveryAttempt& attempt) {
  if (!attempt.has_content()) {
    return true;
  }
  if (!check.That("content", attempt.phase() == v1::ATTEMPT_PHASE_RESULT,
                  "given without a result")) {
    return false;
  }
  check.Enter("content");
  const v1::AttemptContent& content = attempt.content();
  return check.PersonalText("to", content.to(), kPushTokenBytesMax, kRequired) &&
         check.PersonalText("body", content.body(), kMessageBodyBytesMax, kRequired) &&
         check.EntityId("sender_id", content.sender_id(), kOptional) &&
         check.Id("from_number", content.from_number(), kPhoneTextBytesMax, kOptional);
}

bool CheckAttempt(FieldCheck& check, const v1::DeliveryAttempt& attempt,
                  std::uint32_t engine_version) {
  const bool first_version = engine_version < 2;
  const bool has_result = attempt.phase() == v1::ATTEMPT_PHASE_RESULT;
  return check.Id("notification_id", attempt.notification_id(), kNotificationIdBytesMax,
                  kRequired) &&
         check.Range("attempt", attempt.attempt(), 1,
                     first_version ? kAttemptMaxV1 : kAttemptMax) &&
         check.Enum("phase", attempt.phase(),
                    first_version ? IsPhaseOfVersion1 : v1::AttemptPhase_IsValid, kRequired) &&
         check.Enum("result", attempt.result(), v1::AttemptClass_IsValid,
                    has_result ? kRequired : kOptional) &&
         check.That("result", has_result || attempt.result() == v1::ATTEMPT_CLASS_UNSPECIFIED,
                    attempt.phase() == v1::ATTEMPT_PHASE_STARTED
                        ? "given for an attempt that has only started"
                        : "given for an attempt that was not made") &&
         check.Id("provider", attempt.provider(), kProviderBytesMax, kOptional) &&
         check.Id("account", attempt.account(), kProviderAccountBytesMax, kOptional) &&
         check.Id("provider_message_id", attempt.provider_message_id(), kProviderMessageIdBytesMax,
                  kOptional) &&
         check.Id("error_code", attempt.error_code(), kProviderStatusBytesMax, kOptional) &&
         check.Time("at_us", attempt.at_us()) && (first_version || CheckDispatch(check, attempt)) &&
         (engine_version < 3 || CheckContent(check, attempt));
}

bool CheckTenantRecord(FieldCheck& check, const v1::Tenant& tenant) {
  return check.Enum("status", tenant.status(), v1::TenantStatus_IsValid, kRequired) &&
         check.EntityId("plan", tenant.plan(), kOptional) &&
         check.Text("stop_reply", tenant.stop_reply(), kReplyBytesMax, kOptional) &&
         check.Text("help_reply", tenant.help_reply(), kReplyBytesMax, kOptional) &&
         (tenant.unknown_wait_us() == 0 || check.Range("unknown_wait_us", tenant.unknown_wait_us(),
                                                       kUnknownWaitUsMin, kUnknownWaitUsMax)) &&
         check.Range("shards", tenant.shards(), 0, kShardsMax);
}

bool CheckSite(FieldCheck& check, const v1::Site& site) {
  return check.Form("id", site.id(), kSiteIdBytesMax, kRequired, IsSiteId,
                    "only letters, digits and ._- are allowed") &&
         check.Enum("status", site.status(), v1::SiteStatus_IsValid, kRequired);
}

bool CheckSender(FieldCheck& check, const v1::Sender& sender) {
  return check.EntityId("id", sender.id(), kRequired) &&
         check.Id("provider", sender.provider(), kProviderBytesMax, kRequired) &&
         check.Id("account", sender.account(), kProviderAccountBytesMax, kOptional) &&
         check.Id("number", sender.number(), kPhoneTextBytesMax, kOptional) &&
         check.OneChannel("channel", sender.channel(), kOptional);
}

bool CheckRecipients(FieldCheck& check, const v1::Trigger& trigger) {
  const auto& recipients = trigger.recipients();
  switch (recipients.from_case()) {
    case v1::TriggerRecipients::kField:
      return check.Id("recipients.field", recipients.field(), kFieldPathBytesMax, kRequired);
    case v1::TriggerRecipients::kList: {
      const auto& addresses = recipients.list().addresses();
      if (addresses.empty()) {
        return check.Missing("recipients.list");
      }
      if (addresses.size() > kRecipientsMax) {
        return check.Fail(v1::DEAD_LETTER_REASON_FIELD_TOO_LONG,
                          check.NameOf("recipients.list") + ": more than " +
                              std::to_string(kRecipientsMax) + " addresses");
      }
      const std::size_t bytes_max = AddressBytesMax(AddressKindOf(trigger.channel()));
      for (const auto& address : addresses) {
        if (!check.PersonalText("recipients.list", address, bytes_max, kRequired)) {
          return false;
        }
      }
      return true;
    }
    case v1::TriggerRecipients::FROM_NOT_SET:
      break;
  }
  return trigger.deleted() || check.Missing("recipients");
}

bool CheckTrigger(FieldCheck& check, const v1::Trigger& trigger) {
  // A deletion needs to say no more than which trigger.
  const Presence presence = trigger.deleted() ? kOptional : kRequired;
  return check.EntityId("id", trigger.id(), kRequired) &&
         check.Id("name", trigger.name(), kNameBytesMax, kOptional) &&
         check.Form("event_type", trigger.event_type(), kEventTypeBytesMax, presence, IsEventType,
                    "only letters, digits and ._:/- are allowed") &&
         check.Text("when", trigger.when(), kConditionBytesMax, kOptional) &&
         check.OneChannel("channel", trigger.channel(), presence) &&
         CheckRecipients(check, trigger) && check.EntityId("sender", trigger.sender(), kOptional) &&
         check.Text("template_body", trigger.template_body(), kTemplateBytesMax, presence) &&
         check.Enum("message_class", trigger.message_class(), v1::MessageClass_IsValid, presence) &&
         check.Range("cooldown_us", trigger.cooldown_us(), 0, kCooldownUsMax) &&
         check.Range("daily_cap", trigger.daily_cap(), 0, kDailyCapMax) &&
         check.Range("max_age_us", trigger.max_age_us(), 0, kMaxAgeUsMax);
}

bool CheckSkip(FieldCheck& check, const v1::AccountChange& change) {
  const auto& record = change.skip_requested().record();
  const bool is_input = record.topic() >= 1 && record.topic() <= kTopicCount &&
                        SpecOf(static_cast<Topic>(record.topic())).role == TopicRole::kInput;
  return check.That("record.topic", is_input, "must be the number of an input topic") &&
         check.That("record.offset", record.offset() >= 0, "must not be negative") &&
         check.That("record", !change.reason().empty(), "a skip needs account_change.reason");
}

bool CheckMarker(FieldCheck& check, const v1::LogMarker& marker) {
  constexpr std::size_t kLogIdBytes = 16;
  return check.Size("log_id", marker.log_id(), kLogIdBytes, kRequired) &&
         check.Size("token_key_mac", marker.token_key_mac(), kSha256Bytes, kRequired) &&
         check.Range("format", marker.format(), 1, 1) &&
         check.Range("partitions", marker.partitions(), 1, kPartitionsMax);
}

// A retry is no account change: it lies on the record that is tried again.
bool CheckDeadLetterAction(FieldCheck& check, const v1::AccountChange& change) {
  const v1::DeadLetterAction& action = change.dead_letter_action();
  const bool is_input =
      action.record().topic() >= 1 && action.record().topic() <= kTopicCount &&
      SpecOf(static_cast<Topic>(action.record().topic())).role == TopicRole::kInput;
  return check.Size("id", action.id(), kDeadLetterIdBytes, kRequired) &&
         check.That("record.topic", is_input, "must be the number of an input topic") &&
         check.That("record.offset", action.record().offset() >= 0, "must not be negative") &&
         check.Enum("kind", action.kind(), v1::DeadLetterActionKind_IsValid, kRequired) &&
         check.That("kind",
                    action.kind() == v1::DEAD_LETTER_ACTION_KIND_DROP ||
                        action.kind() == v1::DEAD_LETTER_ACTION_KIND_PURGE,
                    "expected DROP or PURGE; a retry is the record itself, appended again") &&
         check.That("actor", action.actor().empty() && action.reason().empty(),
                    "belongs to the envelope; reason to account_change") &&
         check.That("kind", !change.reason().empty(), "an action needs account_change.reason");
}

bool CheckAccountChange(FieldCheck& check, const v1::AccountChange& change,
                        std::uint32_t engine_version) {
  check.Enter("account_change");
  if (!check.Text("reason", change.reason(), kReasonBytesMax, kOptional)) {
    return false;
  }
  switch (change.change_case()) {
    case Change::kTenant:
      check.Enter("tenant");
      return CheckTenantRecord(check, change.tenant());
    case Change::kSite:
      check.Enter("site");
      return CheckSite(check, change.site());
    case Change::kPlan:
      check.Enter("plan");
      return check.EntityId("id", change.plan().id(), kRequired) &&
             check.Range("sends_per_month_max", change.plan().sends_per_month_max(), 0,
                         kSendsPerMonthMax);
    case Change::kSender:
      check.Enter("sender");
      return CheckSender(check, change.sender());
    case Change::kTrigger:
      check.Enter("trigger");
      return CheckTrigger(check, change.trigger());
    case Change::kEngineActivate:
      check.Enter("engine_activate");
      return check.That("engine_version", change.engine_activate().engine_version() > 0,
                        "must be at least 1");
    case Change::kSkipRequested:
      check.Enter("skip_requested");
      return CheckSkip(check, change);
    case Change::kLogMarker:
      check.Enter("log_marker");
      return CheckMarker(check, change.log_marker());
    case Change::kDeadLetterAction:
      if (engine_version < 4) {
        break;
      }
      check.Enter("dead_letter_action");
      return CheckDeadLetterAction(check, change);
    case Change::CHANGE_NOT_SET:
      break;
  }
  return check.Missing("change");
}

// Whose key is in everybody's hands, or who writes to Kafka, names no person and no text.
bool MayNotifyDirectly(v1::Trust trust) {
  return trust == v1::TRUST_SECRET || trust == v1::TRUST_SYSTEM;
}

// Channel, class and trigger are those of the notification.
bool CheckRetry(FieldCheck& check, const v1::DirectNotification& direct) {
  const v1::RetryRequested& retry = direct.retry();
  return check.That("retry",
                    direct.trigger_id().empty() && direct.sender_id().empty() &&
                        direct.template_body().empty() &&
                        direct.channel() == v1::CHANNEL_UNSPECIFIED &&
                        direct.message_class() == v1::MESSAGE_CLASS_UNSPECIFIED,
                    "only `to` may be given beside it") &&
         check.Id("retry.notification_id", retry.notification_id(), kNotificationIdBytesMax,
                  kRequired) &&
         check.PersonalText("retry.body", retry.body(), kMessageBodyBytesMax, kRequired) &&
         check.EntityId("retry.sender_id", retry.sender_id(), kOptional) &&
         check.Text("retry.reason", retry.reason(), kReasonBytesMax, kOptional);
}

bool CheckDirect(FieldCheck& check, const v1::Envelope& envelope, std::uint32_t engine_version) {
  const v1::DirectNotification& direct = envelope.site_event().direct();
  check.Enter("direct");
  if (!check.That("to", MayNotifyDirectly(envelope.trust()),
                  "only a secret key may name a person") ||
      !check.PersonalText("to", direct.to(), kPushTokenBytesMax, kRequired) ||
      !check.EntityId("trigger_id", direct.trigger_id(), kOptional)) {
    return false;
  }
  if (engine_version >= 4 && direct.has_retry()) {
    return CheckRetry(check, direct);
  }
  if (!direct.trigger_id().empty()) {
    constexpr std::string_view kOneOfTwo = "given beside a trigger_id; expected one of the two";
    return check.That("channel", direct.channel() == v1::CHANNEL_UNSPECIFIED, kOneOfTwo) &&
           check.That("message_class", direct.message_class() == v1::MESSAGE_CLASS_UNSPECIFIED,
                      kOneOfTwo) &&
           check.That("sender_id", direct.sender_id().empty(), kOneOfTwo) &&
           check.That("template_body", direct.template_body().empty(), kOneOfTwo);
  }
  return check.OneChannel("channel", direct.channel(), kRequired) &&
         check.Enum("message_class", direct.message_class(), v1::MessageClass_IsValid, kRequired) &&
         check.EntityId("sender_id", direct.sender_id(), kOptional) &&
         check.Text("template_body", direct.template_body(), kTemplateBytesMax, kRequired);
}

bool CheckBody(FieldCheck& check, const v1::Envelope& envelope, std::uint32_t engine_version) {
  switch (envelope.payload_case()) {
    case Payload::kSiteEvent:
      check.Enter("site_event");
      return check.PersonalBytes("data", envelope.site_event().data(), kEventDataBytesMax) &&
             (engine_version < 3 || !envelope.site_event().has_direct() ||
              CheckDirect(check, envelope, engine_version));
    case Payload::kConsentChange:
      check.Enter("consent_change");
      return CheckConsent(check, envelope.consent_change());
    case Payload::kOptOutChange:
      check.Enter("opt_out_change");
      return CheckOptOut(check, envelope.opt_out_change());
    case Payload::kInboundMessage:
      check.Enter("inbound_message");
      return CheckInbound(check, envelope.inbound_message(), engine_version);
    case Payload::kDeliveryReceipt:
      check.Enter("delivery_receipt");
      return CheckReceipt(check, envelope.delivery_receipt());
    case Payload::kDeliveryAttempt:
      check.Enter("delivery_attempt");
      return CheckAttempt(check, envelope.delivery_attempt(), engine_version);
    case Payload::kAccountChange:
      return CheckAccountChange(check, envelope.account_change(), engine_version);
    case Payload::PAYLOAD_NOT_SET:
      break;
  }
  return check.Missing("payload");
}

}  // namespace

std::optional<DecodeFault> CheckKey(Topic topic, std::string_view key,
                                    std::uint32_t engine_version) {
  ALERTSTREAM_CHECK(SpecOf(topic).role == TopicRole::kInput);
  const bool nobodys = topic == Topic::kInboundMessages ||
                       (topic == Topic::kDeliveryReceipts && engine_version >= 2);
  if (IsTenantId(key) || key == kLogKey || (key == kUnroutedKey && nobodys)) [[likely]] {
    return std::nullopt;
  }
  return DecodeFault{v1::DEAD_LETTER_STAGE_ROUTING, v1::DEAD_LETTER_REASON_INVALID_KEY,
                     "the record's key is no tenant id ([a-z0-9_-]{1,48}, first a letter or a "
                     "digit) and no reserved key of this topic"};
}

std::optional<DecodeFault> CheckEnvelope(Topic topic, std::string_view key,
                                         const v1::Envelope& envelope,
                                         std::uint32_t engine_version) {
  if (auto fault = CheckKey(topic, key, engine_version)) [[unlikely]] {
    return fault;
  }
  FieldCheck check;
  // The version comes first: in a later one every other field may mean something else.
  if (CheckSchemaVersion(check, envelope.schema_version()) && CheckTenant(check, key, envelope) &&
      CheckPayload(check, topic, key, envelope, engine_version) && CheckHead(check, envelope) &&
      CheckBody(check, envelope, engine_version)) [[likely]] {
    return std::nullopt;
  }
  return std::move(check).TakeFault();
}

}  // namespace alertstream::schemas

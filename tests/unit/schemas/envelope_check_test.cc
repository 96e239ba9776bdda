#include "schemas/envelope_check.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <gtest/gtest.h>

#include "schemas/limits.h"
#include "tests/unit/schemas/sample_inputs.h"

namespace alertstream::schemas {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

SampleInput Sample(std::string_view name) {
  for (auto& sample : SampleInputs()) {
    if (sample.name == name) {
      return sample;
    }
  }
  ADD_FAILURE() << "no sample " << name;
  return SampleEvent();
}

std::optional<DecodeFault> Check(const SampleInput& sample) {
  return CheckEnvelope(sample.topic, sample.key, sample.envelope);
}

// "FIELD_MISSING type: missing", or "" for no fault.
std::string Show(const std::optional<DecodeFault>& fault) {
  if (!fault) {
    return "";
  }
  constexpr std::size_t kPrefix = std::string_view("DEAD_LETTER_REASON_").size();
  return v1::DeadLetterReason_Name(fault->reason).substr(kPrefix) + " " + fault->detail;
}

v1::DeadLetterAction& ActionIn(v1::Envelope& envelope) {
  return *envelope.mutable_account_change()->mutable_dead_letter_action();
}

TEST(EnvelopeCheckTest, SamplesAreAccepted) {
  for (const auto& sample : SampleInputs()) {
    EXPECT_EQ(Show(Check(sample)), "") << sample.name;
  }
}

struct HeadCase {
  std::string_view name;
  std::function<void(v1::Envelope&)> change;
  std::string_view fault;  // "" if it is accepted.
};

TEST(EnvelopeCheckTest, HeadIsChecked) {
  using E = v1::Envelope;
  const std::vector<HeadCase> cases = {
      {"no id", [](E& e) { e.clear_id(); }, ""},
      {"longest id", [](E& e) { e.set_id(std::string(256, 'x')); }, ""},
      {"long id", [](E& e) { e.set_id(std::string(257, 'x')); },
       "FIELD_TOO_LONG id: longer than 256 bytes"},
      {"line feed in id", [](E& e) { e.set_id("a\nb"); },
       "FIELD_INVALID id: no control characters"},
      {"version 0", [](E& e) { e.clear_schema_version(); }, "FIELD_MISSING schema_version"},
      {"version 2", [](E& e) { e.set_schema_version(2); },
       "FUTURE_SCHEMA_VERSION schema_version: later"},
      {"tenant", [](E& e) { e.set_tenant("other"); }, "TENANT_MISMATCH tenant"},
      {"no tenant", [](E& e) { e.clear_tenant(); }, "TENANT_MISMATCH tenant"},
      {"routing key", [](E& e) { e.set_routing_key("other"); }, "TENANT_MISMATCH routing_key"},
      {"no payload", [](E& e) { e.clear_payload(); }, "FIELD_MISSING payload"},
      {"no type", [](E& e) { e.clear_type(); }, "FIELD_MISSING type"},
      {"type", [](E& e) { e.set_type("payment failed"); }, "FIELD_INVALID type: only letters"},
      {"long type", [](E& e) { e.set_type(std::string(129, 'x')); }, "FIELD_TOO_LONG type"},
      {"no time", [](E& e) { e.clear_event_time_us(); }, ""},
      {"first time", [](E& e) { e.set_event_time_us(kTimeUsMin); }, ""},
      {"time before", [](E& e) { e.set_event_time_us(kTimeUsMin - 1); },
       "FIELD_INVALID event_time_us: expected microseconds"},
      {"last time", [](E& e) { e.set_event_time_us(kTimeUsMax - 1); }, ""},
      {"time after", [](E& e) { e.set_event_time_us(kTimeUsMax); }, "FIELD_INVALID event_time_us"},
      {"time in ms", [](E& e) { e.set_event_time_us(1'767'225'600'000); },
       "FIELD_INVALID event_time_us"},
      {"ingest time", [](E& e) { e.set_ingest_time_us(-1); }, "FIELD_INVALID ingest_time_us"},
      {"no source", [](E& e) { e.clear_source(); }, ""},
      {"long source", [](E& e) { e.set_source(std::string(513, 'x')); }, "FIELD_TOO_LONG source"},
      {"no trust", [](E& e) { e.clear_trust(); }, "FIELD_MISSING trust"},
      {"trust", [](E& e) { e.set_trust(static_cast<v1::Trust>(6)); },
       "UNKNOWN_ENUM trust: a value that this program does not know"},
      {"no sha", [](E& e) { e.clear_body_sha256(); }, ""},
      {"short sha", [](E& e) { e.set_body_sha256("x"); },
       "FIELD_INVALID body_sha256: expected exactly 32 bytes"},
      {"no site", [](E& e) { e.clear_site(); }, ""},
      {"site", [](E& e) { e.set_site("a/b"); }, "FIELD_INVALID site"},
      {"long site", [](E& e) { e.set_site(std::string(65, 'x')); }, "FIELD_TOO_LONG site"},
      {"long traceparent", [](E& e) { e.mutable_trace()->set_traceparent(std::string(56, '0')); },
       "FIELD_TOO_LONG trace.traceparent: longer than 55 bytes"},
      {"long key", [](E& e) { e.mutable_idempotency()->set_key(std::string(257, 'x')); },
       "FIELD_TOO_LONG idempotency.key"},
      {"no data", [](E& e) { e.mutable_site_event()->clear_data(); }, ""},
      {"largest data",
       [](E& e) {
         e.mutable_site_event()->mutable_data()->set_plain(std::string(kEventDataBytesMax, '1'));
       },
       ""},
      {"large data",
       [](E& e) {
         e.mutable_site_event()->mutable_data()->set_plain(
             std::string(kEventDataBytesMax + 1, '1'));
       },
       "FIELD_TOO_LONG site_event.data: longer than 1048576 bytes"},
      {"sealed data",
       [](E& e) { e.mutable_site_event()->mutable_data()->mutable_sealed()->set_key_id("k"); },
       "FIELD_INVALID site_event.data: sealed personal data needs a key that this version"},
  };
  for (const auto& [name, change, expected] : cases) {
    auto sample = SampleEvent();
    change(sample.envelope);
    const auto fault = Check(sample);
    EXPECT_EQ(Show(fault).substr(0, expected.size()), expected) << name;
    EXPECT_EQ(fault.has_value(), !expected.empty()) << name << ": " << Show(fault);
    if (fault) {
      EXPECT_EQ(fault->stage, v1::DEAD_LETTER_STAGE_SCHEMA) << name;
    }
  }
}

TEST(EnvelopeCheckTest, FirstFaultIsThatOfTheVersionThenTheTenantThenThePayload) {
  auto sample = SampleEvent();
  sample.envelope.clear_type();
  EXPECT_EQ(Check(sample)->reason, v1::DEAD_LETTER_REASON_FIELD_MISSING);
  sample.envelope.mutable_opt_out_change();
  EXPECT_EQ(Check(sample)->reason, v1::DEAD_LETTER_REASON_WRONG_PAYLOAD);
  sample.envelope.set_tenant("other");
  EXPECT_EQ(Check(sample)->reason, v1::DEAD_LETTER_REASON_TENANT_MISMATCH);
  sample.envelope.set_schema_version(2);
  EXPECT_EQ(Check(sample)->reason, v1::DEAD_LETTER_REASON_FUTURE_SCHEMA_VERSION);
  sample.key = "Acme";
  EXPECT_EQ(Check(sample)->reason, v1::DEAD_LETTER_REASON_INVALID_KEY);
}

// Every payload on every topic: only its own is accepted, but for the log marker.
TEST(EnvelopeCheckTest, PayloadsBelongOnTheirTopics) {
  for (const auto& original : SampleInputs()) {
    const bool is_marker = original.envelope.account_change().has_log_marker();
    for (const Topic topic : kInputTopics) {
      auto sample = original;
      sample.topic = topic;
      const auto fault = Check(sample);
      if (topic == original.topic || is_marker) {
        EXPECT_EQ(Show(fault), "") << sample.name << " on " << NameOf(topic);
      } else {
        ASSERT_TRUE(fault) << sample.name << " on " << NameOf(topic);
        const bool may_be_nobodys =
            topic == Topic::kInboundMessages || topic == Topic::kDeliveryReceipts;
        EXPECT_EQ(fault->reason, original.key == kUnroutedKey && !may_be_nobodys
                                     ? v1::DEAD_LETTER_REASON_INVALID_KEY
                                     : v1::DEAD_LETTER_REASON_WRONG_PAYLOAD);
      }
    }
  }
}

TEST(EnvelopeCheckTest, ReservedKeysCarryOnlyWhatIsTheirs) {
  struct Case {
    std::string_view sample;
    std::string_view key;
    std::string_view fault;
  };
  const std::vector<Case> cases = {
      {"tenant", "_log", "WRONG_PAYLOAD payload: the key _log carries log-wide changes only"},
      {"trigger", "_log", "WRONG_PAYLOAD"},
      {"site_event", "_log", "WRONG_PAYLOAD"},
      {"inbound_message", "_log", "WRONG_PAYLOAD"},
      {"engine_activate", "acme", "WRONG_PAYLOAD account_change: a log-wide change needs"},
      {"skip_requested", "acme", "WRONG_PAYLOAD"},
      {"log_marker", "acme", "WRONG_PAYLOAD"},
      {"log_marker_on_events", "acme", "WRONG_PAYLOAD"},
      {"inbound_message", "_unrouted", ""},
      {"inbound_unrouted", "acme", ""},
      {"delivery_receipt", "_unrouted", ""},
      {"delivery_attempt", "_unrouted", "INVALID_KEY"},
      {"site_event", "_unrouted", "INVALID_KEY the record's key is no tenant id"},
      {"tenant", "_unrouted", "INVALID_KEY"},
      {"site_event", "", "INVALID_KEY"},
      {"site_event", "_other", "INVALID_KEY"},
      {"site_event", "Acme", "INVALID_KEY"},
      {"site_event", "acme#1", "INVALID_KEY"},
  };
  for (const auto& [name, key, expected] : cases) {
    auto sample = Sample(name);
    sample.key = key;
    sample.envelope.set_tenant(sample.key);
    sample.envelope.set_routing_key(sample.key);
    const auto fault = Check(sample);
    EXPECT_EQ(Show(fault).substr(0, expected.size()), expected) << name << " with " << key;
    EXPECT_EQ(fault.has_value(), !expected.empty()) << name << " with " << key;
    if (fault && fault->reason == v1::DEAD_LETTER_REASON_INVALID_KEY) {
      EXPECT_EQ(fault->stage, v1::DEAD_LETTER_STAGE_ROUTING);
    }
  }
}

struct FieldCase {
  std::string_view sample;
  std::string_view field;  // Dotted; of the change itself within account_change.
  std::function<void(v1::Envelope&)> change;
  std::string_view fault;  // "" if it is accepted.
};

v1::Trigger& TriggerIn(v1::Envelope& e) { return *e.mutable_account_change()->mutable_trigger(); }
v1::Tenant& TenantIn(v1::Envelope& e) { return *e.mutable_account_change()->mutable_tenant(); }

std::vector<FieldCase> PersonCases() {
  using E = v1::Envelope;
  return {
      {"consent_change", "token beside address",
       [](E& e) { e.mutable_consent_change()->set_recipient_token(std::string(16, 'x')); },
       "FIELD_INVALID consent_change.recipient_token: given beside an address"},
      {"consent_change", "no address", [](E& e) { e.mutable_consent_change()->clear_address(); },
       "FIELD_MISSING consent_change.address: missing, and no recipient_token"},
      {"consent_change", "empty address",
       [](E& e) { e.mutable_consent_change()->mutable_address()->set_plain(""); },
       "FIELD_MISSING consent_change.address"},
      {"consent_change", "no kind", [](E& e) { e.mutable_consent_change()->clear_address_kind(); },
       "FIELD_MISSING consent_change.address_kind"},
      {"consent_change", "NUL in address",
       [](E& e) { e.mutable_consent_change()->mutable_address()->set_plain(std::string(2, '\0')); },
       "FIELD_INVALID consent_change.address: U+0000"},
      {"consent_change", "address no UTF-8",
       [](E& e) { e.mutable_consent_change()->mutable_address()->set_plain("+2\xff"); },
       "FIELD_INVALID consent_change.address: expected UTF-8"},
      {"consent_change", "long phone",
       [](E& e) { e.mutable_consent_change()->mutable_address()->set_plain(std::string(65, '1')); },
       "FIELD_TOO_LONG consent_change.address: longer than 64 bytes"},
      {"consent_change", "longest e-mail address",
       [](E& e) {
         e.mutable_consent_change()->set_address_kind(v1::ADDRESS_KIND_EMAIL);
         e.mutable_consent_change()->mutable_address()->set_plain(std::string(254, 'x'));
       },
       ""},
      {"consent_change", "no channel", [](E& e) { e.mutable_consent_change()->clear_channel(); },
       "FIELD_MISSING consent_change.channel"},
      {"consent_change", "no class",
       [](E& e) { e.mutable_consent_change()->clear_message_class(); },
       "FIELD_MISSING consent_change.message_class"},
      {"consent_change", "no status", [](E& e) { e.mutable_consent_change()->clear_status(); },
       "FIELD_MISSING consent_change.status"},
      {"consent_change", "no evidence", [](E& e) { e.mutable_consent_change()->clear_evidence(); },
       ""},
      {"consent_change", "sealed detail",
       [](E& e) {
         e.mutable_consent_change()->mutable_evidence()->mutable_detail()->mutable_sealed();
       },
       "FIELD_INVALID consent_change.evidence.detail: sealed"},
      {"consent_change_by_token", "short token",
       [](E& e) { e.mutable_consent_change()->set_recipient_token("x"); },
       "FIELD_INVALID consent_change.recipient_token: expected exactly 16 bytes"},
      {"opt_out_change", "no by", [](E& e) { e.mutable_opt_out_change()->clear_by(); },
       "FIELD_MISSING opt_out_change.by"},
      {"opt_out_change", "no status", [](E& e) { e.mutable_opt_out_change()->clear_status(); },
       "FIELD_MISSING opt_out_change.status"},
      {"opt_out_change", "reason on two lines",
       [](E& e) { e.mutable_opt_out_change()->set_reason("a\nb"); }, ""},
      {"opt_out_change", "no type", [](E& e) { e.clear_type(); }, ""},
      {"inbound_message", "no from", [](E& e) { e.mutable_inbound_message()->clear_from(); },
       "FIELD_MISSING inbound_message.from"},
      {"inbound_message", "no kind", [](E& e) { e.mutable_inbound_message()->clear_from_kind(); },
       "FIELD_MISSING inbound_message.from_kind"},
      {"inbound_message", "all channels",
       [](E& e) { e.mutable_inbound_message()->set_channel(v1::CHANNEL_ALL); },
       "FIELD_INVALID inbound_message.channel: expected one channel, not all"},
      {"inbound_message", "empty body", [](E& e) { e.mutable_inbound_message()->clear_body(); },
       ""},
      {"inbound_message", "long body",
       [](E& e) {
         e.mutable_inbound_message()->mutable_body()->set_plain(std::string(16'385, 'x'));
       },
       "FIELD_TOO_LONG inbound_message.body"},
      {"delivery_receipt", "no ids",
       [](E& e) {
         e.mutable_delivery_receipt()->clear_notification_id();
         e.mutable_delivery_receipt()->clear_provider_message_id();
       },
       "FIELD_MISSING delivery_receipt.notification_id: missing, and no provider_message_id"},
      {"delivery_receipt", "provider's id without provider",
       [](E& e) {
         e.mutable_delivery_receipt()->clear_notification_id();
         e.mutable_delivery_receipt()->clear_provider();
       },
       "FIELD_MISSING delivery_receipt.provider"},
      {"delivery_receipt", "no status", [](E& e) { e.mutable_delivery_receipt()->clear_status(); },
       "FIELD_MISSING delivery_receipt.status"},
      {"delivery_attempt", "no notification",
       [](E& e) { e.mutable_delivery_attempt()->clear_notification_id(); },
       "FIELD_MISSING delivery_attempt.notification_id"},
      {"delivery_attempt", "attempt 0", [](E& e) { e.mutable_delivery_attempt()->clear_attempt(); },
       "FIELD_INVALID delivery_attempt.attempt: expected 1 to 100000"},
      {"delivery_attempt", "no phase", [](E& e) { e.mutable_delivery_attempt()->clear_phase(); },
       "FIELD_MISSING delivery_attempt.phase"},
      {"delivery_attempt", "no result", [](E& e) { e.mutable_delivery_attempt()->clear_result(); },
       "FIELD_MISSING delivery_attempt.result"},
      {"delivery_attempt", "started with a result",
       [](E& e) { e.mutable_delivery_attempt()->set_phase(v1::ATTEMPT_PHASE_STARTED); },
       "FIELD_INVALID delivery_attempt.result: given for an attempt that has only started"},
      {"delivery_attempt", "started",
       [](E& e) {
         e.mutable_delivery_attempt()->set_phase(v1::ATTEMPT_PHASE_STARTED);
         e.mutable_delivery_attempt()->clear_result();
         e.mutable_delivery_attempt()->clear_retry_after_us();
       },
       ""},
      {"delivery_attempt", "started, to be left alone",
       [](E& e) {
         e.mutable_delivery_attempt()->set_phase(v1::ATTEMPT_PHASE_STARTED);
         e.mutable_delivery_attempt()->clear_result();
       },
       "FIELD_INVALID delivery_attempt.retry_after_us: expected 0 to 0"},
      {"delivery_attempt", "left alone for two days",
       [](E& e) { e.mutable_delivery_attempt()->set_retry_after_us(2 * kDayUs); },
       "FIELD_INVALID delivery_attempt.retry_after_us: expected 0 to 86400000000"},
      {"delivery_attempt", "offset",
       [](E& e) { e.mutable_delivery_attempt()->set_done_commands_offset(-1); },
       "FIELD_INVALID delivery_attempt.done_commands_offset"},
      {"delivery_attempt_cancelled", "expired",
       [](E& e) { e.mutable_delivery_attempt()->set_phase(v1::ATTEMPT_PHASE_EXPIRED); }, ""},
      {"delivery_attempt_cancelled", "with a result",
       [](E& e) { e.mutable_delivery_attempt()->set_result(v1::ATTEMPT_CLASS_RETRY); },
       "FIELD_INVALID delivery_attempt.result: given for an attempt that was not made"},
  };
}

std::vector<FieldCase> AccountCases() {
  using E = v1::Envelope;
  return {
      {"tenant", "no change", [](E& e) { e.mutable_account_change()->clear_change(); },
       "FIELD_MISSING account_change.change"},
      {"tenant", "no status", [](E& e) { TenantIn(e).clear_status(); },
       "FIELD_MISSING account_change.tenant.status"},
      {"tenant", "plan", [](E& e) { TenantIn(e).set_plan("Starter"); },
       "FIELD_INVALID account_change.tenant.plan: only lower-case"},
      {"tenant", "no wait", [](E& e) { TenantIn(e).clear_unknown_wait_us(); }, ""},
      {"tenant", "shortest wait", [](E& e) { TenantIn(e).set_unknown_wait_us(1'000'000); }, ""},
      {"tenant", "short wait", [](E& e) { TenantIn(e).set_unknown_wait_us(999'999); },
       "FIELD_INVALID account_change.tenant.unknown_wait_us: expected 1000000 to 3600000000"},
      {"tenant", "long wait", [](E& e) { TenantIn(e).set_unknown_wait_us(3'600'000'001); },
       "FIELD_INVALID account_change.tenant.unknown_wait_us"},
      {"tenant", "two shards", [](E& e) { TenantIn(e).set_shards(2); },
       "FIELD_INVALID account_change.tenant.shards: expected 0 to 1"},
      {"site", "no id", [](E& e) { e.mutable_account_change()->mutable_site()->clear_id(); },
       "FIELD_MISSING account_change.site.id"},
      {"site", "no status",
       [](E& e) { e.mutable_account_change()->mutable_site()->clear_status(); },
       "FIELD_MISSING account_change.site.status"},
      {"plan", "no id", [](E& e) { e.mutable_account_change()->mutable_plan()->clear_id(); },
       "FIELD_MISSING account_change.plan.id"},
      {"plan", "none allowed",
       [](E& e) { e.mutable_account_change()->mutable_plan()->clear_sends_per_month_max(); }, ""},
      {"plan", "negative",
       [](E& e) { e.mutable_account_change()->mutable_plan()->set_sends_per_month_max(-1); },
       "FIELD_INVALID account_change.plan.sends_per_month_max"},
      {"sender", "no provider",
       [](E& e) { e.mutable_account_change()->mutable_sender()->clear_provider(); },
       "FIELD_MISSING account_change.sender.provider"},
      {"sender", "any channel",
       [](E& e) { e.mutable_account_change()->mutable_sender()->clear_channel(); }, ""},
      {"trigger", "id", [](E& e) { TriggerIn(e).set_id("a.b"); },
       "FIELD_INVALID account_change.trigger.id"},
      {"trigger", "no type", [](E& e) { TriggerIn(e).clear_event_type(); },
       "FIELD_MISSING account_change.trigger.event_type"},
      {"trigger", "longest condition", [](E& e) { TriggerIn(e).set_when(std::string(4096, 'x')); },
       ""},
      {"trigger", "long condition", [](E& e) { TriggerIn(e).set_when(std::string(4097, 'x')); },
       "FIELD_TOO_LONG account_change.trigger.when: longer than 4096 bytes"},
      {"trigger", "always", [](E& e) { TriggerIn(e).clear_when(); }, ""},
      {"trigger", "no recipients", [](E& e) { TriggerIn(e).clear_recipients(); },
       "FIELD_MISSING account_change.trigger.recipients"},
      {"trigger", "empty field", [](E& e) { TriggerIn(e).mutable_recipients()->set_field(""); },
       "FIELD_MISSING account_change.trigger.recipients.field"},
      {"trigger", "all channels", [](E& e) { TriggerIn(e).set_channel(v1::CHANNEL_ALL); },
       "FIELD_INVALID account_change.trigger.channel"},
      {"trigger", "no channel", [](E& e) { TriggerIn(e).clear_channel(); },
       "FIELD_MISSING account_change.trigger.channel"},
      {"trigger", "no template", [](E& e) { TriggerIn(e).clear_template_body(); },
       "FIELD_MISSING account_change.trigger.template_body"},
      {"trigger", "long template",
       [](E& e) { TriggerIn(e).set_template_body(std::string(8193, 'x')); },
       "FIELD_TOO_LONG account_change.trigger.template_body"},
      {"trigger", "no class", [](E& e) { TriggerIn(e).clear_message_class(); },
       "FIELD_MISSING account_change.trigger.message_class"},
      {"trigger", "cooldown", [](E& e) { TriggerIn(e).set_cooldown_us(-1); },
       "FIELD_INVALID account_change.trigger.cooldown_us"},
      {"trigger", "cap", [](E& e) { TriggerIn(e).set_daily_cap(101); },
       "FIELD_INVALID account_change.trigger.daily_cap: expected 0 to 100"},
      {"trigger", "max_age", [](E& e) { TriggerIn(e).set_max_age_us(kMaxAgeUsMax + 1); },
       "FIELD_INVALID account_change.trigger.max_age_us"},
      {"trigger_list", "empty list",
       [](E& e) { TriggerIn(e).mutable_recipients()->mutable_list()->clear_addresses(); },
       "FIELD_MISSING account_change.trigger.recipients.list"},
      {"trigger_list", "longest list",
       [](E& e) {
         auto* list = TriggerIn(e).mutable_recipients()->mutable_list();
         while (list->addresses_size() < kRecipientsMax) {
           list->add_addresses()->set_plain("+254700000000");
         }
       },
       ""},
      {"trigger_list", "long list",
       [](E& e) {
         auto* list = TriggerIn(e).mutable_recipients()->mutable_list();
         while (list->addresses_size() <= kRecipientsMax) {
           list->add_addresses()->set_plain("+254700000000");
         }
       },
       "FIELD_TOO_LONG account_change.trigger.recipients.list: more than 1000 addresses"},
      {"trigger_list", "sealed address",
       [](E& e) {
         TriggerIn(e).mutable_recipients()->mutable_list()->add_addresses()->mutable_sealed();
       },
       "FIELD_INVALID account_change.trigger.recipients.list: sealed"},
      {"engine_activate", "version 0",
       [](E& e) { e.mutable_account_change()->mutable_engine_activate()->clear_engine_version(); },
       "FIELD_INVALID account_change.engine_activate.engine_version: must be at least 1"},
      {"skip_requested", "no reason", [](E& e) { e.mutable_account_change()->clear_reason(); },
       "FIELD_INVALID account_change.skip_requested.record: a skip needs"},
      {"skip_requested", "output topic",
       [](E& e) {
         e.mutable_account_change()->mutable_skip_requested()->mutable_record()->set_topic(8);
       },
       "FIELD_INVALID account_change.skip_requested.record.topic"},
      {"skip_requested", "no topic",
       [](E& e) {
         e.mutable_account_change()->mutable_skip_requested()->mutable_record()->set_topic(300);
       },
       "FIELD_INVALID account_change.skip_requested.record.topic"},
      {"skip_requested", "offset",
       [](E& e) {
         e.mutable_account_change()->mutable_skip_requested()->mutable_record()->set_offset(-1);
       },
       "FIELD_INVALID account_change.skip_requested.record.offset"},
      {"dead_letter_action", "no reason", [](E& e) { e.mutable_account_change()->clear_reason(); },
       "FIELD_INVALID account_change.dead_letter_action.kind: an action needs"},
      {"dead_letter_action", "short id", [](E& e) { ActionIn(e).set_id("x"); },
       "FIELD_INVALID account_change.dead_letter_action.id"},
      {"dead_letter_action", "retry",
       [](E& e) { ActionIn(e).set_kind(v1::DEAD_LETTER_ACTION_KIND_RETRY); },
       "FIELD_INVALID account_change.dead_letter_action.kind: expected DROP or PURGE"},
      {"dead_letter_action", "output topic",
       [](E& e) { ActionIn(e).mutable_record()->set_topic(8); },
       "FIELD_INVALID account_change.dead_letter_action.record.topic"},
      {"dead_letter_action", "actor", [](E& e) { ActionIn(e).set_actor("x"); },
       "FIELD_INVALID account_change.dead_letter_action.actor"},
      {"notification_retry", "trigger",
       [](E& e) { e.mutable_site_event()->mutable_direct()->set_trigger_id("t"); },
       "FIELD_INVALID site_event.direct.retry: only `to`"},
      {"notification_retry", "no body",
       [](E& e) { e.mutable_site_event()->mutable_direct()->mutable_retry()->clear_body(); },
       "FIELD_MISSING site_event.direct.retry.body"},
      {"notification_retry", "publishable", [](E& e) { e.set_trust(v1::TRUST_PUBLISHABLE); },
       "FIELD_INVALID site_event.direct.to"},
      {"log_marker", "no id",
       [](E& e) { e.mutable_account_change()->mutable_log_marker()->clear_log_id(); },
       "FIELD_MISSING account_change.log_marker.log_id"},
      {"log_marker", "later format",
       [](E& e) { e.mutable_account_change()->mutable_log_marker()->set_format(2); },
       "FIELD_INVALID account_change.log_marker.format"},
  };
}

TEST(EnvelopeCheckTest, Version3KnowsNoActionsOnDeadLetters) {
  for (const auto& [name, expected] :
       {std::pair("dead_letter_action", "FIELD_MISSING account_change.change: missing"),
        std::pair("dead_letter_action_log",
                  "WRONG_PAYLOAD payload: the key _log carries log-wide changes only"),
        std::pair("notification_retry", "FIELD_MISSING site_event.direct.channel: missing")}) {
    const auto sample = Sample(name);
    EXPECT_EQ(Show(CheckEnvelope(sample.topic, sample.key, sample.envelope, 3)), expected);
  }
}

// What was refused or passed under version 1 is history.
TEST(EnvelopeCheckTest, Version1IsCheckedAsItWas) {
  const std::vector<FieldCase> cases = {
      {"delivery_attempt_cancelled", "phase", [](v1::Envelope&) {},
       "UNKNOWN_ENUM delivery_attempt.phase"},
      {"delivery_attempt", "attempt",
       [](v1::Envelope& e) { e.mutable_delivery_attempt()->set_attempt(1001); },
       "FIELD_INVALID delivery_attempt.attempt: expected 1 to 1000"},
      {"delivery_attempt", "retry_after_us",
       [](v1::Envelope& e) { e.mutable_delivery_attempt()->set_retry_after_us(-1); }, ""},
      {"inbound_message", "account",
       [](v1::Envelope& e) { e.mutable_inbound_message()->set_account(std::string(1000, 'x')); },
       ""},
      {"receipt_unrouted", "key", [](v1::Envelope&) {}, "INVALID_KEY"},
      {"inbound_unrouted", "key", [](v1::Envelope&) {}, ""},
  };
  for (const auto& [name, field, change, expected] : cases) {
    auto sample = Sample(name);
    change(sample.envelope);
    const auto fault = CheckEnvelope(sample.topic, sample.key, sample.envelope, 1);
    EXPECT_EQ(Show(fault).substr(0, expected.size()), expected) << name << ": " << field;
    EXPECT_EQ(fault.has_value(), !expected.empty()) << name << ": " << field << ": " << Show(fault);
  }
}

TEST(EnvelopeCheckTest, FieldsOfPayloadsAreChecked) {
  auto cases = PersonCases();
  const auto more = AccountCases();
  cases.insert(cases.end(), more.begin(), more.end());
  for (const auto& [name, field, change, expected] : cases) {
    auto sample = Sample(name);
    change(sample.envelope);
    const auto fault = Check(sample);
    EXPECT_EQ(Show(fault).substr(0, expected.size()), expected) << name << ": " << field;
    EXPECT_EQ(fault.has_value(), !expected.empty()) << name << ": " << field << ": " << Show(fault);
  }
}

// Calls `visit` with every message in `message`, itself included, and every field that is set.
void Walk(Message* message, const std::function<void(Message*, const FieldDescriptor*)>& visit) {
  std::vector<const FieldDescriptor*> fields;
  message->GetReflection()->ListFields(*message, &fields);
  for (const auto* field : fields) {
    visit(message, field);
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      if (field->is_repeated()) {
        Walk(message->GetReflection()->MutableRepeatedMessage(message, field, 0), visit);
      } else {
        Walk(message->GetReflection()->MutableMessage(message, field), visit);
      }
    }
  }
}

bool IsPersonal(const Message& message) {
  return message.GetDescriptor() == v1::Personal::descriptor();
}

// The three tests below find a field that was added to a message and forgotten in the check: the
// samples set every field, and each of them is spoilt in turn.
TEST(EnvelopeCheckTest, EveryEnumRefusesValuesItDoesNotKnow) {
  constexpr int kUnknown = 99;
  int enums = 0;
  for (auto& sample : SampleInputs()) {
    Walk(&sample.envelope, [&](Message* message, const FieldDescriptor* field) {
      if (field->cpp_type() != FieldDescriptor::CPPTYPE_ENUM) {
        return;
      }
      const auto* reflection = message->GetReflection();
      const int before = reflection->GetEnumValue(*message, field);
      reflection->SetEnumValue(message, field, kUnknown);
      const auto fault = Check(sample);
      EXPECT_TRUE(fault && fault->reason == v1::DEAD_LETTER_REASON_UNKNOWN_ENUM)
          << sample.name << ": " << field->full_name() << ": " << Show(fault);
      reflection->SetEnumValue(message, field, before);
      ++enums;
    });
  }
  EXPECT_GT(enums, 40);
}

TEST(EnvelopeCheckTest, EveryTextAndEveryBytesFieldHasALimit) {
  const std::string longest(kEventBytesMax + 1, '1');
  for (auto& sample : SampleInputs()) {
    Walk(&sample.envelope, [&](Message* message, const FieldDescriptor* field) {
      if (field->cpp_type() != FieldDescriptor::CPPTYPE_STRING) {
        return;
      }
      const auto* reflection = message->GetReflection();
      const std::string before = reflection->GetString(*message, field);
      reflection->SetString(message, field, longest);
      EXPECT_TRUE(Check(sample)) << sample.name << ": " << field->full_name();
      reflection->SetString(message, field, before);
    });
  }
}

TEST(EnvelopeCheckTest, EveryTextRefusesNul) {
  const std::string nul("a\0b", 3);
  for (auto& sample : SampleInputs()) {
    Walk(&sample.envelope, [&](Message* message, const FieldDescriptor* field) {
      if (field->type() != FieldDescriptor::TYPE_STRING || IsPersonal(*message)) {
        return;
      }
      const auto* reflection = message->GetReflection();
      const std::string before = reflection->GetString(*message, field);
      reflection->SetString(message, field, nul);
      const auto fault = Check(sample);
      EXPECT_TRUE(fault && (fault->reason == v1::DEAD_LETTER_REASON_FIELD_INVALID ||
                            fault->reason == v1::DEAD_LETTER_REASON_TENANT_MISMATCH))
          << sample.name << ": " << field->full_name() << ": " << Show(fault);
      reflection->SetString(message, field, before);
    });
  }
}

// No value of a record can reach a dead letter's detail, a table or a log.
TEST(EnvelopeCheckTest, DetailsHoldNoValues) {
  constexpr std::string_view kSecret = "SECRET";
  for (auto& sample : SampleInputs()) {
    Walk(&sample.envelope, [&](Message* message, const FieldDescriptor* field) {
      if (field->cpp_type() != FieldDescriptor::CPPTYPE_STRING) {
        return;
      }
      const auto* reflection = message->GetReflection();
      const std::string before = reflection->GetString(*message, field);
      reflection->SetString(message, field, std::string(kSecret).append(200'000, '\1'));
      EXPECT_EQ(Show(Check(sample)).find(kSecret), std::string::npos) << field->full_name();
      reflection->SetString(message, field, before);
    });
  }
}

}  // namespace
}  // namespace alertstream::schemas

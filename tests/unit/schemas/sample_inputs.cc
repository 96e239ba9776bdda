#include "tests/unit/schemas/sample_inputs.h"

#include <string_view>
#include <utility>

#include <google/protobuf/text_format.h>

#include "processor/base/check.h"

namespace alertstream::schemas {
namespace {

constexpr std::string_view kHead = R"(
  id: "pay-000042" type: "payment.failed" schema_version: 1
  event_time_us: 1767225600000000 ingest_time_us: 1767225600123456
  trace {
    traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    tracestate: "vendor=1"
  }
  source: "/shop/checkout" trust: TRUST_SECRET
  body_sha256: "0123456789abcdef0123456789abcdef"
  idempotency { scope: "acme/shop/secret" key: "k-42" }
  site: "shop.example" actor: "key_7"
)";

struct Row {
  std::string_view name;
  Topic topic;
  std::string_view key;
  std::string_view payload;
};

constexpr std::string_view kEventPayload = R"(site_event { data { plain:
  '{"amount":1250.5,"currency":"KES","customer":{"name":"A. N. Other","phone":"+254700000000"},'
  '"status":"failed","reason":"insufficient_funds"}' } })";

const std::vector<Row>& Rows() {
  static const std::vector<Row> rows = {
      {"site_event", Topic::kSiteEvents, "acme", kEventPayload},
      {"consent_change", Topic::kConsentChanges, "acme", R"(consent_change {
         address { plain: "+254700000000" } address_kind: ADDRESS_KIND_PHONE channel: CHANNEL_SMS
         message_class: MESSAGE_CLASS_MARKETING status: CONSENT_STATUS_GRANTED source: "web_form"
         evidence { kind: "web_form" disclosure_version: "v3"
           disclosure_sha256: "0123456789abcdef0123456789abcdef" detail { plain: "the form" }
           written: true at_us: 1767225600000000 } })"},
      {"consent_change_by_token", Topic::kConsentChanges, "acme", R"(consent_change {
         recipient_token: "0123456789abcdef" channel: CHANNEL_ALL
         message_class: MESSAGE_CLASS_INFORMATIONAL status: CONSENT_STATUS_REVOKED })"},
      {"opt_out_change", Topic::kOptOuts, "acme", R"(opt_out_change {
         address { plain: "+254700000000" } address_kind: ADDRESS_KIND_PHONE channel: CHANNEL_ALL
         status: OPT_OUT_STATUS_ACTIVE by: OPT_OUT_BY_OPERATOR reason: "asked by letter" })"},
      {"inbound_message", Topic::kInboundMessages, "acme", R"(inbound_message {
         from { plain: "+254700000000" } from_kind: ADDRESS_KIND_PHONE to_number: "+254711111111"
         channel: CHANNEL_SMS body { plain: "STOP" } provider: "twilio"
         provider_message_id: "SM1" provider_replied: true account: "main" })"},
      {"inbound_unrouted", Topic::kInboundMessages, "_unrouted", R"(inbound_message {
         from { plain: "+254700000000" } from_kind: ADDRESS_KIND_PHONE channel: CHANNEL_SMS })"},
      {"delivery_receipt", Topic::kDeliveryReceipts, "acme", R"(delivery_receipt {
         notification_id: "ntf_00000000000000000000000000" provider: "twilio" account: "AC1"
         provider_message_id: "SM1" status: RECEIPT_STATUS_DELIVERED provider_status: "delivered"
         error_code: "0" at_us: 1767225600000000 })"},
      {"delivery_attempt", Topic::kDeliveryAttempts, "acme", R"(delivery_attempt {
         notification_id: "ntf_00000000000000000000000000" attempt: 1 phase: ATTEMPT_PHASE_RESULT
         result: ATTEMPT_CLASS_RETRY provider: "twilio" account: "AC1" provider_message_id: "SM1"
         error_code: "30001" at_us: 1767225600000000 done_to: 7 retry_after_us: 2000000
         done_journal_offset: 3 done_commands_offset: 4 done_attempts_offset: 5 })"},
      {"delivery_attempt_cancelled", Topic::kDeliveryAttempts, "acme", R"(delivery_attempt {
         notification_id: "ntf_00000000000000000000000000" attempt: 2
         phase: ATTEMPT_PHASE_CANCELLED })"},
      {"receipt_unrouted", Topic::kDeliveryReceipts, "_unrouted", R"(delivery_receipt {
         provider: "twilio" provider_message_id: "SM1" status: RECEIPT_STATUS_SENT })"},
      {"tenant", Topic::kAccountChanges, "acme", R"(account_change { expected_version: 1
         reason: "new plan" tenant { status: TENANT_STATUS_ACTIVE plan: "starter"
         stop_reply: "You are out." help_reply: "Call us." unknown_wait_us: 900000000
         shards: 1 } })"},
      {"site", Topic::kAccountChanges, "acme",
       R"(account_change { site { id: "shop.example" status: SITE_STATUS_ACTIVE } })"},
      {"plan", Topic::kAccountChanges, "acme",
       R"(account_change { plan { id: "starter" sends_per_month_max: 1000 } })"},
      {"sender", Topic::kAccountChanges, "acme", R"(account_change { sender { id: "main"
         provider: "twilio" account: "AC1" number: "+254711111111" is_default: true
         channel: CHANNEL_SMS } })"},
      {"trigger", Topic::kAccountChanges, "acme", R"(account_change { trigger {
         id: "payment-failed" name: "Payment failed" event_type: "payment.failed"
         when: "event.data.amount > 100" recipients { field: "data.customer.phone" }
         channel: CHANNEL_SMS sender: "main" template_body: "Failed: {{data.reason}}"
         message_class: MESSAGE_CLASS_TRANSACTIONAL cooldown_us: 600000000 daily_cap: 3
         max_age_us: 86400000000 allow_public: true enabled: true } })"},
      {"trigger_list", Topic::kAccountChanges, "acme", R"(account_change { trigger {
         id: "ops" event_type: "down" recipients { list { addresses { plain: "+254700000000" }
         addresses { plain: "+254700000001" } } } channel: CHANNEL_SMS template_body: "Down"
         message_class: MESSAGE_CLASS_TRANSACTIONAL } })"},
      {"trigger_deleted", Topic::kAccountChanges, "acme",
       R"(account_change { trigger { id: "ops" deleted: true } })"},
      {"engine_activate", Topic::kAccountChanges, "_log",
       R"(account_change { engine_activate { engine_version: 2 } })"},
      {"skip_requested", Topic::kAccountChanges, "_log", R"(account_change { reason: "poison"
         skip_requested { record { topic: 1 partition: 3 offset: 99 } } })"},
      {"dead_letter_action", Topic::kAccountChanges, "acme", R"(account_change { reason: "old"
         dead_letter_action { id: "0123456789abcdef" record { topic: 1 partition: 3 offset: 99 }
         kind: DEAD_LETTER_ACTION_KIND_DROP } })"},
      {"dead_letter_action_log", Topic::kAccountChanges, "_log",
       R"(account_change { reason: "old" dead_letter_action { id: "0123456789abcdef"
         record { topic: 1 partition: 3 offset: 99 } kind: DEAD_LETTER_ACTION_KIND_PURGE } })"},
      {"notification_retry", Topic::kSiteEvents, "acme", R"(
         site_event { direct { to { plain: "+254700000000" } retry {
         notification_id: "ntf_01JD3J0000000000000000000A" body { plain: "Hi" } } } })"},
      {"log_marker", Topic::kAccountChanges, "_log", R"(account_change { log_marker {
         log_id: "0123456789abcdef" token_key_mac: "0123456789abcdef0123456789abcdef" format: 1
         partitions: 4 } })"},
      {"log_marker_on_events", Topic::kSiteEvents, "_log", R"(account_change { log_marker {
         log_id: "0123456789abcdef" token_key_mac: "0123456789abcdef0123456789abcdef" format: 1
         partitions: 4 } })"},
  };
  return rows;
}

SampleInput Build(const Row& row) {
  SampleInput sample{std::string(row.name), row.topic, std::string(row.key), {}};
  const std::string text = std::string(kHead).append(row.payload);
  ALERTSTREAM_CHECK(google::protobuf::TextFormat::ParseFromString(text, &sample.envelope));
  sample.envelope.set_tenant(sample.key);
  sample.envelope.set_routing_key(sample.key);
  return sample;
}

}  // namespace

SampleInput SampleEvent() { return Build(Rows().front()); }

std::vector<SampleInput> SampleInputs() {
  std::vector<SampleInput> samples;
  for (const auto& row : Rows()) {
    samples.push_back(Build(row));
  }
  return samples;
}

}  // namespace alertstream::schemas

#include "api/webhooks/twilio_records.h"

#include <charconv>

#include <fmt/format.h>

#include "processor/base/check.h"
#include "processor/dispatch/providers/twilio_codes.h"
#include "processor/engine/keywords.h"
#include "schemas/envelope.pb.h"
#include "schemas/envelope_check.h"
#include "schemas/limits.h"

namespace alertstream::api {
namespace {

using schemas::Topic;

constexpr std::string_view kProvider = "twilio";

std::string KeyOf(const WebhookOrigin& origin) {
  return origin.tenant ? *origin.tenant : std::string(schemas::kUnroutedKey);
}

// Everything but the payload. `id` names the occurrence: a provider that repeats itself gives it
// again.
v1::Envelope EnvelopeOf(const WebhookOrigin& origin, std::string_view type, std::string id) {
  const std::string key = KeyOf(origin);
  v1::Envelope envelope;
  envelope.set_id(std::move(id));
  envelope.set_tenant(key);
  envelope.set_routing_key(key);
  envelope.set_type(type.data(), type.size());
  envelope.set_schema_version(schemas::kSchemaVersionMax);
  envelope.set_ingest_time_us(ToMicros(origin.now));
  envelope.set_source(kProvider.data(), kProvider.size());
  envelope.set_trust(v1::TRUST_WEBHOOK);
  return envelope;
}

// Nobody's records are not checked against their key: that it is none is why they are appended.
Status Add(Topic topic, const v1::Envelope& envelope, const WebhookOrigin& origin,
           std::vector<RecordToAppend>* records) {
  const std::string key = KeyOf(origin);
  if (origin.tenant) {
    if (const auto fault = schemas::CheckEnvelope(topic, key, envelope)) {
      return Error(ErrorCode::kInvalid, fmt::format("twilio webhook: {}", fault->detail));
    }
  }
  records->push_back({.topic = topic,
                      .partition = schemas::PartitionOf(key, origin.partitions),
                      .key = key,
                      .value = envelope.SerializeAsString()});
  return Status::Ok();
}

// A STOP by text message ends voice calls as well (47 CFR 64.1200(a)(10)).
std::vector<v1::Channel> StopScope(v1::Channel channel) {
  if (channel == v1::CHANNEL_SMS) {
    return {v1::CHANNEL_SMS, v1::CHANNEL_VOICE};
  }
  return {channel};
}

struct OptOut {
  std::string_view address;
  v1::Channel channel;
  std::string reason;
  std::string_view message_sid;
};

// Without a tenant there is nobody to opt out from.
Status AddOptOut(const OptOut& opt_out, const WebhookOrigin& origin,
                 std::vector<RecordToAppend>* records) {
  if (!origin.tenant) {
    return Status::Ok();
  }
  for (const v1::Channel channel : StopScope(opt_out.channel)) {
    v1::Envelope envelope =
        EnvelopeOf(origin, "opt_out.change",
                   fmt::format("{}:opt_out:{}", opt_out.message_sid, static_cast<int>(channel)));
    envelope.set_actor(fmt::format("provider:{}", kProvider));
    auto* change = envelope.mutable_opt_out_change();
    change->mutable_address()->set_plain(opt_out.address.data(), opt_out.address.size());
    change->set_address_kind(v1::ADDRESS_KIND_PHONE);
    change->set_channel(channel);
    change->set_status(v1::OPT_OUT_STATUS_ACTIVE);
    change->set_by(v1::OPT_OUT_BY_PROVIDER);
    change->set_reason(opt_out.reason);
    ALERTSTREAM_RETURN_IF_ERROR(Add(Topic::kOptOuts, envelope, origin, records));
  }
  return Status::Ok();
}

bool SaysOptedOut(const dispatch::TwilioStatusCallback& callback) {
  const std::string& text = callback.error_code;
  int code = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), code);
  if (callback.status != v1::RECEIPT_STATUS_FAILED || error != std::errc() ||
      end != text.data() + text.size()) {
    return false;
  }
  const dispatch::TwilioCode* known = dispatch::FindTwilioCode(code);
  return known != nullptr && known->outcome == v1::ATTEMPT_CLASS_OPT_OUT;
}

}  // namespace

Result<std::vector<RecordToAppend>> RecordsOfTwilioStatus(
    const dispatch::TwilioStatusCallback& callback, std::string_view notification_id,
    const WebhookOrigin& origin) {
  ALERTSTREAM_CHECK(origin.partitions > 0);
  std::vector<RecordToAppend> records;
  if (SaysOptedOut(callback)) {
    ALERTSTREAM_RETURN_IF_ERROR(AddOptOut({.address = callback.to.Reveal(),
                                           .channel = callback.channel,
                                           .reason = "twilio error " + callback.error_code,
                                           .message_sid = callback.message_sid},
                                          origin, &records));
  }
  v1::Envelope envelope =
      EnvelopeOf(origin, "delivery.receipt",
                 fmt::format("{}:{}", callback.message_sid, callback.provider_status));
  auto* receipt = envelope.mutable_delivery_receipt();
  receipt->set_notification_id(notification_id.data(), notification_id.size());
  receipt->set_provider(kProvider.data(), kProvider.size());
  receipt->set_account(origin.account.data(), origin.account.size());
  receipt->set_provider_message_id(callback.message_sid);
  receipt->set_status(callback.status);
  receipt->set_provider_status(callback.provider_status);
  receipt->set_error_code(callback.error_code);
  receipt->set_at_us(ToMicros(origin.now));
  ALERTSTREAM_RETURN_IF_ERROR(Add(Topic::kDeliveryReceipts, envelope, origin, &records));
  return records;
}

Result<std::vector<RecordToAppend>> RecordsOfTwilioInbound(const dispatch::TwilioInbound& inbound,
                                                           const WebhookOrigin& origin) {
  ALERTSTREAM_CHECK(origin.partitions > 0);
  const std::string& body = inbound.body.Reveal();
  std::vector<RecordToAppend> records;
  v1::Envelope envelope = EnvelopeOf(origin, "inbound.message", inbound.message_sid);
  auto* message = envelope.mutable_inbound_message();
  message->mutable_from()->set_plain(inbound.from.Reveal());
  message->set_from_kind(v1::ADDRESS_KIND_PHONE);
  message->set_to_number(inbound.to);
  message->set_channel(inbound.channel);
  message->mutable_body()->set_plain(body);
  message->set_provider(kProvider.data(), kProvider.size());
  message->set_provider_message_id(inbound.message_sid);
  message->set_provider_replied(inbound.opt_out != dispatch::TwilioOptOut::kNone);
  message->set_account(origin.account.data(), origin.account.size());
  ALERTSTREAM_RETURN_IF_ERROR(Add(Topic::kInboundMessages, envelope, origin, &records));
  if (inbound.opt_out == dispatch::TwilioOptOut::kStop &&
      engine::ClassifyInbound(body) != engine::InboundKeyword::kStop) {
    ALERTSTREAM_RETURN_IF_ERROR(AddOptOut({.address = inbound.from.Reveal(),
                                           .channel = inbound.channel,
                                           .reason = "twilio OptOutType STOP",
                                           .message_sid = inbound.message_sid},
                                          origin, &records));
  }
  return records;
}

}  // namespace alertstream::api

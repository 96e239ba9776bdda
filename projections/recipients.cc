#include "projections/recipients.h"

#include "processor/engine/gates/recipient.h"
#include "projections/text.h"
#include "schemas/personal.h"

namespace alertstream::projections {
namespace {

constexpr std::int64_t kDayUs = std::int64_t{24} * 3600 * 1'000'000;

// A known address brings its kind; until then the kind is a guess from the channel.
constexpr sql::Statement kUpsert = {
    "projections.recipients",
    "INSERT INTO recipients AS r (tenant_id, id, token, kind, address_sealed, address_masked,"
    " first_seen_at, last_seen_at, partition, seq)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::bytea[],"
    " $6::text[], $7::timestamptz[], $8::timestamptz[], $9::int[], $10::bigint[])"
    " ON CONFLICT (tenant_id, id) DO UPDATE SET"
    " kind = CASE WHEN r.address_masked IS NULL AND excluded.address_masked IS NOT NULL"
    " THEN excluded.kind ELSE r.kind END,"
    " address_sealed = coalesce(r.address_sealed, excluded.address_sealed),"
    " address_masked = coalesce(r.address_masked, excluded.address_masked),"
    " partition = CASE WHEN excluded.last_seen_at > r.last_seen_at THEN excluded.partition"
    " ELSE r.partition END,"
    " seq = CASE WHEN excluded.last_seen_at > r.last_seen_at THEN excluded.seq ELSE r.seq END,"
    " last_seen_at = greatest(r.last_seen_at, excluded.last_seen_at)"
    " WHERE excluded.last_seen_at > r.last_seen_at"
    " OR (r.address_masked IS NULL AND excluded.address_masked IS NOT NULL)"};

LogTime DayOf(LogTime time) {
  const std::int64_t us = ToMicros(time);
  return FromMicros(us - us % kDayUs);
}

v1::AddressKind PhoneUnless(v1::AddressKind kind) {
  return kind == v1::ADDRESS_KIND_UNSPECIFIED ? v1::ADDRESS_KIND_PHONE : kind;
}

}  // namespace

void RecipientsProjection::Take(const Batch& batch, const Seen& seen) {
  if (seen.token.empty()) {
    return;
  }
  const std::string id = FormatId(IdKind::kRecipient, seen.token);
  auto [row, is_new] = rows_.At(seen.tenant, id);
  const LogTime day = DayOf(batch.now);
  if (is_new) {
    row.tenant_id = seen.tenant;
    row.id = id;
    row.token = seen.token;
    row.kind = WordOf(seen.kind);
    row.first_seen_at = batch.now;
  }
  if (is_new || day > row.last_seen_at) {
    row.last_seen_at = day;
    row.partition = batch.partition;
    row.seq = batch.seq;
  }
  if (seen.address == nullptr || row.address_masked) {
    return;
  }
  row.kind = WordOf(seen.kind);
  row.address_sealed = seen.address->SerializeAsString();
  row.address_masked = "***";
  const auto raw = schemas::Unseal(*seen.address);
  if (!raw.ok()) {
    return;
  }
  auto normal = seen.is_normal ? Result<std::string>(std::string(raw.value()))
                               : engine::NormalizeAddress(seen.kind, raw.value());
  if (normal.ok()) {
    v1::Personal address;
    address.set_plain(normal.value());
    row.address_sealed = address.SerializeAsString();
    row.address_masked = MaskedAddress(normal.value());
  }
}

void RecipientsProjection::TakeFact(const Batch& batch, const v1::Fact& fact) {
  const ConsumedInput* cause = batch.CauseOf(fact);
  const v1::Envelope& envelope =
      cause == nullptr ? v1::Envelope::default_instance() : *cause->envelope;
  const std::string* token = nullptr;
  v1::Channel channel = v1::CHANNEL_UNSPECIFIED;
  if (fact.has_consent()) {
    token = &fact.consent().recipient_token();
    channel = fact.consent().channel();
  } else if (fact.has_opt_out()) {
    token = &fact.opt_out().recipient_token();
    channel = fact.opt_out().channel();
  } else if (fact.has_inbound()) {
    token = &fact.inbound().recipient_token();
    channel = fact.inbound().channel();
  } else {
    return;
  }
  Seen seen{.tenant = fact.tenant(),
            .token = *token,
            .kind = engine::AddressKindOf(channel),
            .address = nullptr};
  if (envelope.has_consent_change() && envelope.consent_change().has_address()) {
    seen.address = &envelope.consent_change().address();
    seen.kind = PhoneUnless(envelope.consent_change().address_kind());
  } else if (envelope.has_opt_out_change() && envelope.opt_out_change().has_address()) {
    seen.address = &envelope.opt_out_change().address();
    seen.kind = PhoneUnless(envelope.opt_out_change().address_kind());
  } else if (envelope.has_inbound_message() && envelope.inbound_message().has_from()) {
    seen.address = &envelope.inbound_message().from();
    seen.kind = PhoneUnless(envelope.inbound_message().from_kind());
  }
  Take(batch, seen);
}

void RecipientsProjection::Fold(const Batch& batch) {
  for (const v1::NotificationCommand* command : batch.commands) {
    if (command->kind() != v1::COMMAND_KIND_CANCEL) {
      Take(batch, {.tenant = command->tenant(),
                   .token = command->recipient_token(),
                   .kind = engine::AddressKindOf(command->channel()),
                   .address = command->has_to() ? &command->to() : nullptr,
                   .is_normal = true});
    }
  }
  for (const v1::Fact* fact : batch.facts) {
    if (fact->result() == v1::FACT_RESULT_ACCEPTED) {
      TakeFact(batch, *fact);
    }
  }
}

Status RecipientsProjection::Write(sql::Session& session) {
  Columns columns(rows_.rows());
  columns.Text(&RecipientRow::tenant_id)
      .Text(&RecipientRow::id)
      .Bytes(&RecipientRow::token)
      .Text(&RecipientRow::kind)
      .Bytes(&RecipientRow::address_sealed)
      .Text(&RecipientRow::address_masked)
      .Time(&RecipientRow::first_seen_at)
      .Time(&RecipientRow::last_seen_at)
      .Integer(&RecipientRow::partition)
      .Integer(&RecipientRow::seq);
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kUpsert, columns.params()));
  return Status::Ok();
}

}  // namespace alertstream::projections

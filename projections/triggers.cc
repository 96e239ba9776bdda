#include "projections/triggers.h"

#include "processor/base/duration.h"
#include "projections/text.h"
#include "schemas/json_object.h"
#include "schemas/personal.h"

namespace alertstream::projections {
namespace {

constexpr sql::Statement kInsert = {
    "projections.triggers.insert",
    "INSERT INTO triggers (tenant_id, id, version, is_current, event_type, enabled, deleted,"
    " definition, recipients_sealed, actor, at, partition, seq)"
    " SELECT tenant_id, id, version, true, event_type, enabled, deleted, definition, sealed, actor,"
    " at, partition, seq"
    " FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::boolean[], $6::boolean[],"
    " $7::jsonb[], $8::bytea[], $9::text[], $10::timestamptz[], $11::int[], $12::bigint[])"
    " AS c(tenant_id, id, version, event_type, enabled, deleted, definition, sealed, actor, at,"
    " partition, seq)"
    " ON CONFLICT (tenant_id, id, version) DO NOTHING"};

// Versions have no gaps, so each ends the one before it.
constexpr sql::Statement kEndBefore = {
    "projections.triggers.end_before",
    "UPDATE triggers t SET is_current = false, partition = c.partition, seq = c.seq"
    " FROM unnest($1::text[], $2::text[], $3::bigint[], $4::int[], $5::bigint[])"
    " AS c(tenant_id, id, version, partition, seq)"
    " WHERE t.tenant_id = c.tenant_id AND t.id = c.id AND t.version = c.version - 1"
    " AND t.is_current"};

std::string RecipientsJson(const v1::TriggerRecipients& recipients) {
  schemas::JsonObject object;
  if (!recipients.has_list()) {
    object.Text("field", Storable(recipients.field()));
    return object.Take();
  }
  schemas::JsonList list;
  for (const v1::Personal& address : recipients.list().addresses()) {
    const auto plain = schemas::Unseal(address);
    list.Text(plain.ok() ? MaskedAddress(plain.value()) : "***");
  }
  object.Raw("list", list.Take());
  return object.Take();
}

}  // namespace

std::string TriggerDefinition(const v1::Trigger& trigger) {
  schemas::JsonObject object;
  const auto text = [&](std::string_view name, std::string_view value) {
    if (!value.empty()) {
      object.Text(name, Storable(value));
    }
  };
  const auto duration = [&](std::string_view name, std::int64_t us) {
    if (us != 0) {
      object.Text(name, FormatDuration(LogDuration(us)));
    }
  };
  text("id", trigger.id());
  text("name", trigger.name());
  text("event_type", trigger.event_type());
  text("when", trigger.when());
  object.Raw("recipients", RecipientsJson(trigger.recipients()));
  object.Text("channel", WordOf(trigger.channel()));
  text("sender", trigger.sender());
  object.Raw("template",
             schemas::JsonObject().Text("body", Storable(trigger.template_body())).Take());
  object.Text("message_class", WordOf(trigger.message_class()));
  duration("cooldown", trigger.cooldown_us());
  if (trigger.daily_cap() != 0) {
    object.Integer("daily_cap", trigger.daily_cap());
  }
  duration("max_age", trigger.max_age_us());
  object.Bool("allow_public", trigger.allow_public());
  object.Bool("enabled", trigger.enabled());
  return object.Take();
}

void TriggersProjection::Fold(const Batch& batch) {
  for (const v1::Fact* fact : batch.facts) {
    if (!fact->has_trigger() || fact->result() != v1::FACT_RESULT_ACCEPTED) {
      continue;
    }
    const v1::Trigger& trigger = fact->trigger().trigger();
    auto [row, is_new] =
        rows_.At(fact->tenant(), trigger.id() + "/" + std::to_string(fact->version()));
    if (!is_new) {
      continue;  // A change that changed nothing.
    }
    row = {.tenant_id = fact->tenant(),
           .id = Storable(trigger.id()),
           .version = static_cast<std::int64_t>(fact->version()),
           .event_type = Storable(trigger.event_type()),
           .enabled = trigger.enabled(),
           .deleted = trigger.deleted(),
           .definition = TriggerDefinition(trigger),
           .actor = Storable(fact->actor()),
           .at = FromMicros(fact->at_us()),
           .partition = batch.partition,
           .seq = batch.seq};
    if (trigger.recipients().has_list()) {
      row.recipients_sealed = trigger.recipients().SerializeAsString();
    }
  }
}

Status TriggersProjection::Write(sql::Session& session) {
  Columns columns(rows_.rows());
  columns.Text(&TriggerRow::tenant_id)
      .Text(&TriggerRow::id)
      .Integer(&TriggerRow::version)
      .Text(&TriggerRow::event_type)
      .Boolean(&TriggerRow::enabled)
      .Boolean(&TriggerRow::deleted)
      .Text(&TriggerRow::definition)
      .Bytes(&TriggerRow::recipients_sealed)
      .Text(&TriggerRow::actor)
      .Time(&TriggerRow::at)
      .Integer(&TriggerRow::partition)
      .Integer(&TriggerRow::seq);
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kInsert, columns.params()));
  Columns ends(rows_.rows());
  ends.Text(&TriggerRow::tenant_id)
      .Text(&TriggerRow::id)
      .Integer(&TriggerRow::version)
      .Integer(&TriggerRow::partition)
      .Integer(&TriggerRow::seq);
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kEndBefore, ends.params()));
  return Status::Ok();
}

}  // namespace alertstream::projections

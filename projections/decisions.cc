#include "projections/decisions.h"

#include "projections/columns.h"
#include "projections/text.h"

namespace alertstream::projections {
namespace {

constexpr sql::Statement kInsert = {
    "projections.decisions",
    "INSERT INTO decisions (tenant_id, id, event_id, event_type, trigger_id, trigger_version,"
    " recipient, channel, message_class, outcome, reason, defer_until, notification_id, gates,"
    " segments, plan_version, decided_at, partition, seq)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[],"
    " $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::timestamptz[],"
    " $13::text[], $14::jsonb[], $15::int[], $16::bigint[], $17::timestamptz[], $18::int[],"
    " $19::bigint[])"};

DecisionRow RowOf(const Batch& batch, const v1::DecisionRecord& record,
                  const v1::Decision& decision) {
  return {.tenant_id = record.tenant(),
          .id = FormatId(IdKind::kDecision, decision.id()),
          .event_id = FormatId(IdKind::kEvent, record.event_id()),
          .event_type = Storable(record.event_type()),
          .trigger_id = Storable(decision.trigger_id()),
          .trigger_version = decision.trigger_version(),
          .recipient = IdOrNull(IdKind::kRecipient, decision.recipient_token()),
          .channel = WordOf(decision.channel()),
          .message_class = WordOf(decision.message_class()),
          .outcome = WordOf(decision.outcome()),
          .reason = WordOrNull(decision.reason()),
          .defer_until = TimeOrNull(decision.defer_until_us()),
          .notification_id = IdOrNull(IdKind::kNotification, decision.notification_id()),
          .gates = GatesJson(decision.gates()),
          .segments = decision.segments(),
          .plan_version = static_cast<std::int64_t>(decision.plan_version()),
          .decided_at = FromMicros(record.decided_at_us()),
          .partition = batch.partition,
          .seq = batch.seq};
}

}  // namespace

void DecisionsProjection::Fold(const Batch& batch) {
  for (const v1::DecisionRecord* record : batch.decisions) {
    for (const v1::Decision& decision : record->decisions()) {
      Add(RowOf(batch, *record, decision));
    }
  }
}

Status DecisionsProjection::Write(sql::Session& session) {
  Columns columns(made());
  columns.Text(&DecisionRow::tenant_id)
      .Text(&DecisionRow::id)
      .Text(&DecisionRow::event_id)
      .Text(&DecisionRow::event_type)
      .Text(&DecisionRow::trigger_id)
      .Integer(&DecisionRow::trigger_version)
      .Text(&DecisionRow::recipient)
      .Text(&DecisionRow::channel)
      .Text(&DecisionRow::message_class)
      .Text(&DecisionRow::outcome)
      .Text(&DecisionRow::reason)
      .Time(&DecisionRow::defer_until)
      .Text(&DecisionRow::notification_id)
      .Text(&DecisionRow::gates)
      .Integer(&DecisionRow::segments)
      .Integer(&DecisionRow::plan_version)
      .Time(&DecisionRow::decided_at)
      .Integer(&DecisionRow::partition)
      .Integer(&DecisionRow::seq);
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kInsert, columns.params()));
  return Status::Ok();
}

void DecisionsProjection::VisitMonths(const std::function<void(LogTime)>& visit) const {
  for (const DecisionRow& row : made()) {
    visit(row.decided_at);
  }
}

}  // namespace alertstream::projections

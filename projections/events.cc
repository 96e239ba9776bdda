#include "projections/events.h"

#include "projections/columns.h"
#include "projections/text.h"

namespace alertstream::projections {
namespace {

constexpr sql::Statement kInsert = {
    "projections.events",
    "INSERT INTO events (tenant_id, id, type, site, event_time, append_time, decided_at, verdict,"
    " candidates, topic, partition, \"offset\", engine_version, gates, duplicate_of, seq)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[],"
    " $6::timestamptz[], $7::timestamptz[], $8::text[], $9::int[], $10::text[], $11::int[],"
    " $12::bigint[], $13::int[], $14::jsonb[], $15::text[], $16::bigint[])"};

}  // namespace

void EventsProjection::Fold(const Batch& batch) {
  for (const v1::DecisionRecord* record : batch.decisions) {
    if (record->part() != 0) {
      continue;  // Further decisions of an event that has its row.
    }
    Add({.tenant_id = record->tenant(),
         .id = FormatId(IdKind::kEvent, record->event_id()),
         .type = Storable(record->event_type()),
         .site = Storable(record->site()),
         .event_time = FromMicros(record->event_time_us()),
         .append_time = FromMicros(record->append_time_us()),
         .decided_at = FromMicros(record->decided_at_us()),
         .verdict = WordOf(record->verdict()),
         .candidates = record->candidates(),
         .topic = TopicWord(record->event().topic()),
         .partition = record->event().partition(),
         .offset = record->event().offset(),
         .engine_version = record->engine_version(),
         .gates = GatesJson(record->gates()),
         .duplicate_of = IdOrNull(IdKind::kEvent, record->duplicate_of()),
         .seq = batch.seq});
  }
}

Status EventsProjection::Write(sql::Session& session) {
  Columns columns(made());
  columns.Text(&EventRow::tenant_id)
      .Text(&EventRow::id)
      .Text(&EventRow::type)
      .Text(&EventRow::site)
      .Time(&EventRow::event_time)
      .Time(&EventRow::append_time)
      .Time(&EventRow::decided_at)
      .Text(&EventRow::verdict)
      .Integer(&EventRow::candidates)
      .Text(&EventRow::topic)
      .Integer(&EventRow::partition)
      .Integer(&EventRow::offset)
      .Integer(&EventRow::engine_version)
      .Text(&EventRow::gates)
      .Text(&EventRow::duplicate_of)
      .Integer(&EventRow::seq);
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kInsert, columns.params()));
  return Status::Ok();
}

void EventsProjection::VisitMonths(const std::function<void(LogTime)>& visit) const {
  for (const EventRow& row : made()) {
    visit(row.append_time);
  }
}

}  // namespace alertstream::projections

#include "projections/dead_letters.h"

#include "projections/columns.h"
#include "projections/text.h"

namespace alertstream::projections {
namespace {

constexpr sql::Statement kInsert = {
    "projections.dead_letters",
    "INSERT INTO dead_letters (tenant_id, id, topic, partition, \"offset\", append_time, stage,"
    " reason, detail, event_type, at, original_sealed, seq)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::bigint[],"
    " $6::timestamptz[], $7::text[], $8::text[], $9::text[], $10::text[], $11::timestamptz[],"
    " $12::bytea[], $13::bigint[])"};

}  // namespace

void DeadLettersProjection::Fold(const Batch& batch) {
  for (const v1::DeadLetter* letter : batch.dead_letters) {
    DeadLetterRow row{.tenant_id = Storable(letter->tenant()),
                      .id = FormatId(IdKind::kDeadLetter, letter->id()),
                      .topic = TopicWord(letter->record().topic()),
                      .partition = letter->record().partition(),
                      .offset = letter->record().offset(),
                      .append_time = FromMicros(letter->append_time_us()),
                      .stage = WordOf(letter->stage()),
                      .reason = WordOf(letter->reason()),
                      .detail = Storable(letter->detail()),
                      .event_type = Storable(letter->event_type()),
                      .at = FromMicros(letter->at_us()),
                      .seq = batch.seq};
    if (letter->has_original()) {
      row.original_sealed = letter->original().SerializeAsString();
    }
    Add(std::move(row));
  }
}

Status DeadLettersProjection::Write(sql::Session& session) {
  Columns columns(made());
  columns.Text(&DeadLetterRow::tenant_id)
      .Text(&DeadLetterRow::id)
      .Text(&DeadLetterRow::topic)
      .Integer(&DeadLetterRow::partition)
      .Integer(&DeadLetterRow::offset)
      .Time(&DeadLetterRow::append_time)
      .Text(&DeadLetterRow::stage)
      .Text(&DeadLetterRow::reason)
      .Text(&DeadLetterRow::detail)
      .Text(&DeadLetterRow::event_type)
      .Time(&DeadLetterRow::at)
      .Bytes(&DeadLetterRow::original_sealed)
      .Integer(&DeadLetterRow::seq);
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kInsert, columns.params()));
  return Status::Ok();
}

}  // namespace alertstream::projections

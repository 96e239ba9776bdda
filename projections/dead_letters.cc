#include "projections/dead_letters.h"

#include "projections/columns.h"
#include "projections/text.h"
#include "schemas/topics.h"

namespace alertstream::projections {
namespace {

constexpr sql::Statement kInsert = {
    "projections.dead_letters",
    "INSERT INTO dead_letters (tenant_id, id, topic, partition, \"offset\", append_time, stage,"
    " reason, detail, event_type, at, original_sealed, retry_of, seq)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::bigint[],"
    " $6::timestamptz[], $7::text[], $8::text[], $9::text[], $10::text[], $11::timestamptz[],"
    " $12::bytea[], $13::text[], $14::bigint[])"};

constexpr sql::Statement kUpdate = {
    "projections.dead_letters.act",
    "UPDATE dead_letters d SET status = c.status, retries = c.retries, acted_at = c.acted_at,"
    " acted_by = c.acted_by, acted_reason = c.acted_reason, died_as = c.died_as,"
    " original_sealed = CASE WHEN c.purged THEN NULL ELSE d.original_sealed END, seq = c.seq"
    " FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::timestamptz[], $6::text[],"
    " $7::text[], $8::text[], $9::boolean[], $10::bigint[]) AS c(tenant_id, id, status, retries,"
    " acted_at, acted_by, acted_reason, died_as, purged, seq)"
    " WHERE d.tenant_id = c.tenant_id AND d.id = c.id"};

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
                      .original_sealed = {},
                      .retry_of = {},
                      .seq = batch.seq};
    if (!letter->retry_of().empty()) {
      row.retry_of = FormatId(IdKind::kDeadLetter, letter->retry_of());
    }
    if (letter->has_original()) {
      row.original_sealed = letter->original().SerializeAsString();
    }
    Add(std::move(row));
  }
  for (const v1::Fact* fact : batch.facts) {
    if (!fact->has_dead_letter() || fact->result() != v1::FACT_RESULT_ACCEPTED) {
      continue;
    }
    AddAct(*fact, fact->tenant(), batch.seq);
    if (fact->tenant() == schemas::kUnroutedKey) {
      AddAct(*fact, "", batch.seq);  // A letter without a tenant; one of the two is there.
    }
  }
}

void DeadLettersProjection::AddAct(const v1::Fact& fact, std::string tenant, std::int64_t seq) {
  const v1::DeadLetterFact& subject = fact.dead_letter();
  const std::string id = FormatId(IdKind::kDeadLetter, subject.id());
  DeadLetterAct& act = acts_.At(tenant, id).first;
  const bool was_purged = act.purged;
  act = {.tenant_id = std::move(tenant),
         .id = id,
         .status = WordOf(subject.status()),
         .retries = subject.retries(),
         .acted_at = FromMicros(fact.at_us()),
         .acted_by = Storable(fact.actor()),
         .acted_reason = Storable(fact.reason()),
         .died_as = {},
         .purged = was_purged || subject.status() == v1::DEAD_LETTER_STATUS_PURGED,
         .seq = seq};
  if (!subject.died_as().empty()) {
    act.died_as = FormatId(IdKind::kDeadLetter, subject.died_as());
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
      .Text(&DeadLetterRow::retry_of)
      .Integer(&DeadLetterRow::seq);
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kInsert, columns.params()));
  return acts_.rows().empty() ? Status::Ok() : WriteActs(session);
}

Status DeadLettersProjection::WriteActs(sql::Session& session) {
  Columns columns(acts_.rows());
  columns.Text(&DeadLetterAct::tenant_id)
      .Text(&DeadLetterAct::id)
      .Text(&DeadLetterAct::status)
      .Integer(&DeadLetterAct::retries)
      .Time(&DeadLetterAct::acted_at)
      .Text(&DeadLetterAct::acted_by)
      .Text(&DeadLetterAct::acted_reason)
      .Text(&DeadLetterAct::died_as)
      .Boolean(&DeadLetterAct::purged)
      .Integer(&DeadLetterAct::seq);
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kUpdate, columns.params()));
  return Status::Ok();
}

}  // namespace alertstream::projections

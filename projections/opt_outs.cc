#include "projections/opt_outs.h"

#include "projections/columns.h"
#include "projections/text.h"

namespace alertstream::projections {
namespace {

constexpr sql::Statement kInsert = {
    "projections.opt_outs",
    "INSERT INTO opt_outs (tenant_id, id, recipient, channel, status, by, reason, actor, at,"
    " result, reject_reason, version, topic, partition, \"offset\", seq)"
    " SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[],"
    " $6::text[], $7::text[], $8::text[], $9::timestamptz[], $10::text[], $11::text[],"
    " $12::bigint[], $13::text[], $14::int[], $15::bigint[], $16::bigint[])"};

}  // namespace

void OptOutsProjection::Fold(const Batch& batch) {
  for (std::size_t i = 0; i < batch.facts.size(); ++i) {
    const v1::Fact& fact = *batch.facts[i];
    if (!fact.has_opt_out()) {
      continue;
    }
    const v1::OptOutFact& about = fact.opt_out();
    Add({.tenant_id = fact.tenant(),
         .id = batch.FactId(i),
         .recipient = FormatId(IdKind::kRecipient, about.recipient_token()),
         .channel = WordOf(about.channel()),
         .status = WordOf(about.status()),
         .by = WordOf(about.by()),
         .reason = Storable(about.reason()),
         .actor = Storable(fact.actor()),
         .at = FromMicros(fact.at_us()),
         .result = WordOf(fact.result()),
         .reject_reason = WordOrNull(fact.reject_reason()),
         .version = static_cast<std::int64_t>(fact.version()),
         .topic = TopicWord(fact.cause().topic()),
         .partition = batch.partition,
         .offset = fact.cause().offset(),
         .seq = batch.seq});
  }
}

Status OptOutsProjection::Write(sql::Session& session) {
  Columns columns(made());
  columns.Text(&OptOutRow::tenant_id)
      .Integer(&OptOutRow::id)
      .Text(&OptOutRow::recipient)
      .Text(&OptOutRow::channel)
      .Text(&OptOutRow::status)
      .Text(&OptOutRow::by)
      .Text(&OptOutRow::reason)
      .Text(&OptOutRow::actor)
      .Time(&OptOutRow::at)
      .Text(&OptOutRow::result)
      .Text(&OptOutRow::reject_reason)
      .Integer(&OptOutRow::version)
      .Text(&OptOutRow::topic)
      .Integer(&OptOutRow::partition)
      .Integer(&OptOutRow::offset)
      .Integer(&OptOutRow::seq);
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kInsert, columns.params()));
  return Status::Ok();
}

}  // namespace alertstream::projections

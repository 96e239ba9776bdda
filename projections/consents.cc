#include "projections/consents.h"

#include "processor/base/crypto.h"
#include "processor/base/rfc3339.h"
#include "projections/columns.h"
#include "projections/text.h"
#include "schemas/json_object.h"

namespace alertstream::projections {
namespace {

constexpr sql::Statement kInsert = {
    "projections.consents",
    "INSERT INTO consents (tenant_id, id, recipient, channel, message_class, status, source,"
    " written, evidence, detail_sealed, actor, at, recorded_at, result, reject_reason, version,"
    " topic, partition, \"offset\", seq)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],"
    " $7::text[], $8::boolean[], $9::jsonb[], $10::bytea[], $11::text[], $12::timestamptz[],"
    " $13::timestamptz[], $14::text[], $15::text[], $16::bigint[], $17::text[], $18::int[],"
    " $19::bigint[], $20::bigint[])"};

std::string EvidenceJson(const v1::ConsentEvidence& evidence) {
  schemas::JsonObject object;
  object.Text("kind", Storable(evidence.kind()));
  if (!evidence.disclosure_version().empty()) {
    object.Text("disclosure_version", Storable(evidence.disclosure_version()));
  }
  if (!evidence.disclosure_sha256().empty()) {
    object.Text("disclosure_sha256", ToHex(evidence.disclosure_sha256()));
  }
  if (evidence.at_us() != 0) {
    object.Text("at", FormatRfc3339(FromMicros(evidence.at_us())));
  }
  return object.Take();
}

ConsentRow RowOf(const Batch& batch, const v1::Fact& fact, const ConsumedInput* cause) {
  const v1::ConsentFact& about = fact.consent();
  const LogTime append_time = cause == nullptr ? batch.now : cause->append_time;
  ConsentRow row{.tenant_id = fact.tenant(),
                 .id = FormatId(IdKind::kConsent, ConsentId(fact.tenant(), batch.partition,
                                                            fact.cause().offset(), append_time)),
                 .recipient = FormatId(IdKind::kRecipient, about.recipient_token()),
                 .channel = WordOf(about.channel()),
                 .message_class = WordOf(about.message_class()),
                 .status = WordOf(about.status()),
                 .source = Storable(about.source()),
                 .written = about.written(),
                 .actor = Storable(fact.actor()),
                 .at = FromMicros(about.at_us()),
                 .recorded_at = FromMicros(fact.at_us()),
                 .result = WordOf(fact.result()),
                 .reject_reason = WordOrNull(fact.reject_reason()),
                 .version = static_cast<std::int64_t>(fact.version()),
                 .topic = TopicWord(fact.cause().topic()),
                 .partition = batch.partition,
                 .offset = fact.cause().offset(),
                 .seq = batch.seq};
  if (cause != nullptr && cause->envelope->consent_change().has_evidence()) {
    const v1::ConsentEvidence& evidence = cause->envelope->consent_change().evidence();
    row.evidence = EvidenceJson(evidence);
    if (evidence.has_detail()) {
      row.detail_sealed = evidence.detail().SerializeAsString();
    }
  }
  return row;
}

}  // namespace

IdBytes ConsentId(std::string_view tenant, std::int64_t partition, std::int64_t offset,
                  LogTime append_time) {
  return MakeId({.append_time = append_time,
                 .tenant = tenant,
                 .topic = static_cast<std::uint8_t>(schemas::Topic::kConsentChanges),
                 .partition = static_cast<std::uint32_t>(partition),
                 .offset = offset});
}

void ConsentsProjection::Fold(const Batch& batch) {
  for (const v1::Fact* fact : batch.facts) {
    if (fact->has_consent()) {
      Add(RowOf(batch, *fact, batch.CauseOf(*fact)));
    }
  }
}

Status ConsentsProjection::Write(sql::Session& session) {
  Columns columns(made());
  columns.Text(&ConsentRow::tenant_id)
      .Text(&ConsentRow::id)
      .Text(&ConsentRow::recipient)
      .Text(&ConsentRow::channel)
      .Text(&ConsentRow::message_class)
      .Text(&ConsentRow::status)
      .Text(&ConsentRow::source)
      .Boolean(&ConsentRow::written)
      .Text(&ConsentRow::evidence)
      .Bytes(&ConsentRow::detail_sealed)
      .Text(&ConsentRow::actor)
      .Time(&ConsentRow::at)
      .Time(&ConsentRow::recorded_at)
      .Text(&ConsentRow::result)
      .Text(&ConsentRow::reject_reason)
      .Integer(&ConsentRow::version)
      .Text(&ConsentRow::topic)
      .Integer(&ConsentRow::partition)
      .Integer(&ConsentRow::offset)
      .Integer(&ConsentRow::seq);
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kInsert, columns.params()));
  return Status::Ok();
}

}  // namespace alertstream::projections

#include "projections/dead_letters.h"

#include <utility>

#include "projections/columns.h"
#include "projections/text.h"
#include "schemas/topics.h"

namespace alertstream::projections {
namespace {

// What was done about a letter that comes again stays to be read; its bytes stay forgotten.
constexpr sql::Statement kInsert = {
    "projections.dead_letters",
    "INSERT INTO dead_letters AS d (tenant_id, id, topic, partition, \"offset\", append_time, "
    "stage,"
    " reason, detail, event_type, at, original_sealed, retry_of, seq)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::bigint[],"
    " $6::timestamptz[], $7::text[], $8::text[], $9::text[], $10::text[], $11::timestamptz[],"
    " $12::bytea[], $13::text[], $14::bigint[])"
    " ON CONFLICT (tenant_id, id) DO UPDATE SET topic = EXCLUDED.topic,"
    " partition = EXCLUDED.partition, \"offset\" = EXCLUDED.\"offset\","
    " append_time = EXCLUDED.append_time, stage = EXCLUDED.stage, reason = EXCLUDED.reason,"
    " detail = EXCLUDED.detail, event_type = EXCLUDED.event_type, at = EXCLUDED.at,"
    " original_sealed = CASE WHEN d.original_sealed IS NULL THEN NULL"
    " ELSE EXCLUDED.original_sealed END,"
    " retry_of = COALESCE(EXCLUDED.retry_of, d.retry_of), status = 'open', seq = EXCLUDED.seq"};

constexpr sql::Statement kUpdate = {
    "projections.dead_letters.act",
    "UPDATE dead_letters d SET status = c.status, retries = c.retries, acted_at = c.acted_at,"
    " acted_by = c.acted_by, acted_reason = c.acted_reason, died_as = c.died_as,"
    " original_sealed = CASE WHEN c.purged THEN NULL ELSE d.original_sealed END, seq = c.seq"
    " FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::timestamptz[], $6::text[],"
    " $7::text[], $8::text[], $9::boolean[], $10::bigint[]) AS c(tenant_id, id, status, retries,"
    " acted_at, acted_by, acted_reason, died_as, purged, seq)"
    " WHERE d.tenant_id = c.tenant_id AND d.id = c.id"};

// $1, $2: letters whose bytes may be gone; if they are, those of the whole family go.
constexpr sql::Statement kForget = {
    "projections.dead_letters.forget",
    "WITH RECURSIVE family AS ("
    " SELECT d.tenant_id, d.id, d.retry_of FROM dead_letters d"
    " JOIN unnest($1::text[], $2::text[]) AS c(tenant_id, id)"
    " ON d.tenant_id = c.tenant_id AND d.id = c.id WHERE d.original_sealed IS NULL"
    " UNION"
    " SELECT f.tenant_id, n.id, n.retry_of FROM family f CROSS JOIN LATERAL ("
    " SELECT d.id, d.retry_of FROM dead_letters d"
    " WHERE d.tenant_id = f.tenant_id AND d.retry_of = f.id"
    " UNION ALL SELECT d.id, d.retry_of FROM dead_letters d"
    " WHERE d.tenant_id = f.tenant_id AND d.id = f.retry_of) n)"
    " UPDATE dead_letters d SET original_sealed = NULL FROM family f"
    " WHERE d.tenant_id = f.tenant_id AND d.id = f.id AND d.original_sealed IS NOT NULL"};

// Facts that are said before the timers of a batch fire, whose dead letters come between.
bool IsBeforeTimers(const v1::Fact& fact) {
  const v1::DeadLetterActionKind kind = fact.dead_letter().action();
  return kind == v1::DEAD_LETTER_ACTION_KIND_DROP || kind == v1::DEAD_LETTER_ACTION_KIND_PURGE;
}

bool IsAct(const v1::Fact& fact) {
  return fact.has_dead_letter() && fact.result() == v1::FACT_RESULT_ACCEPTED;
}

}  // namespace

void DeadLettersProjection::Fold(const Batch& batch) {
  for (const v1::Fact* fact : batch.facts) {
    if (IsAct(*fact) && IsBeforeTimers(*fact)) {
      AddActs(*fact, batch.seq);
    }
  }
  for (const v1::DeadLetter* letter : batch.dead_letters) {
    AddLetter(*letter, batch.seq);
  }
  for (const v1::Fact* fact : batch.facts) {
    if (IsAct(*fact) && !IsBeforeTimers(*fact)) {
      AddActs(*fact, batch.seq);
    }
  }
}

void DeadLettersProjection::AddLetter(const v1::DeadLetter& letter, std::int64_t seq) {
  const std::string tenant = Storable(letter.tenant());
  const std::string id = FormatId(IdKind::kDeadLetter, letter.id());
  const auto [row, is_new] = letters_.At(tenant, id);
  const bool has_no_bytes = !is_new && !row.original_sealed;
  const std::optional<std::string> retry_of = std::exchange(row.retry_of, std::nullopt);
  row = {.tenant_id = tenant,
         .id = id,
         .topic = TopicWord(letter.record().topic()),
         .partition = letter.record().partition(),
         .offset = letter.record().offset(),
         .append_time = FromMicros(letter.append_time_us()),
         .stage = WordOf(letter.stage()),
         .reason = WordOf(letter.reason()),
         .detail = Storable(letter.detail()),
         .event_type = Storable(letter.event_type()),
         .at = FromMicros(letter.at_us()),
         .original_sealed = {},
         .retry_of = retry_of,
         .seq = seq};
  if (!letter.retry_of().empty()) {
    row.retry_of = FormatId(IdKind::kDeadLetter, letter.retry_of());
  }
  if (letter.has_original() && !has_no_bytes) {
    row.original_sealed = letter.original().SerializeAsString();
  }
  if (DeadLetterAct* act = acts_.Find(tenant, id)) {
    act->status = WordOf(v1::DEAD_LETTER_STATUS_OPEN);
    act->seq = seq;
  }
}

void DeadLettersProjection::AddActs(const v1::Fact& fact, std::int64_t seq) {
  AddAct(fact, fact.tenant(), seq);
  if (fact.tenant() == schemas::kUnroutedKey) {
    AddAct(fact, "", seq);  // A letter without a tenant; one of the two is there.
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
  if (!made().empty()) {
    ALERTSTREAM_RETURN_IF_ERROR(WriteLetters(session));
  }
  if (!acts().empty()) {
    ALERTSTREAM_RETURN_IF_ERROR(WriteActs(session));
  }
  return ForgetFamilies(session);
}

Status DeadLettersProjection::WriteLetters(sql::Session& session) {
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
  return Status::Ok();
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

// Bytes go with those of a purged relative; and what is the retry of one that has none comes too
// late to keep them.
Status DeadLettersProjection::ForgetFamilies(sql::Session& session) {
  std::vector<std::optional<std::string>> tenants;
  std::vector<std::optional<std::string>> ids;
  for (const DeadLetterAct& act : acts()) {
    if (act.purged) {
      tenants.emplace_back(act.tenant_id);
      ids.emplace_back(act.id);
    }
  }
  for (const DeadLetterRow& row : made()) {
    if (row.retry_of) {
      tenants.emplace_back(row.tenant_id);
      ids.emplace_back(row.retry_of);
    }
  }
  if (ids.empty()) {
    return Status::Ok();
  }
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kForget, sql::Params().Texts(tenants).Texts(ids)));
  return Status::Ok();
}

}  // namespace alertstream::projections

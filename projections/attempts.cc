#include "projections/attempts.h"

#include "projections/text.h"

namespace alertstream::projections {
namespace {

constexpr std::string_view kAmbiguous = "ambiguous";

constexpr sql::Statement kUpsert = {
    "projections.attempts",
    "INSERT INTO attempts AS a (tenant_id, notification_id, attempt, started_at, finished_at,"
    " result, provider, account, provider_message_id, error_code, retry_at, partition, seq)"
    " SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::timestamptz[],"
    " $5::timestamptz[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],"
    " $11::timestamptz[], $12::int[], $13::bigint[])"
    " ON CONFLICT (tenant_id, notification_id, attempt) DO UPDATE SET"
    " started_at = coalesce(a.started_at, excluded.started_at),"
    " provider = coalesce(a.provider, excluded.provider),"
    " account = coalesce(a.account, excluded.account),"
    " (finished_at, result, provider_message_id, error_code, retry_at) ="
    " (SELECT excluded.finished_at, excluded.result, excluded.provider_message_id,"
    " excluded.error_code, excluded.retry_at"
    " WHERE excluded.result IS NOT NULL AND (a.result IS NULL OR a.result = 'ambiguous')"
    " UNION ALL SELECT a.finished_at, a.result, a.provider_message_id, a.error_code, a.retry_at"
    " WHERE NOT (excluded.result IS NOT NULL AND (a.result IS NULL OR a.result = 'ambiguous'))),"
    " partition = excluded.partition, seq = excluded.seq"};

// What the record says beyond the fact.
void TakeAttempt(const v1::DeliveryAttempt& attempt, const v1::Fact& fact, AttemptRow* row) {
  const v1::NotificationFact& about = fact.notification();
  const LogTime at = FromMicros(attempt.at_us() != 0 ? attempt.at_us() : fact.at_us());
  if (!row->provider) {
    row->provider = StorableOrNull(attempt.provider());
  }
  if (!row->account) {
    row->account = StorableOrNull(attempt.account());
  }
  if (attempt.phase() == v1::ATTEMPT_PHASE_STARTED) {
    if (!row->started_at) {
      row->started_at = at;
    }
    return;
  }
  if (row->result && *row->result != kAmbiguous) {
    return;
  }
  row->finished_at = at;
  row->result = attempt.phase() == v1::ATTEMPT_PHASE_RESULT ? WordOf(attempt.result())
                                                            : WordOf(attempt.phase());
  row->provider_message_id = StorableOrNull(attempt.provider_message_id());
  row->error_code = StorableOrNull(attempt.error_code());
  row->retry_at = TimeOrNull(about.retry_at_us());
}

}  // namespace

void AttemptsProjection::Fold(const Batch& batch) {
  for (const v1::Fact* fact : batch.facts) {
    const bool is_attempts =
        fact->has_notification() && fact->result() == v1::FACT_RESULT_ACCEPTED &&
        fact->cause().topic() == static_cast<std::uint32_t>(schemas::Topic::kDeliveryAttempts);
    const ConsumedInput* cause = is_attempts ? batch.CauseOf(*fact) : nullptr;
    if (cause == nullptr || !cause->envelope->has_delivery_attempt()) {
      continue;
    }
    const v1::DeliveryAttempt& attempt = cause->envelope->delivery_attempt();
    const std::string& id = fact->notification().notification_id();
    std::string notification_id = FormatId(IdKind::kNotification, id);
    auto [row, is_new] =
        rows_.At(fact->tenant(), notification_id + "/" + std::to_string(attempt.attempt()));
    if (is_new) {
      row.tenant_id = fact->tenant();
      row.notification_id = std::move(notification_id);
      row.attempt = attempt.attempt();
      row.id_time = TimeOfId(id);
    }
    TakeAttempt(attempt, *fact, &row);
    row.partition = batch.partition;
    row.seq = batch.seq;
  }
}

Status AttemptsProjection::Write(sql::Session& session) {
  Columns columns(rows_.rows());
  columns.Text(&AttemptRow::tenant_id)
      .Text(&AttemptRow::notification_id)
      .Integer(&AttemptRow::attempt)
      .Time(&AttemptRow::started_at)
      .Time(&AttemptRow::finished_at)
      .Text(&AttemptRow::result)
      .Text(&AttemptRow::provider)
      .Text(&AttemptRow::account)
      .Text(&AttemptRow::provider_message_id)
      .Text(&AttemptRow::error_code)
      .Time(&AttemptRow::retry_at)
      .Integer(&AttemptRow::partition)
      .Integer(&AttemptRow::seq);
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kUpsert, columns.params()));
  return Status::Ok();
}

void AttemptsProjection::VisitMonths(const std::function<void(LogTime)>& visit) const {
  for (const AttemptRow& row : rows_.rows()) {
    visit(row.id_time);
  }
}

}  // namespace alertstream::projections

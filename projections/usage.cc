#include "projections/usage.h"

#include "projections/text.h"

namespace alertstream::projections {
namespace {

constexpr sql::Statement kUpsert = {
    "projections.quota_usage",
    "INSERT INTO quota_usage (tenant_id, month, sends, sends_max, at, partition, seq)"
    " SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::timestamptz[],"
    " $6::int[], $7::bigint[])"
    " ON CONFLICT (tenant_id, month) DO UPDATE SET sends = excluded.sends,"
    " sends_max = excluded.sends_max, at = excluded.at, partition = excluded.partition,"
    " seq = excluded.seq"};

}  // namespace

// A fact tells the whole count, so the last one counts.
void UsageProjection::Fold(const Batch& batch) {
  for (const v1::Fact* fact : batch.facts) {
    if (!fact->has_usage() || fact->result() != v1::FACT_RESULT_ACCEPTED) {
      continue;
    }
    auto [row, is_new] = rows_.At(fact->tenant(), std::to_string(fact->usage().month()));
    row = {.tenant_id = fact->tenant(),
           .month = fact->usage().month(),
           .sends = fact->usage().sends(),
           .sends_max = fact->usage().sends_max(),
           .at = FromMicros(fact->at_us()),
           .partition = batch.partition,
           .seq = batch.seq};
  }
}

Status UsageProjection::Write(sql::Session& session) {
  Columns columns(rows_.rows());
  columns.Text(&UsageRow::tenant_id)
      .Integer(&UsageRow::month)
      .Integer(&UsageRow::sends)
      .Integer(&UsageRow::sends_max)
      .Time(&UsageRow::at)
      .Integer(&UsageRow::partition)
      .Integer(&UsageRow::seq);
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kUpsert, columns.params()));
  return Status::Ok();
}

}  // namespace alertstream::projections

#include "projections/read_model/dead_letters.h"

#include <array>

namespace alertstream::read_model {
namespace {

#define ALERTSTREAM_DEAD_LETTER_COLUMNS                                                           \
  "id, topic, partition, \"offset\", append_time, stage, reason, detail, event_type, at, status," \
  " retries, acted_at, acted_by, acted_reason, died_as, retry_of"

constexpr std::array kFilters = {"reason", "status", "stage", "event_type"};

constexpr sql::Statement kCounts = {
    "read_model.dead_letter_counts",
    "SELECT status, stage, reason, count(*), min(at), max(at) FROM read_model.dead_letters"
    " WHERE tenant_id = $1 GROUP BY status, stage, reason ORDER BY status, stage, reason"};

constexpr sql::Statement kById = {"read_model.dead_letter",
                                  "SELECT " ALERTSTREAM_DEAD_LETTER_COLUMNS
                                  ", original_sealed"
                                  " FROM read_model.dead_letters WHERE tenant_id = $1 AND id = $2"};
constexpr sql::Statement kKeyById = {
    "read_model.dead_letter_key",
    "SELECT at FROM read_model.dead_letters WHERE tenant_id = $1 AND id = $2"};

constexpr std::size_t kDeadLetterColumns = 17;

DeadLetter ReadDeadLetter(const sql::Rows& rows, std::size_t row) {
  return {.id = std::string(rows.Text(row, 0)),
          .topic = std::string(rows.Text(row, 1)),
          .partition = static_cast<std::int32_t>(rows.Integer(row, 2)),
          .offset = rows.Integer(row, 3),
          .append_time = rows.Time(row, 4),
          .stage = std::string(rows.Text(row, 5)),
          .reason = std::string(rows.Text(row, 6)),
          .detail = std::string(rows.Text(row, 7)),
          .event_type = std::string(rows.Text(row, 8)),
          .at = rows.Time(row, 9),
          .status = std::string(rows.Text(row, 10)),
          .retries = rows.Integer(row, 11),
          .acted_at = OptionalTime(rows, row, 12),
          .acted_by = OptionalText(rows, row, 13),
          .acted_reason = OptionalText(rows, row, 14),
          .died_as = OptionalText(rows, row, 15),
          .retry_of = OptionalText(rows, row, 16)};
}

DeadLetterWhole ReadWhole(const sql::Rows& rows, std::size_t row) {
  return {.letter = ReadDeadLetter(rows, row),
          .original_sealed = OptionalBytes(rows, row, kDeadLetterColumns)};
}

}  // namespace

const ListShape kDeadLetterList = {.name = "dead_letters",
                                   .columns = ALERTSTREAM_DEAD_LETTER_COLUMNS,
                                   .from = "read_model.dead_letters",
                                   .time = "at",
                                   .id = "id",
                                   .filters = kFilters};

Result<Page<DeadLetter>> ListDeadLetters(sql::Session& session, std::string_view tenant,
                                         const DeadLetterFilters& filters,
                                         const PageRequest& request) {
  return FindPage<DeadLetter>(
      session, tenant, kDeadLetterList,
      WantedFilters({filters.reason, filters.status, filters.stage, filters.type}), request,
      ReadDeadLetter);
}

Result<std::vector<DeadLetterCount>> CountDeadLetters(sql::Session& session,
                                                      std::string_view tenant) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows,
                               session.Run(kCounts, sql::Params().Text(tenant)));
  std::vector<DeadLetterCount> counts;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    counts.push_back({.status = std::string(rows.Text(row, 0)),
                      .stage = std::string(rows.Text(row, 1)),
                      .reason = std::string(rows.Text(row, 2)),
                      .letters = rows.Integer(row, 3),
                      .first = rows.Time(row, 4),
                      .last = rows.Time(row, 5)});
  }
  return counts;
}

Result<std::optional<DeadLetterWhole>> FindDeadLetter(sql::Session& session,
                                                      std::string_view tenant,
                                                      std::string_view id) {
  return FindOne<DeadLetterWhole>(session, kById, tenant, id, ReadWhole);
}

Result<std::optional<PageKey>> FindDeadLetterKey(sql::Session& session, std::string_view tenant,
                                                 std::string_view id) {
  return FindKey(session, kKeyById, tenant, id);
}

}  // namespace alertstream::read_model

#include "projections/read_model/dead_letters.h"

#include <array>

namespace alertstream::read_model {
namespace {

#define ALERTSTREAM_DEAD_LETTER_COLUMNS \
  "id, topic, partition, \"offset\", append_time, stage, reason, detail, event_type, at"

constexpr std::array kFilters = {"reason"};

constexpr sql::Statement kById = {"read_model.dead_letter",
                                  "SELECT " ALERTSTREAM_DEAD_LETTER_COLUMNS
                                  ", original_sealed"
                                  " FROM read_model.dead_letters WHERE tenant_id = $1 AND id = $2"};
constexpr sql::Statement kKeyById = {
    "read_model.dead_letter_key",
    "SELECT at FROM read_model.dead_letters WHERE tenant_id = $1 AND id = $2"};

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
          .at = rows.Time(row, 9)};
}

DeadLetterWhole ReadWhole(const sql::Rows& rows, std::size_t row) {
  return {.letter = ReadDeadLetter(rows, row), .original_sealed = OptionalBytes(rows, row, 10)};
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
  return FindPage<DeadLetter>(session, tenant, kDeadLetterList, WantedFilters({filters.reason}),
                              request, ReadDeadLetter);
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

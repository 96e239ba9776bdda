#include "projections/read_model/events.h"

#include <array>

namespace alertstream::read_model {
namespace {

#define ALERTSTREAM_EVENT_COLUMNS                                                               \
  "id, type, site, event_time, append_time, decided_at, verdict, candidates, topic, partition," \
  " \"offset\", engine_version, gates, duplicate_of"

constexpr std::array kFilters = {"type"};

constexpr sql::Statement kById = {"read_model.event",
                                  "SELECT " ALERTSTREAM_EVENT_COLUMNS
                                  " FROM read_model.events WHERE tenant_id = $1 AND id = $2"};
constexpr sql::Statement kKeyById = {
    "read_model.event_key",
    "SELECT append_time FROM read_model.events WHERE tenant_id = $1 AND id = $2"};

Event ReadEvent(const sql::Rows& rows, std::size_t row) {
  return {.id = std::string(rows.Text(row, 0)),
          .type = std::string(rows.Text(row, 1)),
          .site = std::string(rows.Text(row, 2)),
          .event_time = rows.Time(row, 3),
          .append_time = rows.Time(row, 4),
          .decided_at = rows.Time(row, 5),
          .verdict = std::string(rows.Text(row, 6)),
          .candidates = rows.Integer(row, 7),
          .topic = std::string(rows.Text(row, 8)),
          .partition = static_cast<std::int32_t>(rows.Integer(row, 9)),
          .offset = rows.Integer(row, 10),
          .engine_version = rows.Integer(row, 11),
          .gates = std::string(rows.Text(row, 12)),
          .duplicate_of = OptionalText(rows, row, 13)};
}

}  // namespace

const ListShape kEventList = {.name = "events",
                              .columns = ALERTSTREAM_EVENT_COLUMNS,
                              .from = "read_model.events",
                              .time = "append_time",
                              .id = "id",
                              .filters = kFilters};

Result<Page<Event>> ListEvents(sql::Session& session, std::string_view tenant,
                               const EventFilters& filters, const PageRequest& request) {
  return FindPage<Event>(session, tenant, kEventList, WantedFilters({filters.type}), request,
                         ReadEvent);
}

Result<std::optional<Event>> FindEvent(sql::Session& session, std::string_view tenant,
                                       std::string_view id) {
  return FindOne<Event>(session, kById, tenant, id, ReadEvent);
}

Result<std::optional<PageKey>> FindEventKey(sql::Session& session, std::string_view tenant,
                                            std::string_view id) {
  return FindKey(session, kKeyById, tenant, id);
}

}  // namespace alertstream::read_model

#include "projections/read_model/triggers.h"

#include <array>

#include <fmt/format.h>

namespace alertstream::read_model {
namespace {

#define ALERTSTREAM_TRIGGER_COLUMNS \
  "id, version, is_current, enabled, deleted, definition, recipients_sealed, actor, at"

constexpr std::array kVersionFilters = {"id"};

constexpr sql::Statement kById = {
    "read_model.trigger",
    "SELECT " ALERTSTREAM_TRIGGER_COLUMNS
    " FROM read_model.triggers WHERE tenant_id = $1 AND id = $2 ORDER BY version DESC LIMIT 1"};

Trigger ReadTrigger(const sql::Rows& rows, std::size_t row) {
  return {.id = std::string(rows.Text(row, 0)),
          .version = rows.Integer(row, 1),
          .is_current = rows.Boolean(row, 2),
          .enabled = rows.Boolean(row, 3),
          .deleted = rows.Boolean(row, 4),
          .definition = std::string(rows.Text(row, 5)),
          .recipients_sealed = OptionalBytes(rows, row, 6),
          .actor = std::string(rows.Text(row, 7)),
          .at = rows.Time(row, 8)};
}

}  // namespace

const ListShape kTriggerList = {
    .name = "triggers",
    .columns = ALERTSTREAM_TRIGGER_COLUMNS,
    // Written out, so that the index of what is current serves it.
    .from = "(SELECT * FROM read_model.triggers WHERE is_current AND NOT deleted) AS triggers",
    .time = "at",
    .id = "id",
    .filters = {}};

// One trigger's versions have one id: what orders those of one moment is their number as text.
const ListShape kTriggerVersionList = {
    .name = "trigger_versions",
    .columns = ALERTSTREAM_TRIGGER_COLUMNS,
    .from =
        "(SELECT *, lpad(version::text, 19, '0') COLLATE \"C\" AS version_key"
        " FROM read_model.triggers) AS versions",
    .time = "at",
    .id = "version_key",
    .filters = kVersionFilters};

Result<std::optional<Trigger>> FindTrigger(sql::Session& session, std::string_view tenant,
                                           std::string_view id) {
  return FindOne<Trigger>(session, kById, tenant, id, ReadTrigger);
}

Result<Page<Trigger>> ListTriggers(sql::Session& session, std::string_view tenant,
                                   const PageRequest& request) {
  return FindPage<Trigger>(session, tenant, kTriggerList, {}, request, ReadTrigger);
}

std::string VersionKey(std::int64_t version) { return fmt::format("{:019}", version); }

Result<Page<Trigger>> ListTriggerVersions(sql::Session& session, std::string_view tenant,
                                          std::string_view id, const PageRequest& request) {
  return FindPage<Trigger>(session, tenant, kTriggerVersionList, {{0, std::string(id)}}, request,
                           ReadTrigger);
}

}  // namespace alertstream::read_model

#include "projections/read_model/trigger_versions.h"

namespace alertstream::read_model {
namespace {

constexpr sql::Statement kVersion = {
    "read_model.trigger_version",
    "SELECT id, version, is_current, definition FROM read_model.triggers"
    " WHERE tenant_id = $1 AND id = $2 AND version = $3::bigint"};

}  // namespace

Result<std::optional<TriggerVersion>> FindTriggerVersion(sql::Session& session,
                                                         std::string_view tenant,
                                                         std::string_view id,
                                                         std::int64_t version) {
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const sql::Rows rows,
      session.Run(kVersion, sql::Params().Text(tenant).Text(id).Integer(version)));
  if (rows.size() == 0) {
    return std::optional<TriggerVersion>();
  }
  return std::optional(TriggerVersion{.id = std::string(rows.Text(0, 0)),
                                      .version = rows.Integer(0, 1),
                                      .is_current = rows.Boolean(0, 2),
                                      .definition = std::string(rows.Text(0, 3))});
}

}  // namespace alertstream::read_model

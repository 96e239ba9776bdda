#include "projections/read_model/decisions.h"

#include <array>

namespace alertstream::read_model {
namespace {

#define ALERTSTREAM_DECISION_COLUMNS                                                            \
  "id, event_id, event_type, trigger_id, trigger_version, recipient, channel, message_class,"   \
  " outcome, reason, defer_until, notification_id, gates, segments, plan_version, decided_at, " \
  "partition, seq"

// As the fields of DecisionFilters.
constexpr std::array kFilters = {"event_id", "trigger_id", "recipient", "outcome"};

constexpr sql::Statement kById = {"read_model.decision",
                                  "SELECT " ALERTSTREAM_DECISION_COLUMNS
                                  " FROM read_model.decisions WHERE tenant_id = $1 AND id = $2"};
constexpr sql::Statement kKeyById = {
    "read_model.decision_key",
    "SELECT decided_at FROM read_model.decisions WHERE tenant_id = $1 AND id = $2"};

Decision ReadDecision(const sql::Rows& rows, std::size_t row) {
  return {.id = std::string(rows.Text(row, 0)),
          .event_id = std::string(rows.Text(row, 1)),
          .event_type = std::string(rows.Text(row, 2)),
          .trigger_id = std::string(rows.Text(row, 3)),
          .trigger_version = rows.Integer(row, 4),
          .recipient = OptionalText(rows, row, 5),
          .channel = std::string(rows.Text(row, 6)),
          .message_class = std::string(rows.Text(row, 7)),
          .outcome = std::string(rows.Text(row, 8)),
          .reason = OptionalText(rows, row, 9),
          .defer_until = OptionalTime(rows, row, 10),
          .notification_id = OptionalText(rows, row, 11),
          .gates = std::string(rows.Text(row, 12)),
          .segments = rows.Integer(row, 13),
          .plan_version = rows.Integer(row, 14),
          .decided_at = rows.Time(row, 15),
          .partition = rows.Integer(row, 16),
          .seq = rows.Integer(row, 17)};
}

}  // namespace

const ListShape kDecisionList = {.name = "decisions",
                                 .columns = ALERTSTREAM_DECISION_COLUMNS,
                                 .from = "read_model.decisions",
                                 .time = "decided_at",
                                 .id = "id",
                                 .filters = kFilters};

Result<Page<Decision>> ListDecisions(sql::Session& session, std::string_view tenant,
                                     const DecisionFilters& filters, const PageRequest& request) {
  return FindPage<Decision>(
      session, tenant, kDecisionList,
      WantedFilters({filters.event, filters.trigger, filters.recipient, filters.outcome}), request,
      ReadDecision);
}

Result<std::optional<Decision>> FindDecision(sql::Session& session, std::string_view tenant,
                                             std::string_view id) {
  return FindOne<Decision>(session, kById, tenant, id, ReadDecision);
}

Result<std::optional<PageKey>> FindDecisionKey(sql::Session& session, std::string_view tenant,
                                               std::string_view id) {
  return FindKey(session, kKeyById, tenant, id);
}

}  // namespace alertstream::read_model

#include "projections/all.h"

#include "projections/accounts.h"
#include "projections/attempts.h"
#include "projections/audit_log.h"
#include "projections/consents.h"
#include "projections/dead_letters.h"
#include "projections/decisions.h"
#include "projections/events.h"
#include "projections/notifications.h"
#include "projections/opt_outs.h"
#include "projections/recipients.h"
#include "projections/triggers.h"
#include "projections/usage.h"

namespace alertstream::projections {
namespace {

constexpr KeyColumn kTenantColumn = {"tenant_id", "text"};
constexpr KeyColumn kIdColumn = {"id", "text"};
constexpr KeyColumn kNumberColumn = {"id", "bigint"};

// A function's own, so that it is there whenever it is asked for.
const std::vector<TableKey>& Tables() {
  static const std::vector<TableKey> tables = {
      {"events", {kTenantColumn, kIdColumn, {"append_time", "timestamptz"}}},
      {"decisions", {kTenantColumn, kIdColumn, {"decided_at", "timestamptz"}}},
      {"notifications", {kTenantColumn, kIdColumn}},
      {"attempts", {kTenantColumn, {"notification_id", "text"}, {"attempt", "int"}}},
      {"recipients", {kTenantColumn, kIdColumn}},
      {"consents", {kTenantColumn, kIdColumn}},
      {"opt_outs", {kTenantColumn, kNumberColumn}},
      {"triggers", {kTenantColumn, kIdColumn, {"version", "bigint"}}},
      {"tenants", {kTenantColumn}},
      {"sites", {kTenantColumn, kIdColumn}},
      {"plans", {kTenantColumn, kIdColumn}},
      {"senders", {kTenantColumn, kIdColumn}},
      {"quota_usage", {kTenantColumn, {"month", "int"}}},
      {"dead_letters", {kTenantColumn, kIdColumn}},
      {"audit_log", {kTenantColumn, kNumberColumn, {"partition", "int"}}},
  };
  return tables;
}

}  // namespace

std::vector<std::unique_ptr<Projection>> AllProjections() {
  std::vector<std::unique_ptr<Projection>> all;
  all.push_back(std::make_unique<AccountsProjection>());
  all.push_back(std::make_unique<TriggersProjection>());
  all.push_back(std::make_unique<EventsProjection>());
  all.push_back(std::make_unique<DecisionsProjection>());
  all.push_back(std::make_unique<NotificationsProjection>());
  all.push_back(std::make_unique<AttemptsProjection>());
  all.push_back(std::make_unique<RecipientsProjection>());
  all.push_back(std::make_unique<ConsentsProjection>());
  all.push_back(std::make_unique<OptOutsProjection>());
  all.push_back(std::make_unique<UsageProjection>());
  all.push_back(std::make_unique<DeadLettersProjection>());
  all.push_back(std::make_unique<AuditLogProjection>());
  return all;
}

std::span<const TableKey> AllTables() { return Tables(); }

}  // namespace alertstream::projections

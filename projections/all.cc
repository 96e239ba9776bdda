#include "projections/all.h"

#include <array>

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

constexpr std::array<TableKey, 15> kTables = {{
    {"events", "tenant_id, id, append_time"},
    {"decisions", "tenant_id, id, decided_at"},
    {"notifications", "tenant_id, id"},
    {"attempts", "tenant_id, notification_id, attempt"},
    {"recipients", "tenant_id, id"},
    {"consents", "tenant_id, id"},
    {"opt_outs", "tenant_id, id"},
    {"triggers", "tenant_id, id, version"},
    {"tenants", "tenant_id"},
    {"sites", "tenant_id, id"},
    {"plans", "tenant_id, id"},
    {"senders", "tenant_id, id"},
    {"quota_usage", "tenant_id, month"},
    {"dead_letters", "tenant_id, id"},
    {"audit_log", "tenant_id, id, partition"},
}};

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

std::span<const TableKey> AllTables() { return kTables; }

}  // namespace alertstream::projections

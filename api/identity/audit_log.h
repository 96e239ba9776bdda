// AuditLog: the audit trail in the table identity.audit_events. Thread-safe; blocks.
#pragma once

#include "api/identity/audit.h"
#include "processor/base/clock.h"
#include "processor/base/time.h"
#include "projections/sql/database.h"

namespace alertstream::api {

// Within the transaction of what is recorded.
Status InsertAudit(sql::Session& session, const AuditEvent& event, LogTime now);

class AuditLog final : public AuditTrail {
 public:
  // `pool` is of the role alertstream_identity; both outlive this.
  AuditLog(sql::Pool& pool, const Clock& clock) : pool_(pool), clock_(clock) {}
  Status Record(const AuditEvent& event) override;

 private:
  sql::Pool& pool_;
  const Clock& clock_;
};

}  // namespace alertstream::api

#include "api/identity/audit_log.h"

#include "api/identity/transaction.h"

namespace alertstream::api {
namespace {

constexpr sql::Statement kInsert = {
    "identity.audit_insert",
    "INSERT INTO identity.audit_events (tenant_id, at, actor, action, subject, detail) "
    "VALUES ($1, $2::timestamptz, $3, $4, $5, $6::jsonb)"};

}  // namespace

Status InsertAudit(sql::Session& session, const AuditEvent& event, LogTime now) {
  ALERTSTREAM_RETURN_IF_ERROR(session.Run(kInsert, sql::Params()
                                                       .Text(event.tenant)
                                                       .Time(now)
                                                       .Text(event.actor)
                                                       .Text(event.action)
                                                       .Text(event.subject)
                                                       .Text(event.detail_json)));
  return Status::Ok();
}

Status AuditLog::Record(const AuditEvent& event) {
  auto lease = pool_.Take(kSessionWaitMax);
  if (!lease.ok()) {
    return lease.error();
  }
  return InsertAudit(*lease.value(), event, clock_.Now());
}

}  // namespace alertstream::api

// The audit log of a tenant: what its people and keys did. Two tables in one list: facts of the log
// with an actor (read_model.audit_log), and what has no record in the log - logins, keys, users,
// looks at personal data (identity.audit_events).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "projections/read_model/page.h"

namespace alertstream::read_model {

struct AuditEntry {
  std::string id;  // "aud_l15": of the log; "aud_i15": of identity.
  LogTime at{};
  std::string actor;
  std::string action;
  std::string subject;
  std::string detail;  // JSON.
};

struct AuditFilters {
  std::optional<std::string> actor;
};

// The id of a key is that of an entry. kInvalid: the key is of no entry of this list.
Result<Page<AuditEntry>> ListAudit(sql::Session& session, std::string_view tenant,
                                   const AuditFilters& filters, const PageRequest& request);

// An id as the list forms it.
bool IsAuditId(std::string_view id);
Result<std::optional<PageKey>> FindAuditKey(sql::Session& session, std::string_view tenant,
                                            std::string_view id);

extern const ListShape kAuditLogList;
extern const ListShape kAuditEventList;

}  // namespace alertstream::read_model

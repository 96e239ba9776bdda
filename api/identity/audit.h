// AuditTrail: what people and keys did that the log of events has no record for: logins, keys,
// users, and who looked at personal data. Kept in the table identity.audit_events, whose rows are
// never changed; GET audit shows them together with read_model.audit_log. Blocks: for workers only.
//
// Columns (stored): tenant_id text, id bigint, at timestamptz, actor text, action text, subject
// text, detail jsonb. Readable by the role alertstream_api under row-level security.
#pragma once

#include <string>

#include "processor/base/result.h"

namespace alertstream::api {

struct AuditEvent {
  std::string tenant;
  std::string actor;               // "usr_…", or an API key's id.
  std::string action;              // "personal_data.reveal", "key.revoke", ...
  std::string subject;             // The id of what it was done to; never an address or a name.
  std::string detail_json = "{}";  // An object without personal data and secrets.
};

class AuditTrail {
 public:
  virtual ~AuditTrail() = default;
  // kUnavailable: not recorded, so what it stands for may not happen.
  virtual Status Record(const AuditEvent& event) = 0;
};

}  // namespace alertstream::api

// The table `audit_log`: who changed what, accepted or rejected: every fact with an actor. Pure but
// for Write.
#pragma once

#include <cstdint>
#include <string>

#include "projections/projection.h"

namespace alertstream::projections {

struct AuditRow {
  std::string tenant_id;
  std::int64_t id = 0;
  LogTime at{};
  std::string actor;
  std::string action;   // "trigger.change", "consent.change.rejected".
  std::string subject;  // The id of what it is about; never an address.
  std::string detail;
  std::int64_t partition = 0;
  std::int64_t seq = 0;
};

class AuditLogProjection final : public AddingProjection<AuditRow> {
 public:
  void Fold(const Batch& batch) override;
  Status Write(sql::Session& session) override;
};

}  // namespace alertstream::projections

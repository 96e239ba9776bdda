// The table `audit_log`: who changed what, accepted or rejected: every fact with an actor. Pure but
// for Write.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

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

class AuditLogProjection final : public Projection {
 public:
  void Fold(const Batch& batch) override;
  Status Write(sql::Session& session) override;
  std::size_t rows() const override { return rows_.size(); }
  void Clear() override { rows_.clear(); }

  const std::vector<AuditRow>& made() const { return rows_; }

 private:
  std::vector<AuditRow> rows_;
};

}  // namespace alertstream::projections

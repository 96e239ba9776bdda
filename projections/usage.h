// The table `quota_usage`: sends of a tenant in a calendar month. Pure but for Write.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "projections/columns.h"
#include "projections/projection.h"

namespace alertstream::projections {

struct UsageRow {
  std::string tenant_id;
  std::int64_t month = 0;  // 202611
  std::int64_t sends = 0;
  std::int64_t sends_max = 0;
  LogTime at{};
  std::int64_t partition = 0;
  std::int64_t seq = 0;
};

class UsageProjection final : public Projection {
 public:
  void Fold(const Batch& batch) override;
  Status Write(sql::Session& session) override;
  std::size_t rows() const override { return rows_.rows().size(); }
  void Clear() override { rows_.Clear(); }

  const std::vector<UsageRow>& made() const { return rows_.rows(); }

 private:
  Keyed<UsageRow> rows_;
};

}  // namespace alertstream::projections

// The table `triggers`: every accepted version of every trigger. Pure but for Write.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "projections/columns.h"
#include "projections/projection.h"
#include "schemas/envelope.pb.h"

namespace alertstream::projections {

struct TriggerRow {
  std::string tenant_id;
  std::string id;
  std::int64_t version = 0;
  std::string event_type;
  bool enabled = false;
  bool deleted = false;
  std::string definition;
  std::optional<std::string> recipients_sealed;
  std::string actor;
  LogTime at{};
  std::int64_t partition = 0;
  std::int64_t seq = 0;
};

// The trigger as a rules file has it, but for the addresses of a fixed list, which are masked.
std::string TriggerDefinition(const v1::Trigger& trigger);

class TriggersProjection final : public Projection {
 public:
  void Fold(const Batch& batch) override;
  Status Write(sql::Session& session) override;
  std::size_t rows() const override { return rows_.rows().size(); }
  void Clear() override { rows_.Clear(); }

  const std::vector<TriggerRow>& made() const { return rows_.rows(); }

 private:
  Keyed<TriggerRow> rows_;
};

}  // namespace alertstream::projections

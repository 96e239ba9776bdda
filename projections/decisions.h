// The table `decisions`: one row for every (trigger, recipient, channel) that was decided. Pure but
// for Write.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "projections/projection.h"

namespace alertstream::projections {

struct DecisionRow {
  std::string tenant_id;
  std::string id;
  std::string event_id;
  std::string event_type;
  std::string trigger_id;
  std::int64_t trigger_version = 0;
  std::optional<std::string> recipient;
  std::string channel;
  std::string message_class;
  std::string outcome;
  std::optional<std::string> reason;
  std::optional<LogTime> defer_until;
  std::optional<std::string> notification_id;
  std::string gates;
  std::int64_t segments = 0;
  std::int64_t plan_version = 0;
  LogTime decided_at{};
  std::int64_t partition = 0;
  std::int64_t seq = 0;
};

class DecisionsProjection final : public AddingProjection<DecisionRow> {
 public:
  void Fold(const Batch& batch) override;
  Status Write(sql::Session& session) override;
  void VisitMonths(const std::function<void(LogTime)>& visit) const override;
};

}  // namespace alertstream::projections

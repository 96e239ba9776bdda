// The table `events`: one row for every decided event. Pure but for Write.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "projections/projection.h"

namespace alertstream::projections {

struct EventRow {
  std::string tenant_id;
  std::string id;
  std::string type;
  std::string site;
  LogTime event_time{};
  LogTime append_time{};
  LogTime decided_at{};
  std::string verdict;
  std::int64_t candidates = 0;
  std::string topic;
  std::int64_t partition = 0;
  std::int64_t offset = 0;
  std::int64_t engine_version = 0;
  std::string gates;
  std::optional<std::string> duplicate_of;
  std::int64_t seq = 0;
};

class EventsProjection final : public AddingProjection<EventRow> {
 public:
  void Fold(const Batch& batch) override;
  Status Write(sql::Session& session) override;
  void VisitMonths(const std::function<void(LogTime)>& visit) const override;
};

}  // namespace alertstream::projections

// The table `dead_letters`: records that could not be processed. Pure but for Write.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "projections/projection.h"

namespace alertstream::projections {

struct DeadLetterRow {
  std::string tenant_id;  // "" if not known.
  std::string id;
  std::string topic;
  std::int64_t partition = 0;
  std::int64_t offset = 0;
  LogTime append_time{};
  std::string stage;
  std::string reason;
  std::string detail;
  std::string event_type;
  LogTime at{};
  std::optional<std::string> original_sealed;
  std::int64_t seq = 0;
};

class DeadLettersProjection final : public AddingProjection<DeadLetterRow> {
 public:
  void Fold(const Batch& batch) override;
  Status Write(sql::Session& session) override;
};

}  // namespace alertstream::projections

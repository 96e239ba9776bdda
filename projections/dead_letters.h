// The table `dead_letters`: records that could not be processed. Pure but for Write.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

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

class DeadLettersProjection final : public Projection {
 public:
  void Fold(const Batch& batch) override;
  Status Write(sql::Session& session) override;
  std::size_t rows() const override { return rows_.size(); }
  void Clear() override { rows_.clear(); }

  const std::vector<DeadLetterRow>& made() const { return rows_; }

 private:
  std::vector<DeadLetterRow> rows_;
};

}  // namespace alertstream::projections

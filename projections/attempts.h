// The table `attempts`: what the dispatcher tried, from the facts about attempts and the records
// that caused them. Pure but for Write.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "projections/columns.h"
#include "projections/projection.h"

namespace alertstream::projections {

// An attempt as far as batches tell, merged. The first definite result stays; `ambiguous` gives way
// to a later one.
struct AttemptRow {
  std::string tenant_id;
  std::string notification_id;
  std::int64_t attempt = 0;
  std::optional<LogTime> started_at;
  std::optional<LogTime> finished_at;
  std::optional<std::string> result;
  std::optional<std::string> provider;
  std::optional<std::string> account;
  std::optional<std::string> provider_message_id;
  std::optional<std::string> error_code;
  std::optional<LogTime> retry_at;
  std::int64_t partition = 0;
  std::int64_t seq = 0;
  LogTime id_time{};
};

class AttemptsProjection final : public Projection {
 public:
  void Fold(const Batch& batch) override;
  Status Write(sql::Session& session) override;
  std::size_t rows() const override { return rows_.rows().size(); }
  void Clear() override { rows_.Clear(); }
  void VisitMonths(const std::function<void(LogTime)>& visit) const override;

  const std::vector<AttemptRow>& made() const { return rows_.rows(); }

 private:
  Keyed<AttemptRow> rows_;
};

}  // namespace alertstream::projections

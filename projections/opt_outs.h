// The table `opt_outs`: every opt-out and its end, accepted or rejected, whoever said so. Pure but
// for Write.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "projections/projection.h"

namespace alertstream::projections {

struct OptOutRow {
  std::string tenant_id;
  std::int64_t id = 0;
  std::string recipient;
  std::string channel;
  std::string status;
  std::string by;
  std::string reason;
  std::string actor;
  LogTime at{};
  std::string result;
  std::optional<std::string> reject_reason;
  std::int64_t version = 0;
  std::string topic;
  std::int64_t partition = 0;
  std::int64_t offset = 0;
  std::int64_t seq = 0;
};

class OptOutsProjection final : public AddingProjection<OptOutRow> {
 public:
  void Fold(const Batch& batch) override;
  Status Write(sql::Session& session) override;
};

}  // namespace alertstream::projections

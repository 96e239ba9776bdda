// The table `consents`: every consent and revocation with its evidence, accepted or rejected. Pure
// but for Write.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "processor/base/id.h"
#include "projections/projection.h"

namespace alertstream::projections {

// The id of a consent: of the record on consent-changes, so that whoever appended it knows it.
// Stored.
IdBytes ConsentId(std::string_view tenant, std::int64_t partition, std::int64_t offset,
                  LogTime append_time);

struct ConsentRow {
  std::string tenant_id;
  std::string id;
  std::string recipient;
  std::string channel;
  std::string message_class;
  std::string status;
  std::string source;
  bool written = false;
  std::optional<std::string> evidence;
  std::optional<std::string> detail_sealed;
  std::string actor;
  LogTime at{};
  LogTime recorded_at{};
  std::string result;
  std::optional<std::string> reject_reason;
  std::int64_t version = 0;
  std::string topic;
  std::int64_t partition = 0;
  std::int64_t offset = 0;
  std::int64_t seq = 0;
};

class ConsentsProjection final : public AddingProjection<ConsentRow> {
 public:
  void Fold(const Batch& batch) override;
  Status Write(sql::Session& session) override;
};

}  // namespace alertstream::projections

// Records of a tenant that could not be processed. One whose tenant is not known is no tenant's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "projections/read_model/page.h"

namespace alertstream::read_model {

struct DeadLetter {
  std::string id;  // dlq_…
  std::string topic;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  LogTime append_time{};
  std::string stage;
  std::string reason;
  std::string detail;  // Without personal data.
  std::string event_type;
  LogTime at{};
};

// With the record itself.
struct DeadLetterWhole {
  DeadLetter letter;
  std::optional<std::string> original_sealed;  // A Personal message that holds a RawRecord.
};

struct DeadLetterFilters {
  std::optional<std::string> reason;
};

Result<Page<DeadLetter>> ListDeadLetters(sql::Session& session, std::string_view tenant,
                                         const DeadLetterFilters& filters,
                                         const PageRequest& request);
Result<std::optional<DeadLetterWhole>> FindDeadLetter(sql::Session& session,
                                                      std::string_view tenant, std::string_view id);
Result<std::optional<PageKey>> FindDeadLetterKey(sql::Session& session, std::string_view tenant,
                                                 std::string_view id);

extern const ListShape kDeadLetterList;

}  // namespace alertstream::read_model

// Records of a tenant that could not be processed. One whose tenant is not known is no tenant's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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
  // What was done about it; open: nothing.
  std::string status;
  std::int64_t retries = 0;
  std::optional<LogTime> acted_at;
  std::optional<std::string> acted_by;
  std::optional<std::string> acted_reason;
  std::optional<std::string> died_as;   // dlq_… of its retry.
  std::optional<std::string> retry_of;  // dlq_… whose retry it is.
};

// With the record itself.
struct DeadLetterWhole {
  DeadLetter letter;
  std::optional<std::string> original_sealed;  // A Personal message that holds a RawRecord.
};

struct DeadLetterFilters {
  std::optional<std::string> reason;
  std::optional<std::string> status;
  std::optional<std::string> stage;
  std::optional<std::string> type;
};

// How many of one kind there are, and from when to when they died.
struct DeadLetterCount {
  std::string status;
  std::string stage;
  std::string reason;
  std::int64_t letters = 0;
  LogTime first{};
  LogTime last{};
};
// Reads an entry of the tenant's index for each of its letters.
Result<std::vector<DeadLetterCount>> CountDeadLetters(sql::Session& session,
                                                      std::string_view tenant);

Result<Page<DeadLetter>> ListDeadLetters(sql::Session& session, std::string_view tenant,
                                         const DeadLetterFilters& filters,
                                         const PageRequest& request);
Result<std::optional<DeadLetterWhole>> FindDeadLetter(sql::Session& session,
                                                      std::string_view tenant, std::string_view id);
Result<std::optional<PageKey>> FindDeadLetterKey(sql::Session& session, std::string_view tenant,
                                                 std::string_view id);

extern const ListShape kDeadLetterList;

}  // namespace alertstream::read_model

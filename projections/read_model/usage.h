// What a tenant has sent of what its plan allows, by calendar month (UTC).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "projections/read_model/page.h"

namespace alertstream::read_model {

inline constexpr std::size_t kUsageMonthsMax = 13;  // The present month and a year.

struct UsageMonth {
  std::int64_t month = 0;  // 202611
  std::int64_t sends = 0;
  std::int64_t sends_max = 0;  // When they were last counted.
  LogTime at{};
};

struct Usage {
  std::optional<std::string> plan;        // The tenant's plan, if it exists.
  std::optional<std::int64_t> sends_max;  // Of that plan, a month.
  std::vector<UsageMonth> months;         // Newest first.
};

Result<Usage> ReadUsage(sql::Session& session, std::string_view tenant);

}  // namespace alertstream::read_model

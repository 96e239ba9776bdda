// The header Retry-After (RFC 9110, 10.2.3) of a provider's answer. Pure; used by the adapters.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "processor/base/time.h"

namespace alertstream::dispatch {

// A provider that asks for more has a lasting problem; we look again after an hour.
inline constexpr std::chrono::seconds kRetryAfterMax{3600};

// How long to wait from `now`: `value` is a number of seconds or an IMF-fixdate ("Sun, 06 Nov 1994
// 08:49:37 GMT"). Negative or past is 0, and parts of a second count whole. Nothing if it is
// neither.
std::optional<std::chrono::seconds> ParseRetryAfter(std::string_view value, LogTime now);

}  // namespace alertstream::dispatch

// Positions of the log as text: what X-Position says of a change, and X-Min-Position asks for:
// "account-changes/0/41", several with commas between. Pure. Used by routes that write and by
// reads.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/log/answer_watch.h"
#include "processor/base/result.h"

namespace alertstream::api {

inline constexpr std::size_t kPositionsMax = 16;  // More than a request of ours ever appends.

std::string FormatPositions(std::span<const AppendedPosition> positions);

// kInvalid: malformed, no input topic, or more than kPositionsMax; the message can be shown.
Result<std::vector<AppendedPosition>> ParsePositions(std::string_view text);

}  // namespace alertstream::api

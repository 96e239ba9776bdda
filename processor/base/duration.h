// Durations as people write them in rule files and settings: 500ms, 10s, 10m, 2h, 7d. Pure.
#pragma once

#include <string>
#include <string_view>

#include "processor/base/result.h"
#include "processor/base/time.h"

namespace alertstream {

// One whole number and one unit of ms, s, m, h, d (a day is 24 hours), no sign, no space. kInvalid
// says what a duration looks like and never repeats the text.
Result<LogDuration> ParseDuration(std::string_view text);

// The same notation in the largest unit that divides it: 90s, 2h; "0s" for none.
std::string FormatDuration(LogDuration duration);

}  // namespace alertstream

// RFC 3339 times to LogTime and back. Pure. Used by conditions, the API, imports and everything
// that shows a time to a person.
#pragma once

#include <string>
#include <string_view>

#include "processor/base/result.h"
#include "processor/base/time.h"

namespace alertstream {

// "2026-01-31T23:59:59Z", "2026-01-31t23:59:59.25+03:00": a date, T, a time with one to nine digits
// of fraction, and Z or an offset of hours and minutes. Digits below a microsecond are cut off, so
// a time never moves forward. The year, as written and in UTC, is 0001 to 9999.
//
// kInvalid names the byte where the text stops being a time, and never repeats the text. A leap
// second (":60") is refused, because LogTime has no value for it.
Result<LogTime> ParseRfc3339(std::string_view text);

// In UTC with Z and no, three or six digits of fraction, whichever loses nothing. Times outside the
// years 0001 to 9999 have no form in RFC 3339: they show as the first or last one that has.
std::string FormatRfc3339(LogTime time);

}  // namespace alertstream

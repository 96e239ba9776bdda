#include "processor/dispatch/retry_after.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "processor/base/text.h"

namespace alertstream::dispatch {
namespace {

using std::chrono::seconds;

constexpr std::array<std::string_view, 7> kDays = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// A number of `text`'s digits, or nothing if it holds anything else. Stops counting above an hour.
std::optional<int> Number(std::string_view text) {
  if (text.empty() || !std::all_of(text.begin(), text.end(), IsDigit)) {
    return std::nullopt;
  }
  int number = 0;
  for (const char c : text) {
    number = std::min(number * 10 + (c - '0'), 1'000'000);
  }
  return number;
}

// "Sun, 06 Nov 1994 08:49:37 GMT": exactly this form. The day's name is not compared with the date.
std::optional<LogTime> ParseFixdate(std::string_view text) {
  constexpr std::string_view kForm = "Www, dd Mmm yyyy hh:mm:ss GMT";
  if (text.size() != kForm.size()) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    const bool is_variable = (kForm[i] >= 'a' && kForm[i] <= 'z') || i == 0 || i == 8;
    if (!is_variable && text[i] != kForm[i]) {
      return std::nullopt;
    }
  }
  const auto* const day_name = std::find(kDays.begin(), kDays.end(), text.substr(0, 3));
  const auto* const month_name = std::find(kMonths.begin(), kMonths.end(), text.substr(8, 3));
  const auto day = Number(text.substr(5, 2));
  const auto year = Number(text.substr(12, 4));
  const auto hour = Number(text.substr(17, 2));
  const auto minute = Number(text.substr(20, 2));
  const auto second = Number(text.substr(23, 2));
  if (day_name == kDays.end() || month_name == kMonths.end() || !day || !year || !hour || !minute ||
      !second) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{
      std::chrono::year{*year},
      std::chrono::month{static_cast<unsigned>(month_name - kMonths.begin()) + 1},
      std::chrono::day{static_cast<unsigned>(*day)}};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) {  // 60: a leap second.
    return std::nullopt;
  }
  return LogTime{std::chrono::sys_days(date).time_since_epoch() + std::chrono::hours(*hour) +
                 std::chrono::minutes(*minute) + seconds(*second)};
}

}  // namespace

std::optional<seconds> ParseRetryAfter(std::string_view value, LogTime now) {
  const std::string_view text = Trimmed(value);
  if (text.starts_with('-')) {
    return Number(text.substr(1)) ? std::optional(seconds(0)) : std::nullopt;
  }
  if (const auto number = Number(text)) {
    return std::min(seconds(*number), kRetryAfterMax);
  }
  const auto at = ParseFixdate(text);
  if (!at) {
    return std::nullopt;
  }
  return std::clamp(std::chrono::ceil<seconds>(*at - now), seconds(0), kRetryAfterMax);
}

}  // namespace alertstream::dispatch

#include "processor/base/rfc3339.h"

#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace alertstream {
namespace {

constexpr std::size_t kFractionDigitsMax = 9;  // Nanoseconds: the finest anybody sends.
constexpr std::int64_t kMicrosPerSecond = 1'000'000;
constexpr std::int64_t kSecondsPerDay = 86'400;

constexpr std::int64_t DaysSinceEpoch(int year, unsigned month, unsigned day) {
  const std::chrono::sys_days days =
      std::chrono::year{year} / std::chrono::month{month} / std::chrono::day{day};
  return days.time_since_epoch().count();
}

constexpr std::int64_t kFirstMicros = DaysSinceEpoch(1, 1, 1) * kSecondsPerDay * kMicrosPerSecond;
constexpr std::int64_t kLastMicros =
    (DaysSinceEpoch(9999, 12, 31) + 1) * kSecondsPerDay * kMicrosPerSecond - 1;

// Reads the text from left to right. After the first failure every further read fails too.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  bool AtEnd() const { return at_ == text_.size(); }
  char Peek() const { return AtEnd() ? '\0' : text_[at_]; }
  bool PeekDigit() const { return Peek() >= '0' && Peek() <= '9'; }
  std::size_t at() const { return at_; }

  bool Take(char expected) {
    if (AtEnd() || text_[at_] != expected) {
      return false;
    }
    ++at_;
    return true;
  }
  bool TakeEither(char a, char b) { return Take(a) || Take(b); }

  // Exactly `digits` decimal digits.
  bool TakeNumber(int digits, int* number) {
    *number = 0;
    for (int i = 0; i < digits; ++i) {
      if (!PeekDigit()) {
        return false;
      }
      *number = *number * 10 + (text_[at_++] - '0');
    }
    return true;
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

Error Expected(const char* what, std::size_t at) {
  return {ErrorCode::kInvalid, fmt::format("RFC 3339 time: expected {} at byte {}", what, at)};
}

Error OutOfRange(const char* what) {
  return {ErrorCode::kInvalid, fmt::format("RFC 3339 time: {} is out of range", what)};
}

Result<std::int64_t> ReadDate(Reader& reader) {
  int year = 0;
  int month = 0;
  int day = 0;
  if (!reader.TakeNumber(4, &year) || !reader.Take('-') || !reader.TakeNumber(2, &month) ||
      !reader.Take('-') || !reader.TakeNumber(2, &day)) {
    return Expected("a date (YYYY-MM-DD)", reader.at());
  }
  if (year < 1) {
    return OutOfRange("the year");
  }
  if (month < 1 || month > 12) {
    return OutOfRange("the month");
  }
  const std::chrono::year_month_day date = std::chrono::year{year} /
                                           std::chrono::month{static_cast<unsigned>(month)} /
                                           std::chrono::day{static_cast<unsigned>(day)};
  if (!date.ok()) {
    return OutOfRange("the day");
  }
  return std::chrono::sys_days(date).time_since_epoch().count() * kSecondsPerDay;
}

// Seconds since midnight.
Result<std::int64_t> ReadTimeOfDay(Reader& reader) {
  int hour = 0;
  int minute = 0;
  int second = 0;
  if (!reader.TakeNumber(2, &hour) || !reader.Take(':') || !reader.TakeNumber(2, &minute) ||
      !reader.Take(':') || !reader.TakeNumber(2, &second)) {
    return Expected("a time of day (HH:MM:SS)", reader.at());
  }
  if (hour > 23) {
    return OutOfRange("the hour");
  }
  if (minute > 59) {
    return OutOfRange("the minute");
  }
  if (second > 59) {
    return OutOfRange("the second");
  }
  return (hour * 60 + minute) * 60 + second;
}

// Microseconds of an optional fraction.
Result<std::int64_t> ReadFraction(Reader& reader) {
  if (!reader.Take('.')) {
    return 0;
  }
  if (!reader.PeekDigit()) {
    return Expected("a digit", reader.at());
  }
  std::int64_t micros = 0;
  std::int64_t weight = kMicrosPerSecond / 10;
  for (std::size_t digits = 0; reader.PeekDigit(); ++digits) {
    if (digits == kFractionDigitsMax) {
      return Expected("at most nine digits of fraction", reader.at());
    }
    int digit = 0;
    if (!reader.TakeNumber(1, &digit)) {
      return Expected("a digit", reader.at());
    }
    micros += digit * weight;
    weight /= 10;
  }
  return micros;
}

// Seconds east of UTC.
Result<std::int64_t> ReadOffset(Reader& reader) {
  if (reader.TakeEither('Z', 'z')) {
    return 0;
  }
  const bool west = reader.Peek() == '-';
  int hours = 0;
  int minutes = 0;
  if (!reader.TakeEither('+', '-') || !reader.TakeNumber(2, &hours) || !reader.Take(':') ||
      !reader.TakeNumber(2, &minutes)) {
    return Expected("Z or an offset (+HH:MM)", reader.at());
  }
  if (hours > 23 || minutes > 59) {
    return OutOfRange("the offset");
  }
  const std::int64_t seconds = std::int64_t{hours * 60 + minutes} * 60;
  return west ? -seconds : seconds;
}

}  // namespace

Result<LogTime> ParseRfc3339(std::string_view text) {
  Reader reader(text);
  ALERTSTREAM_ASSIGN_OR_RETURN(const std::int64_t date, ReadDate(reader));
  if (!reader.TakeEither('T', 't')) {
    return Expected("T", reader.at());
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const std::int64_t time_of_day, ReadTimeOfDay(reader));
  ALERTSTREAM_ASSIGN_OR_RETURN(const std::int64_t fraction, ReadFraction(reader));
  ALERTSTREAM_ASSIGN_OR_RETURN(const std::int64_t offset, ReadOffset(reader));
  if (!reader.AtEnd()) {
    return Expected("the end", reader.at());
  }
  const std::int64_t micros = (date + time_of_day - offset) * kMicrosPerSecond + fraction;
  if (micros < kFirstMicros || micros > kLastMicros) {
    return OutOfRange("the year in UTC");
  }
  return FromMicros(micros);
}

std::string FormatRfc3339(LogTime time) {
  std::int64_t micros = ToMicros(time);
  if (micros < kFirstMicros) {
    micros = kFirstMicros;
  }
  if (micros > kLastMicros) {
    micros = kLastMicros;
  }
  const std::chrono::sys_time<std::chrono::microseconds> instant{std::chrono::microseconds{micros}};
  const auto day = std::chrono::floor<std::chrono::days>(instant);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{instant - day};
  std::string text =
      fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  clock.hours().count(), clock.minutes().count(), clock.seconds().count());
  const std::int64_t fraction = clock.subseconds().count();
  if (fraction % 1000 != 0) {
    text += fmt::format(".{:06}", fraction);
  } else if (fraction != 0) {
    text += fmt::format(".{:03}", fraction / 1000);
  }
  return text + 'Z';
}

}  // namespace alertstream

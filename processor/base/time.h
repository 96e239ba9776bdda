// LogTime: the time a record carries, in microseconds UTC since 1970. It is the only time that
// deciding code may see; the machine's time comes from a Clock (clock.h), at the edges only.
#pragma once

#include <chrono>
#include <cstdint>

namespace alertstream {

struct LogClock {
  using rep = std::int64_t;
  using period = std::micro;
  using duration = std::chrono::duration<rep, period>;
  using time_point = std::chrono::time_point<LogClock>;
  static constexpr bool is_steady = false;  // NOLINT(readability-identifier-naming): std's name.
  // No now(): log time is read from a record, never from a machine.
};

using LogTime = LogClock::time_point;
using LogDuration = LogClock::duration;

constexpr std::int64_t ToMicros(LogTime time) { return time.time_since_epoch().count(); }
constexpr LogTime FromMicros(std::int64_t micros) { return LogTime{LogDuration{micros}}; }

}  // namespace alertstream

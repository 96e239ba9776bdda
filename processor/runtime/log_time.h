// LogTimeSource: the only place where the machine's clock becomes LogTime. It never goes back
// inside a partition, and a clock that jumps stops the task instead of deciding with a wrong time.
// Belongs to one task.
#pragma once

#include <chrono>

#include "processor/base/clock.h"
#include "processor/base/result.h"
#include "processor/base/time.h"

namespace alertstream::runtime {

// A wall clock that steps by more than this against CLOCK_BOOTTIME, or differs by more from the
// log's own clock, is wrong.
inline constexpr LogDuration kClockStepMax = std::chrono::seconds{5};
// A start that finds the log's last time further away than this needs --accept-clock.
inline constexpr LogDuration kClockJumpMax = std::chrono::hours{24 * 7};

class LogTimeSource {
 public:
  explicit LogTimeSource(Clock& clock);

  // Checked once at a start. kInvalid: the wall clock is more than kClockJumpMax after, or more
  // than kClockStepMax before, the last time of the log.
  Status CheckStart(LogTime last) const;

  // max(last, wall clock). kInvalid: the wall clock stepped since the last call.
  Result<LogTime> Next(LogTime last);

  // kInvalid if the log's clock, seen when one of our records was appended, differs too much.
  Status CheckSkew(LogTime append_time) const;

 private:
  Clock& clock_;
  LogTime wall_;
  std::chrono::microseconds boot_;
};

}  // namespace alertstream::runtime

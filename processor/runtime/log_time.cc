#include "processor/runtime/log_time.h"

#include <algorithm>

#include <fmt/format.h>

namespace alertstream::runtime {
namespace {

double Seconds(LogDuration duration) { return static_cast<double>(duration.count()) / 1e6; }

}  // namespace

LogTimeSource::LogTimeSource(Clock& clock)
    : clock_(clock), wall_(clock.Now()), boot_(clock.SinceBoot()) {}

Status LogTimeSource::CheckStart(LogTime last) const {
  const LogTime wall = clock_.Now();
  if (wall - last > kClockJumpMax) {
    return Error(ErrorCode::kInvalid,
                 fmt::format("the clock is {:.0f} s after the last time of the log, more than 7 "
                             "days. If the clock is right, start once with --accept-clock",
                             Seconds(wall - last)));
  }
  if (last - wall > kClockStepMax) {
    return Error(
        ErrorCode::kInvalid,
        fmt::format("the clock is {:.1f} s behind the last time of the log. Correct the "
                    "clock; or, if the log was written with a wrong one, start once with "
                    "--accept-clock: log time then stands still until the clock catches up",
                    Seconds(last - wall)));
  }
  return Status::Ok();
}

Result<LogTime> LogTimeSource::Next(LogTime last) {
  const LogTime wall = clock_.Now();
  const auto boot = clock_.SinceBoot();
  const LogDuration step = (wall - wall_) - (boot - boot_);
  if (step > kClockStepMax || step < -kClockStepMax) {
    return Error(ErrorCode::kInvalid,
                 fmt::format("the wall clock stepped by {:.1f} s; enable time synchronisation",
                             Seconds(step)));
  }
  wall_ = wall;
  boot_ = boot;
  return std::max(last, wall);
}

Status LogTimeSource::CheckSkew(LogTime append_time) const {
  const LogDuration skew = clock_.Now() - append_time;
  if (skew > kClockStepMax || skew < -kClockStepMax) {
    return Error(ErrorCode::kInvalid,
                 fmt::format("this machine's clock and the log's differ by {:.1f} s; enable time "
                             "synchronisation on both",
                             Seconds(skew)));
  }
  return Status::Ok();
}

}  // namespace alertstream::runtime

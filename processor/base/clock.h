// Clock: the machine's time, for the edges (task runner, command line). The engine never sees one.
// Thread-safe.
#pragma once

#include <chrono>

#include "processor/base/time.h"

namespace alertstream {

class Clock {
 public:
  virtual ~Clock() = default;

  // Wall clock, UTC. May jump.
  virtual LogTime Now() const = 0;
  // CLOCK_BOOTTIME: never jumps, counts suspension. Only differences mean something.
  virtual std::chrono::microseconds SinceBoot() const = 0;
  // Blocks the calling thread.
  virtual void SleepFor(std::chrono::milliseconds duration) = 0;
};

// The machine's own clock; lives as long as the process.
Clock& SystemClock();

}  // namespace alertstream

#include <ctime>
#include <thread>

#include "processor/base/clock.h"

namespace alertstream {
namespace {

class MachineClock final : public Clock {
 public:
  LogTime Now() const override {
    const auto wall = std::chrono::system_clock::now().time_since_epoch();
    return LogTime{std::chrono::duration_cast<LogDuration>(wall)};
  }

  std::chrono::microseconds SinceBoot() const override {
    timespec spec{};
    clock_gettime(CLOCK_BOOTTIME, &spec);
    return std::chrono::seconds{spec.tv_sec} +
           std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::nanoseconds{spec.tv_nsec});
  }

  void SleepFor(std::chrono::milliseconds duration) override {
    std::this_thread::sleep_for(duration);
  }
};

}  // namespace

Clock& SystemClock() {
  static MachineClock clock;
  return clock;
}

}  // namespace alertstream

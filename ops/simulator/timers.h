// Timers: functions that run later, on one thread of their own. Thread-safe. Used by the provider
// simulator for callbacks and for requests that hang.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "processor/base/clock.h"

namespace alertstream::simulator {

inline constexpr std::size_t kTimersMax =
    200'000;  // A minute of 2,000 messages a second, and more.

class Timers {
 public:
  // `clock` outlives the object and passes as real time does.
  explicit Timers(const Clock& clock, std::size_t timers_max = kTimersMax);
  // As Stop.
  ~Timers();
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  // Runs `run`, which must not block, after `delay`; those of one moment in the order of the calls.
  // False: there are too many, or Stop was called; `run` is dropped.
  bool After(std::chrono::milliseconds delay, std::function<void()> run);
  std::size_t pending() const;
  // Drops what is pending, after what runs.
  void Stop();

 private:
  void Run();

  const Clock& clock_;
  const std::size_t timers_max_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::multimap<std::chrono::microseconds, std::function<void()>> pending_;
  bool stopping_ = false;
  std::thread thread_;  // Last: it uses what stands above.
};

}  // namespace alertstream::simulator

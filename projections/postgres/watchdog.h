// Ends calls that a server does not answer: libpq waits for ever on one that hangs. When the time
// of a call is over its socket is shut down, which libpq reports as a broken connection.
// Thread-safe; one thread, which wakes twice a second.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <set>
#include <thread>

#include "processor/base/clock.h"

namespace alertstream::postgres {

class Watchdog {
 public:
  explicit Watchdog(Clock& clock);
  // REQUIRES: nothing is watched any more.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // One socket. To be destroyed before the socket is closed; used by one thread at a time.
  class Watched {
   public:
    Watched(Watchdog& watchdog, int socket);
    ~Watched();
    Watched(const Watched&) = delete;
    Watched& operator=(const Watched&) = delete;

    void Arm(std::chrono::milliseconds timeout);
    void Disarm() { deadline_us_.store(kNever, std::memory_order_relaxed); }
    // The socket was shut down.
    bool expired() const { return expired_.load(std::memory_order_relaxed); }

   private:
    friend class Watchdog;
    static constexpr std::int64_t kNever = 0;
    Watchdog& watchdog_;
    const int socket_;
    std::atomic<std::int64_t> deadline_us_{kNever};
    std::atomic<bool> expired_{false};
  };

 private:
  void Watch();

  Clock& clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<Watched*> watched_;
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace alertstream::postgres

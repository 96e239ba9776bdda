// Dispatcher: hands the commands of its partitions to their providers and writes down what became
// of them: a thread a partition for the log, one for all calls, pace and breakers shared. Its
// methods are thread-safe, but Start and Stop are called once each, by one thread.
//
// Several dispatchers may be started for a partition; the last one owns it, and the others stop
// with an error until they are started again. Of those that start at the same time one goes on. On
// a log that only this process writes there are no others, and every error is followed by another
// try.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "processor/base/clock.h"
#include "processor/base/crypto.h"
#include "processor/base/metrics.h"
#include "processor/base/result.h"
#include "processor/dispatch/account_gates.h"
#include "processor/dispatch/accounts.h"
#include "processor/dispatch/http_client.h"
#include "processor/dispatch/partition.h"
#include "processor/log/event_log.h"

namespace alertstream::dispatch {

struct DispatcherOptions {
  std::vector<std::int32_t> partitions;
  std::string log_id;  // 16 bytes, of the log's markers.
  HmacKey token_key{""};
  HttpClientOptions http;
  BreakerOptions breaker;
  // Calls started and not ended, of all partitions: at most http.connections_per_host_max, or what
  // was committed as started would wait for a connection.
  std::size_t in_flight_max = 400;
  // The rest as in PartitionDispatchOptions.
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds total_timeout{15'000};
  std::size_t waiting_max = 20'000;
  std::chrono::seconds circuit_wait_max{300};
  std::chrono::microseconds checkpoint_every = std::chrono::seconds(1);
  std::chrono::milliseconds log_timeout{8'000};
  Metrics* metrics = nullptr;  // May be null.
  // On any thread of the dispatcher; must not block it.
  std::function<void(const AttemptReport&)> on_attempt;
  std::function<void(std::int32_t partition, const Error& error)> on_error;
};

class Dispatcher {
 public:
  // The references outlive it. kUnavailable: the HTTP client cannot be set up.
  static Result<std::unique_ptr<Dispatcher>> Create(log::EventLog& log, Clock& clock,
                                                    const ProviderAccounts& accounts,
                                                    DispatcherOptions options);
  // As Stop with no time to drain.
  ~Dispatcher();

  // Starts all threads; returns at once.
  void Start();
  // Starts no more calls, waits at most `drain` for those in flight, ends the others, and commits
  // all results; if the log refuses them, until a little after that time.
  void Stop(std::chrono::milliseconds drain);

  std::vector<DispatchStatus> Status() const;
  // True if every partition is owned and dispatches.
  bool Ready() const;

  // Every account that was sent through since the start.
  std::vector<CircuitStatus> Breakers() const;
  // Closes the account's breaker, also a suspended one. False: nothing was sent through it.
  bool ResetBreaker(const std::string& provider, const std::string& account);

 private:
  struct Slot {
    std::unique_ptr<PartitionDispatch> dispatch;
    std::thread thread;
  };
  // What the gauges hold of one partition.
  struct Shown {
    double in_flight = 0;
    double waiting = 0;
    double held = 0;
  };
  Dispatcher(log::EventLog& log, Clock& clock, DispatcherOptions options);
  void RunPartition(PartitionDispatch& dispatch);
  // True: the dispatcher stops.
  bool Pause(std::chrono::milliseconds time);
  // The dispatcher stops and this partition's run has failed. True: it is worth another one.
  bool MayRunOnceMore(const PartitionDispatch& dispatch);
  void OnAttempt(const AttemptReport& report) const;

  log::EventLog& log_;
  Clock& clock_;
  const DispatcherOptions options_;
  AccountGates gates_;
  CallBudget budget_;
  std::unique_ptr<HttpClient> http_;
  std::vector<Slot> slots_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;                // Guarded by mutex_.
  std::chrono::microseconds stop_by_{};  // Of SystemClock::SinceBoot; guarded by mutex_.
};

}  // namespace alertstream::dispatch

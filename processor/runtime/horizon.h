// PermissionHorizon: how far the permission topics reach, and when that was asked. Site events and
// timers are folded only behind a horizon not older than kHorizonAgeMax, so that an opt-out is
// obeyed for every event appended more than that after it. Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "processor/base/clock.h"
#include "processor/base/result.h"
#include "processor/log/event_log.h"

namespace alertstream::runtime {

inline constexpr std::chrono::milliseconds kHorizonAgeMax{250};

// The permission topics, in the order of kInputTopics, which begins with them.
inline constexpr std::size_t kPermissionTopics = 4;

class PermissionHorizon {
 public:
  struct Snapshot {
    std::chrono::microseconds asked_at{};  // Clock::SinceBoot before the question.
    std::array<std::int64_t, kPermissionTopics> ends{};
  };

  PermissionHorizon(log::EventLog& log, Clock& clock, std::vector<std::int32_t> partitions);
  ~PermissionHorizon();

  // Asks again and again in a thread of its own, a question for all partitions at once.
  void Start();
  void Stop();

  // Asks once, now. For those who run everything in one thread and do not Start.
  Status Refresh();

  // Nothing if the last answer is older than kHorizonAgeMax or there is none. With an exclusive
  // log, where the answer costs nothing, asks now.
  std::optional<Snapshot> Get(std::int32_t partition);

 private:
  log::EventLog& log_;
  Clock& clock_;
  const std::vector<std::int32_t> partitions_;
  const bool ask_now_;
  std::vector<log::TopicPartition> asked_;
  std::mutex mutex_;
  std::chrono::microseconds asked_at_{};
  std::vector<std::int64_t> ends_;  // As asked_; empty before the first answer.
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace alertstream::runtime

// LogWriter: appends records for handlers, which must not block: what arrives while an append is
// under way leaves together with the next one. Thread-safe. Used by every door that writes.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "processor/base/result.h"
#include "processor/log/event_log.h"
#include "schemas/topics.h"

namespace alertstream::api {

struct RecordToAppend {
  schemas::Topic topic{};
  std::int32_t partition = 0;
  std::string key;
  std::string value;
  std::vector<std::pair<std::string, std::string>> headers = {};
};

struct LogWriterOptions {
  std::size_t records_max = 100'000;                // Waiting or under way.
  std::size_t bytes_max = std::size_t{128} << 20U;  // Of those.
  std::size_t group_records_max = 5'000;            // One append.
  std::size_t group_bytes_max = std::size_t{8} << 20U;
  std::chrono::milliseconds timeout{10'000};  // Of one append.
  std::int32_t partitions = 0;                // Of every topic; 0: the log is asked.
};

// A log that is there appends all that the writer may hold in less.
inline constexpr std::chrono::milliseconds kLogWriterStopMax{10'000};

class LogWriter {
 public:
  // `log` outlives the writer. Starts its thread.
  LogWriter(log::EventLog& log, const LogWriterOptions& options);
  // As Stop.
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Offsets and times in the order of the records, durable; or why not: kInvalid, nothing was
  // appended; kUnavailable and kUnknown, some may have been.
  using Done = std::function<void(Result<std::vector<log::Appended>>)>;
  // Calls `done` once, on the writer's thread, which it must not block. False: over a limit or
  // stopped; `done` is not called.
  [[nodiscard]] bool Append(std::vector<RecordToAppend> records, Done done);

  std::size_t pending_records() const;
  // Appends what was taken, then ends the thread. What is not begun by the deadline is answered
  // kUnavailable and never appended; an append that is under way has its own timeout.
  void Stop(std::chrono::milliseconds deadline = kLogWriterStopMax);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace alertstream::api

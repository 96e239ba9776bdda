// WorkerPool: threads that do what may block - statements of the SQL database - for handlers, which
// may not. Thread-safe. Used by every route that asks or writes the database.
//
// A handler moves its responder into a task and returns; the task answers. The queue is bounded: a
// handler that finds it full answers 503 at once, instead of letting everybody wait for longer.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace alertstream::api {

struct WorkerPoolOptions {
  std::size_t threads = 4;  // Each uses one session of the database at a time.
  // At a millisecond a task and four threads a quarter of a second; who comes later had better ask
  // again than wait.
  std::size_t queue_max = 1024;
};

class WorkerPool {
 public:
  explicit WorkerPool(const WorkerPoolOptions& options);
  // As Stop.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Runs `task` on one of the threads; tasks begin in the order of the calls. A task does not
  // throw. False: queue_max tasks wait already, or Stop was called; `task` is not run and is
  // destroyed here.
  [[nodiscard]] bool Submit(std::function<void()> task);

  // Runs what was taken and ends the threads. Called by one thread, not by a task; may be repeated.
  void Stop();

  std::size_t waiting() const;  // Tasks that no thread has begun.

 private:
  void Work();

  const WorkerPoolOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace alertstream::api

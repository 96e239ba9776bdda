#include "ops/simulator/timers.h"

#include <utility>

namespace alertstream::simulator {

Timers::Timers(const Clock& clock, std::size_t timers_max)
    : clock_(clock), timers_max_(timers_max), thread_([this] { Run(); }) {}

Timers::~Timers() { Stop(); }

bool Timers::After(std::chrono::milliseconds delay, std::function<void()> run) {
  const auto due = clock_.SinceBoot() + delay;
  const std::lock_guard lock(mutex_);
  if (stopping_ || pending_.size() >= timers_max_) {
    return false;
  }
  const auto added = pending_.emplace(due, std::move(run));
  if (added == pending_.begin()) {
    changed_.notify_one();
  }
  return true;
}

std::size_t Timers::pending() const {
  const std::lock_guard lock(mutex_);
  return pending_.size();
}

void Timers::Stop() {
  decltype(pending_) dropped;  // Ends without the lock: it may hold anything.
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(pending_);
    changed_.notify_one();
  }
  if (thread_.joinable()) {
    thread_.join();
  }
}

void Timers::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (pending_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto wait = pending_.begin()->first - clock_.SinceBoot();
    if (wait.count() > 0) {
      changed_.wait_for(lock, wait);
      continue;
    }
    auto due = pending_.extract(pending_.begin());
    lock.unlock();
    due.mapped()();
    due = {};
    lock.lock();
  }
}

}  // namespace alertstream::simulator

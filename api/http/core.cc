#include "api/http/core.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "api/http/connection.h"

namespace alertstream::http {
namespace {

constexpr std::uint64_t kWakeId = 0;  // Connections count from 1.
constexpr int kEventsMax = 64;        // At a time; the rest follows at once.
// Time-outs are coarse: whole seconds for people, and looking at 10,000 connections takes 1 ms.
constexpr std::chrono::milliseconds kTimesCheckedEvery{100};

}  // namespace

Core::Core(ServerOptions options_in, RequestHandler handler_in, const Clock& clock_in)
    : options(std::move(options_in)),
      handler(std::move(handler_in)),
      clock(clock_in),
      request_ids(clock_in) {}

Core::~Core() {
  StopAttendant();
  if (epoll_ >= 0) {
    ::close(epoll_);
  }
  if (wake_ >= 0) {
    ::close(wake_);
  }
}

Status Core::StartAttendant() {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  wake_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWakeId;
  if (epoll_ < 0 || wake_ < 0 || ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) != 0) {
    return Error(ErrorCode::kUnavailable, "the server's poll descriptors cannot be made");
  }
  attendant_ = std::thread([this] { Attend(); });
  return Status::Ok();
}

void Core::StopAttendant() {
  stopping_ = true;
  if (attendant_.joinable()) {
    Wake();
    attendant_.join();
  }
}

void Core::WatchWritable(int fd, std::uint64_t connection) {
  epoll_event event{};
  event.events = EPOLLOUT | EPOLLONESHOT;
  event.data.u64 = connection;
  // A failure needs no handling: the connection ends by its write time-out.
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) {
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
  }
}

void Core::Unwatch(int fd) { ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr); }

void Core::RequestReadOn(std::uint64_t connection) {
  {
    const std::lock_guard lock(mutex_);
    read_on_.push_back(connection);
  }
  Wake();
}

void Core::Register(std::uint64_t id, const std::shared_ptr<Connection>& connection) {
  const std::lock_guard lock(mutex_);
  connections_.emplace(id, connection);
}

void Core::Unregister(std::uint64_t id) {
  {
    const std::lock_guard lock(mutex_);
    connections_.erase(id);
  }
  changed_.notify_all();
}

std::vector<std::shared_ptr<Connection>> Core::Connections() const {
  std::vector<std::shared_ptr<Connection>> alive;
  const std::lock_guard lock(mutex_);
  alive.reserve(connections_.size());
  for (const auto& [id, weak] : connections_) {
    if (auto connection = weak.lock()) {
      alive.push_back(std::move(connection));
    }
  }
  return alive;
}

void Core::WaitForChange(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time);
}

void Core::Attend() {
  while (!stopping_) {
    ServeEvents(static_cast<int>(kTimesCheckedEvery.count()));
    ServeReadOn();
    const auto now = clock.SinceBoot();
    if (now - times_checked_at_ >= kTimesCheckedEvery) {
      times_checked_at_ = now;
      CheckTimes();
    }
  }
}

void Core::ServeEvents(int timeout_ms) {
  std::array<epoll_event, kEventsMax> events{};
  const int count = ::epoll_wait(epoll_, events.data(), kEventsMax, timeout_ms);
  for (int i = 0; i < count; ++i) {
    const std::uint64_t id = events[static_cast<std::size_t>(i)].data.u64;
    if (id == kWakeId) {
      std::uint64_t unused = 0;
      (void)!::read(wake_, &unused, sizeof unused);
    } else if (const auto connection = Find(id)) {
      connection->OnWritable();
    }
  }
}

void Core::ServeReadOn() {
  std::vector<std::uint64_t> ids;
  {
    const std::lock_guard lock(mutex_);
    ids.swap(read_on_);
  }
  for (const std::uint64_t id : ids) {
    if (const auto connection = Find(id)) {
      connection->ReadOn();
    }
  }
}

void Core::CheckTimes() {
  const auto now = clock.SinceBoot();
  for (const auto& connection : Connections()) {
    connection->CheckTime(now);
  }
}

void Core::Wake() const {
  const std::uint64_t one = 1;
  (void)!::write(wake_, &one, sizeof one);
}

std::shared_ptr<Connection> Core::Find(std::uint64_t id) const {
  const std::lock_guard lock(mutex_);
  const auto it = connections_.find(id);
  return it == connections_.end() ? nullptr : it->second.lock();
}

}  // namespace alertstream::http

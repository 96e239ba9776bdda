// Core: what all connections of a server share: the settings, the handler, the counters, and the
// attendant, a thread that looks after connections when neither a packet nor an answer does: it
// drains answers to slow readers, reads on behind an answered request, and enforces time-outs.
// Thread-safe. Internal to the server; connections hold it so that a late answer finds it alive.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "api/http/request_id.h"
#include "api/http/server.h"

namespace alertstream::http {

class Connection;

struct ServerCounters {
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> open{0};
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> parked{0};
  std::atomic<std::uint64_t> vanished{0};
  std::atomic<std::uint64_t> buffered_bytes{0};
  std::array<std::atomic<std::uint64_t>, kRefusalCount> refused{};
  std::array<std::atomic<std::uint64_t>, kFramingErrorCount> framing{};

  void Refuse(Refusal refusal) { ++refused[static_cast<std::size_t>(refusal)]; }
};

class Core {
 public:
  Core(ServerOptions options, RequestHandler handler, const Clock& clock);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  Status StartAttendant();
  void StopAttendant();

  // The attendant calls OnWritable of the connection once `fd` takes bytes. `fd` must be given to
  // Unwatch before it is closed.
  void WatchWritable(int fd, std::uint64_t connection);
  void Unwatch(int fd);
  // The attendant calls ReadOn of the connection.
  void RequestReadOn(std::uint64_t connection);

  void Register(std::uint64_t id, const std::shared_ptr<Connection>& connection);
  void Unregister(std::uint64_t id);
  std::vector<std::shared_ptr<Connection>> Connections() const;
  std::uint64_t NextId() { return ++last_id_; }

  // Waits until a connection ended or `time` has passed.
  void WaitForChange(std::chrono::milliseconds time);

  ServerOptions options;  // Constant once the server has started.
  const RequestHandler handler;
  const Clock& clock;
  RequestIds request_ids;
  ServerCounters counters;
  std::atomic<bool> draining{false};

 private:
  void Attend();
  void ServeEvents(int timeout_ms);
  void ServeReadOn();
  void CheckTimes();
  void Wake() const;
  std::shared_ptr<Connection> Find(std::uint64_t id) const;

  int epoll_ = -1;
  int wake_ = -1;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> last_id_{0};
  std::chrono::microseconds times_checked_at_{0};
  std::thread attendant_;

  mutable std::mutex mutex_;  // Never held while a connection's is taken.
  std::condition_variable changed_;
  // Owned by Pistache's peers and, while one is parked, by its responder.
  std::map<std::uint64_t, std::weak_ptr<Connection>> connections_;
  std::vector<std::uint64_t> read_on_;
};

}  // namespace alertstream::http

#include "tests/bench/http_load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <string_view>
#include <utility>

#include <fmt/core.h>

#include "processor/base/clock.h"

namespace alertstream::bench {
namespace {

[[noreturn]] void Die(std::string_view what) {
  fmt::print(stderr, "http load: {}\n", what);
  std::exit(1);
}

constexpr double kPatience = 10;  // Seconds.

double Now() { return std::chrono::duration<double>(SystemClock().SinceBoot()).count(); }

struct Connection {
  int fd = -1;
  std::string input;
  std::string_view unsent;
  double began = 0;
  bool busy = false;
  bool watched = false;  // For room to write.
};

class Load {
 public:
  Load(std::uint16_t port, std::size_t connections, const std::vector<std::string>& requests)
      : requests_(requests), connections_(connections), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    for (std::size_t i = 0; i < connections; ++i) {
      Connect(port, i);
    }
    result_.latency_ms.reserve(requests.size());
  }
  ~Load() {
    for (const Connection& connection : connections_) {
      ::close(connection.fd);
    }
    ::close(epoll_);
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  // `rate` 0: as fast as answers come.
  LoadResult Run(double rate) {
    rate_ = rate;
    began_ = Now();
    while (result_.latency_ms.size() < requests_.size()) {
      for (Connection& connection : connections_) {
        if (!connection.busy && HasNext()) {
          SendNext(&connection);
        }
      }
      const double wait = next_ < requests_.size() ? DueOf(next_) - Now() : kPatience;
      if (Serve(wait) == 0 && wait >= kPatience) {
        Die("no answer for 10 s");
      }
    }
    result_.seconds = Now() - began_;
    return std::move(result_);
  }

 private:
  // A request of a pace is due at its time, others as soon as a connection is free.
  double DueOf(std::size_t request) const {
    return rate_ > 0 ? began_ + static_cast<double>(request) / rate_ : Now() + kPatience;
  }
  bool HasNext() const { return next_ < requests_.size() && (rate_ == 0 || DueOf(next_) <= Now()); }

  // How many connections had something within `seconds`.
  int Serve(double seconds) {
    std::array<epoll_event, 256> events{};
    const int timeout_ms = static_cast<int>(std::clamp(seconds, 0.0, kPatience) * 1e3);
    const int count =
        ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timeout_ms);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      Connection& connection = connections_[event.data.u64];
      if ((event.events & EPOLLOUT) != 0) {
        Flush(&connection);
      }
      if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        Receive(&connection);
      }
    }
    return count;
  }

  void Connect(std::uint16_t port, std::size_t index) {
    Connection& connection = connections_[index];
    connection.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int one = 1;
    if (connection.fd < 0 ||
        ::connect(connection.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0) {
      Die("cannot connect");
    }
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = index;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event);
  }

  void SendNext(Connection* connection) {
    connection->busy = true;
    connection->began = rate_ > 0 ? DueOf(next_) : Now();
    connection->unsent = requests_[next_++];
    Flush(connection);
  }

  void Flush(Connection* connection) {
    while (!connection->unsent.empty()) {
      const auto sent = ::send(connection->fd, connection->unsent.data(), connection->unsent.size(),
                               MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent < 0 && errno == EAGAIN) {
        Watch(*connection, EPOLLIN | EPOLLOUT);
        connection->watched = true;
        return;
      }
      if (sent < 0) {
        Die("the server has closed a connection");
      }
      connection->unsent.remove_prefix(static_cast<std::size_t>(sent));
    }
    if (std::exchange(connection->watched, false)) {
      Watch(*connection, EPOLLIN);
    }
  }

  void Watch(const Connection& connection, std::uint32_t what) {
    epoll_event event{};
    event.events = what;
    event.data.u64 = static_cast<std::uint64_t>(&connection - connections_.data());
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd, &event);
  }

  void Receive(Connection* connection) {
    std::array<char, 16384> buffer;
    const auto got = ::recv(connection->fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got <= 0) {
      if (got < 0 && errno == EAGAIN) {
        return;
      }
      Die("the server has closed a connection");
    }
    connection->input.append(buffer.data(), static_cast<std::size_t>(got));
    if (connection->busy && TakeAnswer(connection)) {
      connection->busy = false;
      if (HasNext()) {
        SendNext(connection);
      }
    }
  }

  // One answer with a Content-Length, if it is there.
  bool TakeAnswer(Connection* connection) {
    const std::string& input = connection->input;
    const std::size_t head = input.find("\r\n\r\n");
    if (head == std::string::npos) {
      return false;
    }
    const std::size_t field = input.find("Content-Length: ");
    std::size_t body = 0;
    if (field != std::string::npos && field < head) {
      const char* const digits = input.data() + field + std::string_view("Content-Length: ").size();
      std::from_chars(digits, input.data() + head, body);
    }
    const std::size_t size = head + 4 + body;
    if (input.size() < size) {
      return false;
    }
    int status = 0;
    std::from_chars(input.data() + 9, input.data() + 12, status);
    if (status == 0) {
      Die("an answer that is no HTTP");
    }
    ++result_.answers[status];
    result_.last_body = input.substr(head + 4, body);
    result_.latency_ms.push_back(static_cast<float>((Now() - connection->began) * 1e3));
    connection->input.erase(0, size);
    return true;
  }

  const std::vector<std::string>& requests_;
  std::size_t next_ = 0;
  double rate_ = 0;
  double began_ = 0;
  std::vector<Connection> connections_;
  int epoll_;
  LoadResult result_;
};

}  // namespace

LoadResult RunLoad(std::uint16_t port, std::size_t connections,
                   const std::vector<std::string>& requests) {
  return Load(port, connections, requests).Run(0);
}

LoadResult RunPaced(std::uint16_t port, std::size_t connections, double rate,
                    const std::vector<std::string>& requests, std::vector<LogTime>* due) {
  Load load(port, connections, requests);
  const LogTime began = SystemClock().Now();
  for (std::size_t i = 0; i < requests.size(); ++i) {
    due->push_back(began +
                   LogDuration(static_cast<std::int64_t>(static_cast<double>(i) * 1e6 / rate)));
  }
  return load.Run(rate);
}

std::string Fetch(std::uint16_t port, const std::string& target) {
  const std::vector<std::string> requests = {
      fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", target)};
  LoadResult result = RunLoad(port, 1, requests);
  if (result.answers.begin()->first != 200) {
    Die(fmt::format("GET {}: {}", target, result.answers.begin()->first));
  }
  return std::move(result.last_body);
}

double PercentileOf(std::vector<float> values, double fraction) {
  if (values.empty()) {
    return 0;
  }
  const auto at = static_cast<std::size_t>(fraction * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

}  // namespace alertstream::bench

// Server: HTTP/1.1 on Debian's Pistache, which accepts, polls and reads, and never parses, times
// or writes. That is ours (README.md says why): every answer is sent through a descriptor that the
// connection owns alone, so none can reach another client, whatever becomes of the first one.
//
// Start and Stop are called by one thread; everything else is thread-safe. The handler runs on the
// server's threads, one request of a connection at a time, and must not block: it answers or keeps
// the responder. Plain HTTP only; TLS ends in a proxy in front. Used by the program's wiring.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "api/http/framing.h"
#include "api/http/message.h"
#include "api/http/responder.h"
#include "processor/base/clock.h"
#include "processor/base/result.h"

namespace alertstream::http {

struct ServerTimeouts {
  std::chrono::milliseconds head{10'000};    // From the first byte of a request to its last field.
  std::chrono::milliseconds body{30'000};    // From there to the body's last byte.
  std::chrono::milliseconds idle{60'000};    // Between two requests.
  std::chrono::milliseconds answer{60'000};  // Until a parked request is answered with 504.
  std::chrono::milliseconds write{30'000};   // Until the client has taken an answer.
  std::chrono::milliseconds linger{2'000};   // Between our last byte and the end, for the client.
};

struct ServerOptions {
  std::string address = "127.0.0.1";  // IPv4, or IPv6 without brackets.
  std::uint16_t port = 0;             // 0: a free one.
  int threads = 2;
  // Lowered where the process may not have two descriptors for each.
  std::size_t connections_max = 10'000;
  std::size_t parked_max = 10'000;  // Requests that wait for their answer, all connections.
  // Then the connection is closed: one client cannot keep its place for ever.
  std::uint64_t requests_per_connection_max = 100'000;
  // Bytes in the server, all connections: requests that are read or parked and answers not taken.
  std::size_t buffered_bytes_max = std::size_t{256} * 1024 * 1024;
  FramingLimits framing;
  ServerTimeouts timeouts;
};

// Why a request or a connection was turned away by the server itself.
enum class Refusal : std::uint8_t {
  kFraming,      // Not HTTP as framing.h wants it; `framing` below has the errors one by one.
  kConnections,  // connections_max.
  kParked,       // parked_max.
  kMemory,       // buffered_bytes_max, or too much was pipelined behind a parked request.
  kDraining,     // A connection that came while the server drains.
  kHeadTimeout,
  kBodyTimeout,
  kAnswerTimeout,
  kSlowReader,  // Dropped: it did not take an answer in time.
};
inline constexpr std::size_t kRefusalCount = static_cast<std::size_t>(Refusal::kSlowReader) + 1;
std::string_view RefusalName(Refusal refusal);  // "framing", ...: for the label of a metric.

// A moment's copy of the counters. All but `open` and `parked` only grow.
struct ServerStats {
  std::uint64_t accepted = 0;  // Connections, refused ones included.
  std::uint64_t open = 0;
  std::uint64_t requests = 0;  // Given to the handler.
  // Of those: not answered when the handler came back, nor since, whether a client waits or not.
  std::uint64_t parked = 0;
  std::uint64_t vanished = 0;  // Answers whose client had gone away, or was answered 504.
  std::uint64_t buffered_bytes = 0;
  std::array<std::uint64_t, kRefusalCount> refused{};
  std::array<std::uint64_t, kFramingErrorCount> framing{};

  std::uint64_t RefusedFor(Refusal refusal) const {
    return refused[static_cast<std::size_t>(refusal)];
  }
};

// Exceptions that leave it become a 500 whose text does not tell them.
using RequestHandler = std::function<void(Request, Responder)>;

class Server {
 public:
  // `clock` outlives the server.
  Server(ServerOptions options, RequestHandler handler, const Clock& clock);
  // Stops without waiting for answers.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // REQUIRES: not called before. kUnavailable: the address cannot be bound; kInvalid: an option.
  Status Start();
  // The bound port. REQUIRES: Start() was ok.
  std::uint16_t port() const;
  std::size_t connections_max() const;

  // From here on connections are refused with 503 and every answer is its connection's last.
  // Returns when no request is being read, handled or answered, or after `deadline`, then false.
  bool Drain(std::chrono::milliseconds deadline);
  // Closes everything and joins the threads. Responders may outlive it; their answers go nowhere.
  void Stop();

  ServerStats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace alertstream::http

// The small HTTP listener of `serve`: /metrics for Prometheus, /health, /health/live and
// /health/ready for a supervisor. GET and HEAD only, one request a connection, no TLS, nothing
// secret in any answer: bind it to loopback or to a network that only operators reach.
//
// It runs on threads of its own (civetweb, the server inside prometheus-cpp); the two callbacks are
// called from them, several at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "processor/base/metrics.h"
#include "processor/base/result.h"

namespace alertstream::cli {

// Longest request, headers included: a scraper sends about 300 bytes.
inline constexpr std::size_t kHealthRequestBytesMax = 8192;
// A client that has not sent its request, or taken its answer, by then is cut off.
inline constexpr std::chrono::milliseconds kHealthTimeout{5000};
// Requests answered at once, and connections that wait behind them. A supervisor and two scrapers
// need three; a client that does nothing holds one thread for kHealthTimeout at most.
inline constexpr std::size_t kHealthThreadsMax = 8;
inline constexpr std::size_t kHealthWaitingMax = 56;
static_assert(kHealthThreadsMax + kHealthWaitingMax == 64, "connections at a time");

struct HealthState {
  bool ready = false;
  std::string body;  // A JSON object; what is not ready stands in it, with its reason.
};

struct HealthListenerOptions {
  std::string address = "127.0.0.1";  // IPv4 or IPv6, no name.
  std::uint16_t port = 9464;          // 0: a free one.
  std::chrono::milliseconds timeout = kHealthTimeout;
};

struct HealthSources {
  std::function<std::string()> metrics_text;  // Metrics::RenderText
  std::function<HealthState()> health;        // Answers from memory; it must not wait.
};

struct HttpAnswer {
  int status;
  std::string content_type;
  std::string body;
};

// The answer to one request: pure but for its sources.
HttpAnswer AnswerHealthRequest(const HealthSources& sources, std::string_view method,
                               std::string_view path);

class HealthListener {
 public:
  // kInvalid: the address is none. kUnavailable: it cannot be bound; the message says why.
  static Result<std::unique_ptr<HealthListener>> Start(const HealthListenerOptions& options,
                                                       HealthSources sources);
  // Answers what has begun, then stops; the library takes up to two seconds for it.
  ~HealthListener();
  HealthListener(const HealthListener&) = delete;
  HealthListener& operator=(const HealthListener&) = delete;

  std::uint16_t port() const;

 private:
  struct Impl;
  explicit HealthListener(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace alertstream::cli

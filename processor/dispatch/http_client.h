// HttpClient: HTTP calls to others, many at once on one thread (libcurl's multi interface). It
// never follows a redirect, verifies certificates, keeps connections, and tells failures apart by
// what the other side can have received. Thread-safe. Used by the dispatcher, the provider
// simulator's callbacks and the command line.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <variant>

#include "processor/base/result.h"
#include "processor/dispatch/http_exchange.h"

namespace alertstream::dispatch {

struct HttpClientOptions {
  std::size_t calls_max = 1000;                // In flight; further ones wait in their order.
  std::size_t connections_per_host_max = 500;  // Further calls to it wait for one.
  std::size_t answer_bytes_max = 256 << 10;    // A longer answer is kUnreadableAnswer.
};

struct HttpCall {
  std::string base_url;  // "https://api.twilio.com": scheme, host, port, perhaps a path.
  HttpRequest request;
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds total_timeout{15'000};
};

using HttpOutcome = std::variant<HttpAnswer, TransportFailure>;

class HttpClient {
 public:
  // kUnavailable: libcurl cannot be set up.
  static Result<std::unique_ptr<HttpClient>> Create(const HttpClientOptions& options);
  // As Stop.
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Called once for each call, on the client's thread, which it must not block. It may Submit.
  using Done = std::function<void(HttpOutcome)>;
  // A call that cannot be written as HTTP (a control byte in a header, a path without a slash)
  // fails with kNotConnected. After Stop `done` is called before Submit returns.
  void Submit(HttpCall call, Done done);
  // Submitted and not done.
  std::size_t pending() const;
  // Ends all calls (kClosedAfterSent where the whole request may have been written, else
  // kClosedBeforeSent) and the thread. Later Submits fail at once with kNotConnected.
  // REQUIRES: not called by a Done.
  void Stop();

 private:
  struct Impl;
  explicit HttpClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace alertstream::dispatch

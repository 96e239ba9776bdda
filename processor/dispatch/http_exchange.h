// One HTTP request to a provider and what can come of it, as plain values: adapters of providers
// build requests and judge answers, the transport sends and receives. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/redacted.h"

namespace alertstream::dispatch {

struct HttpHeader {
  std::string name;
  std::string value;

  friend bool operator==(const HttpHeader&, const HttpHeader&) = default;
};

// Scheme, host and port are the transport's, so that a simulator can stand in for the provider.
struct HttpRequest {
  std::string method;
  std::string path;
  std::vector<HttpHeader> headers = {};      // Those of the content; no secret among them.
  Redacted<std::string> authorization = {};  // Value of the header Authorization.
  Redacted<std::string> body = {};
};

struct HttpAnswer {
  int status = 0;
  std::vector<HttpHeader> headers = {};
  Redacted<std::string> body = {};  // Providers repeat address and text in it.
};

// Why there is no answer. What matters is whether the provider can have read the whole request:
// only then can it have acted on it.
enum class TransportFailure : std::uint8_t {
  kNotConnected,       // No address, refused, unreachable, or no TLS session.
  kConnectTimeout,     // The time allowed for connecting ran out.
  kClosedBeforeSent,   // The connection ended while the request was being written.
  kTimeoutBeforeSent,  // The time ran out while the request was being written.
  kClosedAfterSent,    // The connection ended behind the request's last byte.
  kTimeoutAfterSent,   // The time ran out behind the request's last byte.
  kUnreadableAnswer,   // An answer that is no HTTP, or larger than the transport takes.
};

// "not_connected", ...: stable; the error code of the attempt.
constexpr std::string_view TransportFailureName(TransportFailure failure) {
  switch (failure) {
    case TransportFailure::kNotConnected:
      return "not_connected";
    case TransportFailure::kConnectTimeout:
      return "connect_timeout";
    case TransportFailure::kClosedBeforeSent:
      return "closed_before_sent";
    case TransportFailure::kTimeoutBeforeSent:
      return "timeout_before_sent";
    case TransportFailure::kClosedAfterSent:
      return "closed_after_sent";
    case TransportFailure::kTimeoutAfterSent:
      return "timeout_after_sent";
    case TransportFailure::kUnreadableAnswer:
      return "unreadable_answer";
  }
  return "unknown";
}

// True if the provider may have received the whole request.
constexpr bool MayHaveArrived(TransportFailure failure) {
  switch (failure) {
    case TransportFailure::kNotConnected:
    case TransportFailure::kConnectTimeout:
    case TransportFailure::kClosedBeforeSent:
    case TransportFailure::kTimeoutBeforeSent:
      return false;
    case TransportFailure::kClosedAfterSent:
    case TransportFailure::kTimeoutAfterSent:
    case TransportFailure::kUnreadableAnswer:
      return true;
  }
  return true;
}

// The value of the first header of that name, whatever its case; nothing if there is none.
std::optional<std::string_view> FindHeader(std::span<const HttpHeader> headers,
                                           std::string_view name);

}  // namespace alertstream::dispatch

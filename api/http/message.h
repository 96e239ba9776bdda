// Request and Response as plain values: what a handler gets and what it gives back.
//
// Values without behaviour, free of sockets and threads; the framing makes requests, the server
// writes responses. Used by every handler of the API.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace alertstream::http {

struct HeaderField {
  std::string name;  // As sent; compared without regard to case.
  std::string value;
};

// Header fields in their order. Names compare without regard to case (RFC 9110 section 5.1).
class Headers {
 public:
  void Add(std::string_view name, std::string_view value);

  // The value of the first field of that name, which lives as long as this object.
  std::optional<std::string_view> Find(std::string_view name) const;
  std::size_t Count(std::string_view name) const;
  const std::vector<HeaderField>& fields() const { return fields_; }

 private:
  std::vector<HeaderField> fields_;
};

struct Request {
  std::string method;  // "GET"; methods are case-sensitive.
  std::string path;    // As sent, escapes included, without the query: "/api/v1/ingest".
  std::string query;   // As sent, behind the '?'; see uri.h.
  Headers headers;
  std::string body;  // The bytes as received, chunks joined: signatures are computed over them.
  std::string peer;  // The address of the connection's other end: "127.0.0.1".
  std::string id;    // By the client or by the server (request_id.h); its answer carries it.
};

// Content-Length, Connection, Date and X-Request-Id are the server's own; fields of those names are
// not sent. X-Content-Type-Options is added and, unless given, Cache-Control: no-store,
// Content-Security-Policy (nothing may be loaded or framed) and Referrer-Policy: no-referrer.
struct Response {
  int status = 200;
  Headers headers;
  std::string body;
  // Nothing is sent and the connection is reset: how a simulator plays a server that dies.
  bool resets_connection = false;
};

// True if the two names are the same header field or token, whatever their case (ASCII).
bool EqualsIgnoringCase(std::string_view a, std::string_view b);

// True if the comma-separated list of tokens `value` holds `token`, whatever its case.
bool HasToken(std::string_view value, std::string_view token);

// "Not Found" for 404; "Status" for a number without a name here.
std::string_view StatusText(int status);

}  // namespace alertstream::http

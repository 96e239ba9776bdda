// AppendResponse: a response as bytes of HTTP/1.1. Pure. Used by the server's connections.
#pragma once

#include <string>
#include <string_view>

#include "api/http/message.h"
#include "processor/base/time.h"

namespace alertstream::http {

struct EncodeOptions {
  bool keep_alive = true;  // Otherwise the client is told that the connection ends.
  bool is_head = false;    // The answer to HEAD: the length of the body, but not the body.
  LogTime date;            // For the Date field; the wall clock.
  // For X-Request-Id, and for the member `request_id` of a problem document. Empty: neither.
  std::string_view request_id;
};

// The server's own fields are added (message.h). A response that nobody may
// send (a status outside 200-599, a field name that is no token, a line break or another control
// character in a value) is replaced by a 500: a header is no way to smuggle a second answer.
void AppendResponse(const Response& response, const EncodeOptions& options, std::string* out);

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7).
std::string HttpDate(LogTime time);

}  // namespace alertstream::http

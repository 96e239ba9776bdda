// ParseHead: the head of a request, from its first byte through the empty line, as a value.
// Pure. Used by RequestFramer (framing.h), which has found the end of the head and has seen that
// lines end in CRLF and hold no control character.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>

#include "api/http/framing.h"
#include "api/http/message.h"

namespace alertstream::http {

struct Head {
  Request request;  // Without peer and body.
  bool keep_alive = false;
  bool chunked = false;
  bool expects_continue = false;
  std::uint64_t content_length = 0;  // At most limits.body_bytes_max.
};

std::variant<Head, FramingError> ParseHead(std::string_view head, const FramingLimits& limits);

}  // namespace alertstream::http

// Request ids: the text by which a client, an answer (X-Request-Id) and a log line name one
// request. A client's own is kept; otherwise the server makes one. Used by the server's connections
// and by handlers that need an id that never comes again. Thread-safe.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "processor/base/clock.h"

namespace alertstream::http {

inline constexpr std::size_t kRequestIdBytesMax = 128;  // Any UUID, ULID or trace id, with room.

// 1 to kRequestIdBytesMax printable ASCII characters, so that it can be echoed and logged.
bool IsRequestId(std::string_view text);

// UUIDs of version 7 (RFC 9562): milliseconds, a counter and bits that were drawn at the start.
// They ascend within a process unless the clock steps back, and differ between processes.
class RequestIds {
 public:
  // `clock` outlives the object.
  explicit RequestIds(const Clock& clock);
  std::string Next();

 private:
  const Clock& clock_;
  std::uint64_t process_ = 0;  // 42 random bits.
  std::atomic<std::uint32_t> counter_{0};
};

}  // namespace alertstream::http

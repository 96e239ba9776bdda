// RequestFramer: the bytes of a connection become requests, or an error that ends the connection.
//
// Pure: no sockets, no clock; what comes out does not depend on how the bytes were cut into
// packets. One framer a connection, used by one thread at a time (connection.h).
//
// HTTP/1.1 and 1.0 (RFC 9112), strictly: whatever two programs could read in two ways is refused,
// because a proxy in front of us may read it the other way and a part of one tenant's request
// would become another one's. Refused are: bare CR or LF, control characters, folded lines, a
// space before the colon, none or several Host fields, several Content-Length fields, one together
// with Transfer-Encoding, any coding but `chunked`, chunks in HTTP/1.0, chunk extensions and
// trailers, and an empty line before a request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/http/message.h"

namespace alertstream::http {

struct FramingLimits {
  std::size_t head_bytes_max = std::size_t{16} * 1024;  // Request line and fields; others allow 8.
  std::size_t body_bytes_max = std::size_t{1024} * 1024;
  std::size_t fields_max = 100;
};

inline constexpr std::size_t kTargetBytesMax = 8000;  // RFC 9112 section 3 asks for this much.
inline constexpr std::size_t kMethodBytesMax = 32;
// Digits of a chunk's size; eight hexadecimal ones are 4 GiB, above every body.
inline constexpr std::size_t kChunkSizeDigitsMax = 8;

enum class FramingError : std::uint8_t {
  kSyntax,
  kHost,             // None, several, or not a host.
  kAmbiguousLength,  // Two statements about the length of the body.
  kTransferCoding,   // Another coding than chunked.
  kVersion,
  kTargetTooLong,
  kHeadTooLarge,
  kBodyTooLarge,
  kExpectation,  // Another one than 100-continue.
};
inline constexpr std::size_t kFramingErrorCount =
    static_cast<std::size_t>(FramingError::kExpectation) + 1;

// The status to answer before the connection is closed, and what to say.
int StatusOf(FramingError error);
std::string_view DetailOf(FramingError error);

struct FramedRequest {
  Request request;             // Without `peer`.
  bool keep_alive = false;     // The client can take another answer on this connection.
  std::size_t head_bytes = 0;  // About what the head takes in memory.
};

class RequestFramer {
 public:
  enum class State : std::uint8_t {
    kIdle,      // Not a byte of the next request was read.
    kHead,      // Within the request line or the fields.
    kBody,      // The head is complete, the body is not.
    kComplete,  // Take() has the request; nothing more is read before.
    kFailed,    // error(); nothing more is ever read.
  };

  explicit RequestFramer(const FramingLimits& limits) : limits_(limits) {}

  // Reads on, at most to the end of the current request. Returns how many bytes were used up.
  std::size_t Read(std::string_view bytes);

  State state() const { return state_; }
  // REQUIRES: state() is kFailed.
  FramingError error() const;
  // REQUIRES: state() is kComplete. The state is kIdle afterwards.
  FramedRequest Take();

  // True once for a request whose client waits for "100 Continue" before it sends the body.
  bool TakeContinueWanted();
  // Held for the request that is being read.
  std::size_t buffered_bytes() const {
    const std::string& body = framed_.request.body;
    return head_.size() + framed_.head_bytes +
           (state_ == State::kBody ? body.capacity() : body.size());
  }

 private:
  enum class Chunk : std::uint8_t { kSize, kSizeLf, kData, kDataCr, kDataLf, kEndCr, kEndLf };

  // Each returns how many bytes it used up.
  std::size_t ReadHead(std::string_view bytes);
  std::size_t ReadSizedBody(std::string_view bytes);
  std::size_t ReadChunks(std::string_view bytes);
  void ReadChunkMark(char c);
  void ReadChunkSize(char c);
  void BeginBody();
  void Fail(FramingError error);

  FramingLimits limits_;
  State state_ = State::kIdle;
  FramingError error_ = FramingError::kSyntax;
  std::string head_;
  FramedRequest framed_;
  bool chunked_ = false;
  bool continue_wanted_ = false;
  Chunk chunk_ = Chunk::kSize;
  std::size_t chunk_digits_ = 0;
  std::uint64_t remaining_ = 0;  // Of the body, or of the chunk.
};

}  // namespace alertstream::http

#include "api/http/framing.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <variant>

#include "api/http/head.h"
#include "processor/base/check.h"
#include "processor/base/text.h"

namespace alertstream::http {
namespace {

// A body is not worth more memory than its sender has sent, so a large length alone takes little.
constexpr std::size_t kBodyReserveBytesMax = std::size_t{16} * 1024;
// Kept from one request's head to the next one's: more than most have.
constexpr std::size_t kKeptHeadBytesMax = std::size_t{2} * 1024;

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

// How many bytes stand before the first control character.
std::size_t PlainBytes(std::string_view text) {
  return static_cast<std::size_t>(std::find_if(text.begin(), text.end(), IsControl) - text.begin());
}

}  // namespace

int StatusOf(FramingError error) {
  switch (error) {
    case FramingError::kSyntax:
    case FramingError::kHost:
    case FramingError::kAmbiguousLength:
      return 400;
    case FramingError::kTransferCoding:
      return 501;
    case FramingError::kVersion:
      return 505;
    case FramingError::kTargetTooLong:
      return 414;
    case FramingError::kHeadTooLarge:
      return 431;
    case FramingError::kBodyTooLarge:
      return 413;
    case FramingError::kExpectation:
      return 417;
  }
  return 400;
}

std::string_view DetailOf(FramingError error) {
  switch (error) {
    case FramingError::kSyntax:
      return "The request is not well-formed HTTP/1.1.";
    case FramingError::kHost:
      return "One Host field with a host is needed.";
    case FramingError::kAmbiguousLength:
      return "The length of the body is stated in more than one way.";
    case FramingError::kTransferCoding:
      return "The only transfer coding understood here is chunked.";
    case FramingError::kVersion:
      return "HTTP/1.1 and HTTP/1.0 are understood here.";
    case FramingError::kTargetTooLong:
      return "The request target is too long.";
    case FramingError::kHeadTooLarge:
      return "The header fields are too large or too many.";
    case FramingError::kBodyTooLarge:
      return "The body is too large.";
    case FramingError::kExpectation:
      return "The only expectation understood here is 100-continue.";
  }
  return "";
}

FramingError RequestFramer::error() const {
  ALERTSTREAM_CHECK(state_ == State::kFailed);
  return error_;
}

FramedRequest RequestFramer::Take() {
  ALERTSTREAM_CHECK(state_ == State::kComplete);
  state_ = State::kIdle;
  return std::exchange(framed_, {});
}

bool RequestFramer::TakeContinueWanted() { return std::exchange(continue_wanted_, false); }

std::size_t RequestFramer::Read(std::string_view bytes) {
  std::size_t used = 0;
  while (used < bytes.size() && state_ != State::kComplete && state_ != State::kFailed) {
    const std::string_view rest = bytes.substr(used);
    if (state_ != State::kBody) {
      used += ReadHead(rest);
    } else {
      used += chunked_ ? ReadChunks(rest) : ReadSizedBody(rest);
    }
  }
  return used;
}

std::size_t RequestFramer::ReadHead(std::string_view bytes) {
  state_ = State::kHead;
  std::size_t used = 0;
  while (used < bytes.size()) {
    if (head_.size() == limits_.head_bytes_max) {
      Fail(FramingError::kHeadTooLarge);
      return used;
    }
    const bool after_cr = head_.ends_with('\r');
    if (!after_cr) {
      // What stands before the next control character is taken at once.
      const std::string_view room = bytes.substr(used, limits_.head_bytes_max - head_.size());
      const std::size_t plain = PlainBytes(room);
      head_.append(room.substr(0, plain));
      used += plain;
      if (plain == room.size()) {
        continue;
      }
    }
    const char c = bytes[used];
    ++used;
    if (after_cr != (c == '\n') || (IsControl(c) && c != '\r' && c != '\n' && c != '\t')) {
      Fail(FramingError::kSyntax);
      return used;
    }
    head_.push_back(c);
    if (c == '\n' && head_.size() <= 2) {
      Fail(FramingError::kSyntax);
      return used;
    }
    if (c == '\n' && head_.ends_with("\r\n\r\n")) {
      BeginBody();
      return used;
    }
  }
  return used;
}

void RequestFramer::BeginBody() {
  auto parsed = ParseHead(head_, limits_);
  const std::size_t head_bytes = head_.size();
  if (head_.capacity() > kKeptHeadBytesMax) {
    head_ = std::string();
  } else {
    head_.clear();
  }
  if (const auto* failure = std::get_if<FramingError>(&parsed)) {
    Fail(*failure);
    return;
  }
  Head& head = *std::get_if<Head>(&parsed);
  framed_.request = std::move(head.request);
  framed_.keep_alive = head.keep_alive;
  framed_.head_bytes = head_bytes + framed_.request.headers.fields().size() * sizeof(HeaderField);
  chunked_ = head.chunked;
  chunk_ = Chunk::kSize;
  chunk_digits_ = 0;
  remaining_ = head.content_length;
  if (!chunked_ && remaining_ == 0) {
    state_ = State::kComplete;
    return;
  }
  state_ = State::kBody;
  continue_wanted_ = head.expects_continue;
  framed_.request.body.reserve(std::min<std::size_t>(remaining_, kBodyReserveBytesMax));
}

std::size_t RequestFramer::ReadSizedBody(std::string_view bytes) {
  const auto used = static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, bytes.size()));
  continue_wanted_ = false;
  framed_.request.body.append(bytes.substr(0, used));
  remaining_ -= used;
  if (remaining_ == 0) {
    state_ = State::kComplete;
  }
  return used;
}

std::size_t RequestFramer::ReadChunks(std::string_view bytes) {
  continue_wanted_ = false;
  if (chunk_ != Chunk::kData) {
    ReadChunkMark(bytes.front());
    return 1;
  }
  const auto used = static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, bytes.size()));
  framed_.request.body.append(bytes.substr(0, used));
  remaining_ -= used;
  if (remaining_ == 0) {
    chunk_ = Chunk::kDataCr;
  }
  return used;
}

// One byte of what stands around the data of chunks: "5\r\n" data "\r\n" "0\r\n" "\r\n".
void RequestFramer::ReadChunkMark(char c) {
  if (chunk_ == Chunk::kSize) {
    ReadChunkSize(c);
    return;
  }
  const bool cr = chunk_ == Chunk::kDataCr || chunk_ == Chunk::kEndCr;
  if (c != (cr ? '\r' : '\n')) {
    Fail(FramingError::kSyntax);
    return;
  }
  switch (chunk_) {
    case Chunk::kSizeLf:
      chunk_ = remaining_ == 0 ? Chunk::kEndCr : Chunk::kData;
      break;
    case Chunk::kDataCr:
      chunk_ = Chunk::kDataLf;
      break;
    case Chunk::kDataLf:
      chunk_ = Chunk::kSize;
      chunk_digits_ = 0;
      break;
    case Chunk::kEndCr:
      chunk_ = Chunk::kEndLf;
      break;
    case Chunk::kEndLf:
      state_ = State::kComplete;
      break;
    case Chunk::kSize:
    case Chunk::kData:
      break;
  }
}

void RequestFramer::ReadChunkSize(char c) {
  if (c == '\r' && chunk_digits_ > 0) {
    chunk_ = Chunk::kSizeLf;
    return;
  }
  const int value = HexValue(c);
  if (value < 0 || chunk_digits_ == kChunkSizeDigitsMax) {
    Fail(FramingError::kSyntax);
    return;
  }
  remaining_ = (chunk_digits_ == 0 ? 0 : remaining_ * 16) + static_cast<std::uint64_t>(value);
  ++chunk_digits_;
  if (remaining_ > limits_.body_bytes_max - framed_.request.body.size()) {
    Fail(FramingError::kBodyTooLarge);
  }
}

void RequestFramer::Fail(FramingError error) {
  state_ = State::kFailed;
  error_ = error;
  continue_wanted_ = false;
  head_ = std::string();
  framed_ = FramedRequest();
}

}  // namespace alertstream::http

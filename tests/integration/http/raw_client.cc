#include "tests/integration/http/raw_client.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "processor/base/check.h"

namespace alertstream::http {
namespace {

int NumberIn(std::string_view text) {
  int number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

RawClient::RawClient(std::uint16_t port, int receive_bytes)
    : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  ALERTSTREAM_CHECK(fd_ >= 0);
  if (receive_bytes > 0) {
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
  }
  const timeval patience{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ALERTSTREAM_CHECK(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
                    0);
}

bool RawClient::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) {
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool RawClient::Fill() {
  std::array<char, 65536> bytes;  // NOLINT(cppcoreguidelines-pro-type-member-init): recv fills it.
  const auto received = ::recv(fd_, bytes.data(), bytes.size(), 0);
  if (received <= 0) {
    return false;
  }
  buffer_.append(bytes.data(), static_cast<std::size_t>(received));
  return true;
}

std::optional<Answer> RawClient::Read(bool is_head) {
  constexpr std::string_view kLength = "\r\nContent-Length: ";
  std::size_t end = buffer_.find("\r\n\r\n");
  while (end == std::string::npos) {
    if (!Fill()) {
      return std::nullopt;
    }
    end = buffer_.find("\r\n\r\n");
  }
  Answer answer;
  answer.head = ReadBytes(end + 4);
  answer.status = NumberIn(std::string_view(answer.head).substr(9, 3));
  const std::size_t length = answer.head.find(kLength);
  if (length != std::string::npos && !is_head) {
    const int size = NumberIn(std::string_view(answer.head).substr(length + kLength.size()));
    answer.body = ReadBytes(static_cast<std::size_t>(size));
    if (answer.body.size() != static_cast<std::size_t>(size)) {
      return std::nullopt;
    }
  }
  return answer;
}

std::string RawClient::ReadBytes(std::size_t size) {
  while (buffer_.size() < size && Fill()) {
  }
  std::string taken = buffer_.substr(0, size);
  buffer_.erase(0, taken.size());
  return taken;
}

bool RawClient::AtEnd() {
  char byte = 0;
  return buffer_.empty() && ::recv(fd_, &byte, 1, MSG_PEEK) == 0;
}

void RawClient::Close(bool reset) {
  if (fd_ < 0) {
    return;
  }
  if (reset) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  ::close(fd_);
  fd_ = -1;
}

}  // namespace alertstream::http

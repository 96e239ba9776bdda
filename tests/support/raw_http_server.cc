#include "tests/support/raw_http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>

#include "processor/base/check.h"

namespace alertstream {
namespace {

constexpr std::string_view kEndOfHead = "\r\n\r\n";

std::size_t ContentLength(std::string_view head) {
  constexpr std::string_view kName = "Content-Length: ";
  const auto at = head.find(kName);
  std::size_t length = 0;
  if (at != std::string_view::npos) {
    const char* const digits = head.data() + at + kName.size();
    std::from_chars(digits, head.data() + head.size(), length);
  }
  return length;
}

}  // namespace

std::optional<RawRequest> RawConnection::Read() {
  for (;;) {
    const auto end = read_.find(kEndOfHead);
    if (end != std::string::npos) {
      const std::size_t head = end + kEndOfHead.size();
      const std::size_t body = ContentLength(read_.substr(0, head));
      if (read_.size() >= head + body) {
        RawRequest request{read_.substr(0, head), read_.substr(head, body)};
        read_.erase(0, head + body);
        return request;
      }
    }
    std::array<char, 16384> bytes{};
    const auto got = ::recv(socket_, bytes.data(), bytes.size(), 0);
    if (got <= 0) {
      return std::nullopt;
    }
    read_.append(bytes.data(), static_cast<std::size_t>(got));
  }
}

bool RawConnection::ReadHead() {
  char byte = 0;
  while (!read_.ends_with(kEndOfHead)) {
    if (::recv(socket_, &byte, 1, 0) <= 0) {
      return false;
    }
    read_.push_back(byte);
  }
  return true;
}

bool RawConnection::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) {
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool RawConnection::Answer(int status, std::string_view body, std::string_view headers) {
  std::string answer = "HTTP/1.1 " + std::to_string(status) + " Answer\r\n";
  answer.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
  answer.append(headers).append("\r\n").append(body);
  return Send(answer);
}

void RawConnection::Reset() {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void RawConnection::AwaitClose() {
  std::array<char, 4096> bytes{};
  while (::recv(socket_, bytes.data(), bytes.size(), 0) > 0) {
  }
}

void RawConnection::AwaitStop() {
  pollfd waiting{.fd = socket_, .events = 0, .revents = 0};
  while ((waiting.revents & POLLHUP) == 0) {
    ::poll(&waiting, 1, -1);
  }
}

RawHttpServer::RawHttpServer(Handler handler) : handler_(std::move(handler)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ALERTSTREAM_CHECK(listener_ >= 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  ALERTSTREAM_CHECK(::bind(listener_, generic, size) == 0);
  ALERTSTREAM_CHECK(::listen(listener_, 512) == 0);
  ALERTSTREAM_CHECK(::getsockname(listener_, generic, &size) == 0);
  port_ = ntohs(address.sin_port);
  accepter_ = std::thread([this] { Accept(); });
}

RawHttpServer::~RawHttpServer() { Stop(); }

int RawHttpServer::connections() const {
  const std::lock_guard lock(mutex_);
  return accepted_;
}

void RawHttpServer::AwaitClosed() {
  std::unique_lock lock(mutex_);
  closed_.wait(lock, [&] { return sockets_.empty(); });
}

void RawHttpServer::Accept() {
  for (;;) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) {
      return;
    }
    const int one = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      ::close(socket);
      return;
    }
    sockets_.push_back(socket);
    threads_.emplace_back([this, socket, number = accepted_++] {
      RawConnection connection(socket, number);
      handler_(connection);
      const std::lock_guard closing(mutex_);
      sockets_.remove(socket);
      ::close(socket);
      closed_.notify_all();
    });
  }
}

void RawHttpServer::Stop() {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      return;
    }
    stopping_ = true;
    for (const int socket : sockets_) {
      ::shutdown(socket, SHUT_RDWR);
    }
  }
  ::shutdown(listener_, SHUT_RDWR);
  accepter_.join();
  for (std::thread& thread : threads_) {
    thread.join();
  }
  ::close(listener_);
}

}  // namespace alertstream

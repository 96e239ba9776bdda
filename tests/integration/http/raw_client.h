// RawClient: a TCP connection that sends any bytes, well-formed or not, and reads answers. Blocks,
// up to ten seconds, so that a server that does not answer fails a test instead of hanging it.
// Used by the tests of the HTTP server, one thread a client.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace alertstream::http {

struct Answer {
  int status = 0;
  std::string head;  // The status line and the fields, with the empty line.
  std::string body;
  bool Has(std::string_view text) const { return head.find(text) != std::string::npos; }
};

class RawClient {
 public:
  // `receive_bytes` > 0 makes the kernel keep little for a client that does not read.
  explicit RawClient(std::uint16_t port, int receive_bytes = 0);
  ~RawClient() { Close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  // False once the server has closed.
  bool Send(std::string_view bytes);
  // The next answer; nothing if the connection ends before its end. The answer to HEAD has no body.
  std::optional<Answer> Read(bool is_head = false);
  // Takes `size` bytes or what there is until the end.
  std::string ReadBytes(std::size_t size);
  // True if the server has closed and there is nothing left to read.
  bool AtEnd();
  // Closes; `reset` tells the server so as a crash would.
  void Close(bool reset = false);

 private:
  bool Fill();

  int fd_ = -1;
  std::string buffer_;
};

}  // namespace alertstream::http

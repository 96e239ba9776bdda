// RawHttpServer: an HTTP server whose every byte a test decides: it may answer slowly, in parts,
// with nonsense, or close at any moment. One thread a connection, on 127.0.0.1.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace alertstream {

struct RawRequest {
  std::string head;  // Request line and headers, with the empty line.
  std::string body;

  std::string RequestLine() const { return head.substr(0, head.find("\r\n")); }
};

class RawConnection {
 public:
  RawConnection(int socket, int number) : socket_(socket), number_(number) {}

  // A whole request; nothing if the other side closes before its end.
  std::optional<RawRequest> Read();
  // Exactly the head of a request, and nothing of its body.
  bool ReadHead();
  // False: the other side is gone.
  bool Send(std::string_view bytes);
  // A whole answer with a Content-Length.
  bool Answer(int status, std::string_view body, std::string_view headers = "");
  // The other side sees a reset instead of an end.
  void Reset();
  // Blocks until the other side closes or the server stops; what comes is dropped.
  void AwaitClose();
  // Blocks until the server stops, and reads nothing.
  void AwaitStop();
  int number() const { return number_; }  // 0 is the first connection.

 private:
  int socket_;
  int number_;
  std::string read_ = {};
};

class RawHttpServer {
 public:
  // Runs for each connection, on a thread of its own; the connection is closed when it returns.
  using Handler = std::function<void(RawConnection&)>;

  explicit RawHttpServer(Handler handler);
  ~RawHttpServer();
  RawHttpServer(const RawHttpServer&) = delete;
  RawHttpServer& operator=(const RawHttpServer&) = delete;

  std::string Url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int port() const { return port_; }
  int connections() const;
  // Blocks until no connection is open any more.
  void AwaitClosed();
  // Ends all connections. The port refuses from then on.
  void Stop();

 private:
  void Accept();

  Handler handler_;
  int listener_ = -1;
  int port_ = 0;
  mutable std::mutex mutex_;  // Guards what follows.
  bool stopping_ = false;
  int accepted_ = 0;
  std::list<int> sockets_;
  std::condition_variable closed_;
  std::list<std::thread> threads_;
  std::thread accepter_;
};

}  // namespace alertstream

// TestApp: a server for tests with the handlers that its behaviour shows on: an echo, parked
// requests that a test answers when it wants to, large answers, handlers that fail. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "api/http/routes.h"
#include "api/http/server.h"

namespace alertstream::http {

struct Parked {
  Request request;
  Responder responder;
};

class TestApp {
 public:
  explicit TestApp(ServerOptions options = {});
  ~TestApp() { server.Stop(); }
  TestApp(const TestApp&) = delete;
  TestApp& operator=(const TestApp&) = delete;

  // Waits for the next parked request; nothing after ten seconds, or at once if the app ends.
  std::optional<Parked> NextParked();
  // Makes NextParked return when nothing is parked any more.
  void EndParking();
  // Waits until it holds of the server's numbers; false after ten seconds.
  bool WaitFor(const std::function<bool(const ServerStats&)>& condition);

 private:
  void AddRoutes();

  Routes routes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Parked> parked_;
  bool ended_ = false;

 public:
  Server server;  // Last: its threads use the rest.
};

// GET PATH, kept alive.
std::string Get(const std::string& path);
// POST PATH with a body.
std::string Post(const std::string& path, const std::string& body);

}  // namespace alertstream::http

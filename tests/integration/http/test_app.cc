#include "tests/integration/http/test_app.h"

#include <charconv>
#include <chrono>
#include <stdexcept>
#include <utility>

#include "processor/base/check.h"
#include "processor/base/clock.h"

namespace alertstream::http {
namespace {

using namespace std::chrono_literals;

}  // namespace

TestApp::TestApp(ServerOptions options)
    : server(
          std::move(options),
          [this](Request request, Responder responder) {
            routes_.Handle(std::move(request), std::move(responder));
          },
          SystemClock()) {
  AddRoutes();
  const Status started = server.Start();
  ALERTSTREAM_CHECK(started.ok());
}

void TestApp::AddRoutes() {
  const auto added = [](const Status& status) { ALERTSTREAM_CHECK(status.ok()); };
  added(routes_.Add("GET", "/echo/{text}", [](const Request& request, const RouteParams& params) {
    Response response;
    response.headers.Add("X-Peer", request.peer);
    response.body = params.Get("text");
    return response;
  }));
  added(routes_.Add("POST", "/echo", [](const Request& request, const RouteParams& /*params*/) {
    Response response;
    response.body = request.body;
    return response;
  }));
  added(routes_.Add("GET", "/large/{bytes}",
                    [](const Request& /*request*/, const RouteParams& params) {
                      std::size_t size = 0;
                      const std::string_view digits = params.Get("bytes");
                      std::from_chars(digits.data(), digits.data() + digits.size(), size);
                      Response response;
                      response.body.assign(size, 'x');
                      return response;
                    }));
  added(routes_.Add("GET", "/throw",
                    [](const Request& /*request*/, const RouteParams& /*params*/) -> Response {
                      throw std::runtime_error("the secret of the handler");
                    }));
  added(routes_.Add(
      "GET", "/throw-int",
      [](const Request& /*request*/, const RouteParams& /*params*/) -> Response { throw 1; }));
  added(routes_.AddParking(
      "GET", "/drop",
      [](const Request& /*request*/, const RouteParams& /*params*/, Responder responder) {
        const Responder dropped = std::move(responder);
      }));
  added(routes_.Add("GET", "/reset", [](const Request& /*request*/, const RouteParams& /*params*/) {
    Response response;
    response.resets_connection = true;
    return response;
  }));
  added(routes_.AddParking(
      "GET", "/park/{text}",
      [this](Request request, const RouteParams& /*params*/, Responder responder) {
        const std::lock_guard lock(mutex_);
        parked_.push_back({std::move(request), std::move(responder)});
        changed_.notify_all();
      }));
}

std::optional<Parked> TestApp::NextParked() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, 10s, [this] { return !parked_.empty() || ended_; });
  if (parked_.empty()) {
    return std::nullopt;
  }
  std::optional<Parked> next(std::move(parked_.front()));
  parked_.pop_front();
  return next;
}

void TestApp::EndParking() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

bool TestApp::WaitFor(const std::function<bool(const ServerStats&)>& condition) {
  for (int i = 0; i < 2000; ++i) {
    if (condition(server.stats())) {
      return true;
    }
    SystemClock().SleepFor(5ms);
  }
  return false;
}

std::string Get(const std::string& path) { return "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"; }

std::string Post(const std::string& path, const std::string& body) {
  return "POST " + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

}  // namespace alertstream::http

// Responder: the one answer to one request, owed by whoever holds it.
//
// A handler answers at once, or parks the request: it moves the responder away, and the thread
// that learns the result answers. Movable, used by one thread at a time; which thread is all the
// same. Without an answer its end answers 500. A client that has gone away makes the answer a
// no-op. Used by handlers; made by the server, and by tests with a sink of their own.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "api/http/message.h"
#include "api/http/problem.h"
#include "processor/base/check.h"

namespace alertstream::http {

// Where an answer goes: the connection. Thread-safe.
class AnswerSink {
 public:
  virtual ~AnswerSink() = default;
  // Does nothing unless `request` is the one that the client waits for.
  virtual void Answer(std::uint64_t request, Response response) = 0;
};

class Responder {
 public:
  // Shared with the server, which knows the connection while it lives.
  Responder(std::shared_ptr<AnswerSink> sink, std::uint64_t request)
      : sink_(std::move(sink)), request_(request) {}
  ~Responder() { Abandon(); }
  Responder(Responder&&) noexcept = default;
  Responder& operator=(Responder&& other) noexcept {
    if (this != &other) {
      Abandon();
      sink_ = std::move(other.sink_);
      request_ = other.request_;
    }
    return *this;
  }
  Responder(const Responder&) = delete;
  Responder& operator=(const Responder&) = delete;

  // REQUIRES: nothing was sent before and this was not moved from.
  void Send(Response response) {
    ALERTSTREAM_CHECK(sink_ != nullptr);
    std::exchange(sink_, nullptr)->Answer(request_, std::move(response));
  }

 private:
  void Abandon() {
    if (sink_) {
      Send(Problem(500, "The request was not answered."));
    }
  }

  std::shared_ptr<AnswerSink> sink_;
  std::uint64_t request_;
};

}  // namespace alertstream::http

// OneAnswer: where the answer to one request arrives that a test gives to routes. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

#include <gtest/gtest.h>

#include "api/http/message.h"
#include "api/http/responder.h"

namespace alertstream::api {

class OneAnswer final : public http::AnswerSink {
 public:
  void Answer(std::uint64_t /*request*/, http::Response response) override {
    const std::lock_guard lock(mutex_);
    EXPECT_FALSE(response_.has_value()) << "answered twice";
    response_ = std::move(response);
    changed_.notify_all();
  }

  bool Has() const {
    const std::lock_guard lock(mutex_);
    return response_.has_value();
  }

  // The answer once it is there; a failure of the test, and status 0, if none comes.
  http::Response Wait() const {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kWaitMax, [this] { return response_.has_value(); })) {
      ADD_FAILURE() << "no answer";
      return {.status = 0};
    }
    return *response_;
  }

 private:
  static constexpr std::chrono::seconds kWaitMax{20};  // Far above what a loaded machine takes.

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::optional<http::Response> response_;
};

}  // namespace alertstream::api

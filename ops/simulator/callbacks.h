// Callbacks: signed webhooks to whoever sent a message, one after the other for one message, each
// repeated a little if it fails, as Twilio does. Thread-safe; never blocks.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ops/simulator/timers.h"
#include "ops/simulator/twilio_api.h"
#include "processor/base/redacted.h"
#include "processor/dispatch/http_client.h"

namespace alertstream::simulator {

struct CallbackOptions {
  std::chrono::milliseconds delay{20};         // Before each callback of a message.
  std::uint32_t tries_max = 3;                 // Of a callback that gets no answer, 429 or 5xx.
  std::chrono::milliseconds retry_pause{500};  // Times the tries so far.
  // Submitted and not answered: with long addresses about 100 MB. Somebody who never answers must
  // not fill the memory.
  std::size_t pending_max = 10'000;
};

struct CallbackCounts {
  std::uint64_t accepted = 0;  // Answered with 2xx.
  std::uint64_t failed = 0;    // Given up.
  std::uint64_t retried = 0;
  std::uint64_t dropped = 0;  // Messages whose callbacks found no room.
};

class Callbacks {
 public:
  // Both outlive this, and Timers stops before the client does.
  Callbacks(dispatch::HttpClient& client, Timers& timers, const CallbackOptions& options)
      : client_(client), timers_(timers), options_(options) {}

  // Tells message->status_callback each of `statuses` in that order.
  void Tell(std::shared_ptr<const Message> message, Redacted<std::string> auth_token,
            std::vector<std::string> statuses);
  // One signed webhook, not repeated. `done` is called on the client's thread.
  void Post(std::string_view url, const dispatch::Form& form,
            const Redacted<std::string>& auth_token, dispatch::HttpClient::Done done);

  CallbackCounts counts() const;

 private:
  struct Telling;

  void Later(std::chrono::milliseconds delay, std::shared_ptr<Telling> telling);
  void Next(const std::shared_ptr<Telling>& telling);
  void Answered(const std::shared_ptr<Telling>& telling, const dispatch::HttpOutcome& outcome);
  void Submit(std::string_view url, const dispatch::Form& form,
              const Redacted<std::string>& auth_token, const std::string& idempotency_token,
              dispatch::HttpClient::Done done);

  dispatch::HttpClient& client_;
  Timers& timers_;
  const CallbackOptions options_;
  std::atomic<std::uint64_t> accepted_{0};
  std::atomic<std::uint64_t> failed_{0};
  std::atomic<std::uint64_t> retried_{0};
  std::atomic<std::uint64_t> dropped_{0};
};

}  // namespace alertstream::simulator

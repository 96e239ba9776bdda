// Traffic: what the provider simulator accepted and what it was asked, in bounded memory, as JSON
// for tests. Thread-safe; nothing is rendered under its lock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "ops/simulator/twilio_api.h"
#include "processor/base/time.h"

namespace alertstream::simulator {

// About 60 MB of messages; the oldest go first, and the totals still count them.
inline constexpr std::size_t kMessagesKeptMax = 100'000;
inline constexpr std::size_t kRequestsKeptMax = 100'000;
// Keys are counted far longer than messages are kept: "sent once" is checked by them.
inline constexpr std::size_t kKeysMax = 2'000'000;

// Of a request's path; the paths of the API have 80 bytes.
inline constexpr std::size_t kPathBytesMax = 256;

struct TrafficLimits {
  std::size_t messages_max = kMessagesKeptMax;
  std::size_t requests_max = kRequestsKeptMax;
  std::size_t keys_max = kKeysMax;
};

// One request of Twilio's API and what it was answered.
struct RequestEntry {
  LogTime received_at;
  std::string method;
  std::string path;   // At most kPathBytesMax of it are kept.
  int status = 0;     // 0: no answer, or not yet.
  int code = 0;       // Twilio's; 0: none.
  std::string fault;  // Name of the fault that was played; "": none.
  std::string key;
  std::string sid;
  std::string to;
  std::string from;
};

class Traffic {
 public:
  explicit Traffic(const TrafficLimits& limits = {}) : limits_(limits) {}

  // Fills in the attempt: how often the key was accepted, this time included; 1 without a key.
  std::shared_ptr<const Message> Accept(Message message);
  void Note(RequestEntry request);
  // Forgets messages, requests and counts.
  void Clear();

  // {"messages":[{"key","sid","to","from","body","attempt","received_at"}],"distinct_keys",
  // "total","kept","keys_uncounted"}: the newest `limit` in the order they were accepted.
  std::string MessagesJson(std::size_t limit) const;
  // {"requests":[{"received_at","method","path","status","code","fault","key","sid","to","from"}],
  // "total","kept"}
  std::string RequestsJson(std::size_t limit) const;

 private:
  using Key = std::array<std::uint8_t, 16>;  // The bytes of a notification's id.
  struct HashOfKey {
    std::size_t operator()(const Key& key) const;
  };

  const TrafficLimits limits_;
  mutable std::mutex mutex_;
  std::deque<std::shared_ptr<const Message>> messages_;
  std::deque<std::shared_ptr<const RequestEntry>> requests_;
  std::unordered_map<Key, std::uint32_t, HashOfKey> accepted_;
  std::uint64_t messages_total_ = 0;
  std::uint64_t requests_total_ = 0;
  std::uint64_t keys_uncounted_ = 0;
};

}  // namespace alertstream::simulator

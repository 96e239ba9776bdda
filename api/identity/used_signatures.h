// UsedSignatures: which signatures of requests were used already, for as long as they are valid, so
// that who saw one cannot send it again. Thread-safe; used by AccessGuard.
//
// What counts is what was signed (key, time, body; of a v2 its target too), not how the header was
// written. The memory is of one server and of no restart: what is spread over several servers is
// refused by each once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "api/auth/identity.h"
#include "api/http/message.h"
#include "processor/base/crypto.h"
#include "processor/base/time.h"

namespace alertstream::api {

inline constexpr std::size_t kUsedSignaturesMax = 100'000;  // About 200 bytes each.

struct SignedFor {
  std::int64_t signed_at_s = 0;
  std::string_view target = {};  // Empty: of a v1, which is good for any.
};

class UsedSignatures {
 public:
  explicit UsedSignatures(std::size_t count_max = kUsedSignaturesMax) : count_max_(count_max) {}

  // False if `key`'s signature of this and of the request's body was used. A request with
  // an Idempotency-Key may come again as it was: it changes nothing twice. Forgets the oldest ones
  // when there are too many.
  bool Use(const ApiKey& key, const SignedFor& signed_for, const http::Request& request,
           LogTime now);

 private:
  struct Used {
    LogTime valid_until;
    Digest request{};  // What an equal request has in common with it; zeros: none is equal.
  };

  void MakeRoom(LogTime now);

  const std::size_t count_max_;
  std::mutex mutex_;  // Of what follows.
  std::map<Digest, Used> used_;
  std::deque<Digest> order_;  // Oldest use first; the same digests as used_.
};

}  // namespace alertstream::api

// UsedSignatures: which signatures of requests were used already, for as long as they are valid, so
// that who saw one cannot send it again. Thread-safe; used by AccessGuard.
//
// What counts is what was signed (key, time, method, path, query and body), not how the header was
// written. Nothing is forgotten before its time: who fills the memory is refused, and fills only
// their own tenant's part of it. The memory is of one server and of no restart: what is spread over
// several servers is refused by each once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "api/auth/identity.h"
#include "api/http/message.h"
#include "processor/base/crypto.h"
#include "processor/base/time.h"

namespace alertstream::api {

// About 250 bytes each. A signature is remembered for 300 s, so that this is 200 changes a second
// of one tenant, whatever the number of its keys.
inline constexpr std::size_t kUsedSignaturesOfTenantMax = 60'000;
// Of all tenants; beyond, a tenant may have kUsedSignaturesSpared: some that change much take
// nothing from those that change little.
inline constexpr std::size_t kUsedSignaturesMax = 500'000;
inline constexpr std::size_t kUsedSignaturesSpared = 1'000;

struct UsedSignaturesBounds {
  std::size_t of_tenant_max = kUsedSignaturesOfTenantMax;
  std::size_t of_all_max = kUsedSignaturesMax;
  std::size_t spared = kUsedSignaturesSpared;
};

// Whether a request may come again as it was, with its signature and its Idempotency-Key.
enum class Repeats : std::uint8_t {
  kRefused,
  kAnswered,  // The route keeps the keys (WithKey), so that a repetition changes nothing.
};

enum class SignatureUse : std::uint8_t {
  kGood,
  kUsed,  // Refuse the request.
  kFull,  // It was not used, but too many others of the tenant are remembered.
};

class UsedSignatures {
 public:
  explicit UsedSignatures(const UsedSignaturesBounds& bounds = {}) : bounds_(bounds) {}

  // Uses the signature that `key` made of `request` at `signed_at_s`.
  SignatureUse Use(const ApiKey& key, std::int64_t signed_at_s, const http::Request& request,
                   LogTime now, Repeats repeats);

 private:
  using Counts = std::map<std::string, std::size_t, std::less<>>;
  struct Used {
    Digest request{};  // What an equal request has in common with it; zeros: none is equal.
    Counts::iterator of_tenant;
  };

  void ForgetEnded(LogTime now);

  const UsedSignaturesBounds bounds_;
  std::mutex mutex_;  // Of what follows.
  std::map<Digest, Used> used_;
  std::multimap<LogTime, Digest> ends_;  // Until when it is valid; the same digests as used_.
  Counts counts_;                        // By tenant; no zeros.
};

}  // namespace alertstream::api

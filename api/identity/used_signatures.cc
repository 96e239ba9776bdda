#include "api/identity/used_signatures.h"

#include <chrono>

#include "api/auth/request_signature.h"

namespace alertstream::api {
namespace {

// A request's signature may have been found valid a moment ago, by another thread's clock.
constexpr std::chrono::seconds kCheckedBefore{1};

// With its length, so that no two lists of parts are alike.
void Add(std::string_view part, Sha256* hash) {
  hash->Update(std::to_string(part.size())).Update(":").Update(part);
}

Digest SignedOf(const ApiKey& key, std::int64_t signed_at_s, const http::Request& request) {
  Sha256 hash;
  Add(key.tenant, &hash);
  Add(key.id, &hash);
  Add(std::to_string(signed_at_s), &hash);
  Add(SignedTarget(request.method, request.path, request.query), &hash);
  Add(request.body, &hash);
  return hash.Final();
}

// Zeros without an Idempotency-Key, or where none is kept.
Digest RequestOf(const http::Request& request, Repeats repeats) {
  const auto idempotency_key = request.headers.Find("Idempotency-Key");
  if (repeats == Repeats::kRefused || !idempotency_key || idempotency_key->empty()) {
    return {};
  }
  Sha256 hash;
  Add(*idempotency_key, &hash);
  return hash.Final();
}

}  // namespace

SignatureUse UsedSignatures::Use(const ApiKey& key, std::int64_t signed_at_s,
                                 const http::Request& request, LogTime now, Repeats repeats) {
  const Digest what = SignedOf(key, signed_at_s, request);
  const Digest same = RequestOf(request, repeats);
  const std::lock_guard lock(mutex_);
  ForgetEnded(now);
  if (const auto before = used_.find(what); before != used_.end()) {
    const bool is_same = same != Digest{} && before->second.request == same;
    return is_same ? SignatureUse::kGood : SignatureUse::kUsed;
  }
  const auto counted = counts_.find(key.tenant);
  const std::size_t count = counted == counts_.end() ? 0 : counted->second;
  if (count >= bounds_.of_tenant_max ||
      (used_.size() >= bounds_.of_all_max && count >= bounds_.spared)) {
    return SignatureUse::kFull;
  }
  const auto of_tenant = counts_.try_emplace(key.tenant, 0).first;
  ++of_tenant->second;
  used_.emplace(what, Used{same, of_tenant});
  ends_.emplace(LogTime(std::chrono::seconds(signed_at_s)) + kSignatureWindow + kCheckedBefore,
                what);
  return SignatureUse::kGood;
}

void UsedSignatures::ForgetEnded(LogTime now) {
  while (!ends_.empty() && ends_.begin()->first < now) {
    const auto ended = used_.find(ends_.begin()->second);
    const auto of_tenant = ended->second.of_tenant;
    if (--of_tenant->second == 0) {
      counts_.erase(of_tenant);
    }
    used_.erase(ended);
    ends_.erase(ends_.begin());
  }
}

}  // namespace alertstream::api

#include "api/identity/used_signatures.h"

#include <chrono>

#include "api/auth/request_signature.h"

namespace alertstream::api {
namespace {

// With its length, so that no two lists of parts are alike.
void Add(std::string_view part, Sha256* hash) {
  hash->Update(std::to_string(part.size())).Update(":").Update(part);
}

Digest SignedOf(const ApiKey& key, const SignedFor& what, std::string_view body) {
  Sha256 hash;
  Add(key.tenant, &hash);
  Add(key.id, &hash);
  Add(std::to_string(what.signed_at_s), &hash);
  Add(what.target, &hash);
  Add(body, &hash);
  return hash.Final();
}

// Zeros without an Idempotency-Key.
Digest RequestOf(const http::Request& request) {
  const auto idempotency_key = request.headers.Find("Idempotency-Key");
  if (!idempotency_key || idempotency_key->empty()) {
    return {};
  }
  Sha256 hash;
  Add(request.method, &hash);
  Add(request.path, &hash);
  Add(request.query, &hash);
  Add(*idempotency_key, &hash);
  return hash.Final();
}

}  // namespace

bool UsedSignatures::Use(const ApiKey& key, const SignedFor& signed_for,
                         const http::Request& request, LogTime now) {
  const Digest what = SignedOf(key, signed_for, request.body);
  const Digest same = RequestOf(request);
  const LogTime valid_until =
      LogTime(std::chrono::seconds(signed_for.signed_at_s)) + kSignatureWindow;
  const std::lock_guard lock(mutex_);
  if (const auto before = used_.find(what); before != used_.end()) {
    return same != Digest{} && before->second.request == same;
  }
  MakeRoom(now);
  used_.emplace(what, Used{valid_until, same});
  order_.push_back(what);
  return true;
}

void UsedSignatures::MakeRoom(LogTime now) {
  while (!order_.empty()) {
    const auto oldest = used_.find(order_.front());
    if (used_.size() < count_max_ && oldest->second.valid_until >= now) {
      return;
    }
    used_.erase(oldest);
    order_.pop_front();
  }
}

}  // namespace alertstream::api

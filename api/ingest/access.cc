#include "api/ingest/access.h"

#include <algorithm>
#include <string>
#include <utility>

#include "api/auth/request_signature.h"

namespace alertstream::api {
namespace {

using http::ProblemDetails;
using Verdict = std::variant<std::shared_ptr<const ApiKey>, ProblemDetails>;

constexpr std::string_view kAllowedHeaders =
    "Content-Type, X-API-Key, Idempotency-Key, X-Request-Id, traceparent, tracestate, "
    "ce-specversion, ce-id, ce-source, ce-type, ce-time, ce-subject, ce-dataschema, ce-site, "
    "ce-idempotencykey, ce-traceparent, ce-tracestate";
constexpr std::string_view kExposedHeaders =
    "X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, Idempotent-Replayed";
// Browsers keep a preflight for ten minutes to two hours at most; a revoked origin for as long.
constexpr std::string_view kPreflightSeconds = "600";

ProblemDetails Unauthenticated(std::string detail) {
  return {.status = 401, .code = "unauthenticated", .detail = std::move(detail)};
}

ProblemDetails Forbidden(std::string detail) {
  return {.status = 403, .code = "forbidden", .detail = std::move(detail)};
}

bool Allows(const ApiKey& key, std::string_view origin) {
  return std::any_of(key.origins.begin(), key.origins.end(), [&](const std::string& allowed) {
    return allowed == "*" || (!origin.empty() && allowed == origin);
  });
}

Verdict CheckSignature(const http::Request& request, std::shared_ptr<const ApiKey> key,
                       LogTime now) {
  constexpr std::string_view kName = "X-Signature";
  if (request.headers.Count(kName) > 1) {
    return ProblemDetails{
        .status = 400, .code = "malformed_request", .detail = "X-Signature: given more than once"};
  }
  const auto signature = request.headers.Find(kName);
  if (!signature) {
    return Unauthenticated("X-Signature: missing; requests with a secret key are signed");
  }
  const std::string target = SignedTarget(request.method, request.path, request.query);
  const Status verified = VerifyRequestSignature(
      *signature, request.body, key->signing_secrets,
      {.now = now, .allow_body_only = key->allow_body_only, .target = target});
  if (verified.ok()) {
    return key;
  }
  const bool is_denied = verified.error().code() == ErrorCode::kDenied;
  return ProblemDetails{.status = is_denied ? 403 : 400,
                        .code = is_denied ? "bad_signature" : "malformed_request",
                        .detail = verified.error().message()};
}

}  // namespace

Verdict Authorize(const http::Request& request, const Identity& identity, LogTime now) {
  constexpr std::string_view kName = "X-API-Key";
  const auto presented = request.headers.Find(kName);
  if (!presented || presented->empty() || request.headers.Count(kName) > 1) {
    return Unauthenticated("X-API-Key: expected exactly one API key");
  }
  auto key = presented->size() <= kApiKeyBytesMax ? identity.FindKey(*presented) : nullptr;
  if (key == nullptr && !identity.Available()) {
    return ProblemDetails{.status = 503,
                          .code = "unavailable",
                          .detail = "X-API-Key: keys cannot be looked up now; come again"};
  }
  if (key == nullptr) {
    return Unauthenticated("X-API-Key: there is no such API key");
  }
  if (!key->networks.empty() && !Contains(key->networks, request.peer)) {
    return Forbidden("The API key may not be used from this address.");
  }
  if (!key->scopes.ingest) {
    return Forbidden("The API key's scopes do not hold ingest.");
  }
  switch (key->kind) {
    case KeyKind::kSecret:
      return CheckSignature(request, std::move(key), now);
    case KeyKind::kPublishable:
      if (!Allows(*key, request.headers.Find("Origin").value_or(""))) {
        return Forbidden("Origin: not one of those that the publishable API key allows");
      }
      return key;
    case KeyKind::kOperator:
      return Forbidden("An operator's key does not ingest events; use a key of the tenant.");
  }
  return Forbidden("The API key may not ingest events.");
}

void AddCorsFields(const http::Request& request, const Identity& identity, http::Headers* headers) {
  const auto origin = request.headers.Find("Origin");
  if (!origin) {
    return;
  }
  headers->Add("Vary", "Origin");
  if (identity.OriginAllowed(*origin)) {
    headers->Add("Access-Control-Allow-Origin", *origin);
    headers->Add("Access-Control-Expose-Headers", kExposedHeaders);
  }
}

http::Response Preflight(const http::Request& request, const Identity& identity) {
  const auto origin = request.headers.Find("Origin");
  http::Response response = {.status = 204};
  if (origin && !identity.OriginAllowed(*origin)) {
    response = http::Problem(Forbidden("Origin: not one that a publishable API key allows"));
  } else if (origin) {
    response.headers.Add("Access-Control-Allow-Origin", *origin);
    response.headers.Add("Access-Control-Allow-Methods", "POST");
    response.headers.Add("Access-Control-Allow-Headers", kAllowedHeaders);
    response.headers.Add("Access-Control-Max-Age", kPreflightSeconds);
  }
  response.headers.Add("Vary",
                       "Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
  response.headers.Add("Allow", "OPTIONS, POST");
  return response;
}

}  // namespace alertstream::api

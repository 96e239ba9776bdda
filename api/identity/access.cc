#include "api/identity/access.h"

#include <string>
#include <utility>

#include "api/auth/request_signature.h"

namespace alertstream::api {
namespace {

using http::ProblemDetails;

constexpr std::string_view kBearer = "Bearer ";

ProblemDetails Unauthenticated(std::string detail) {
  return {.status = 401, .code = "unauthenticated", .detail = std::move(detail)};
}

ProblemDetails Forbidden(std::string detail) {
  return {.status = 403, .code = "forbidden", .detail = std::move(detail)};
}

ProblemDetails Malformed(std::string detail) {
  return {.status = 400, .code = "malformed_request", .detail = std::move(detail)};
}

ProblemDetails Unavailable() {
  return {.status = 503,
          .code = "unavailable",
          .detail = "Who calls cannot be told now: the database cannot be reached."};
}

bool IsReading(const http::Request& request) {
  return request.method == "GET" || request.method == "HEAD";
}

ProblemDetails BadSignature(std::string detail) {
  return {.status = 403, .code = "bad_signature", .detail = std::move(detail)};
}

// When the request was signed, or what is wrong with its signature.
std::variant<std::int64_t, ProblemDetails> SignedAt(const http::Request& request, const ApiKey& key,
                                                    LogTime now) {
  constexpr std::string_view kName = "X-Signature";
  if (request.headers.Count(kName) > 1) {
    return Malformed("X-Signature: given more than once");
  }
  const auto signature = request.headers.Find(kName);
  if (!signature) {
    return Unauthenticated("X-Signature: missing; a secret key signs requests that change things");
  }
  const std::string target = SignedTarget(request.method, request.path, request.query);
  const Status verified =
      VerifyRequestSignature(*signature, request.body, key.signing_secrets,
                             {.now = now, .target = target, .bound_only = true});
  if (!verified.ok()) {
    return verified.error().code() == ErrorCode::kDenied ? BadSignature(verified.error().message())
                                                         : Malformed(verified.error().message());
  }
  return ParseRequestSignature(*signature).value().signed_at_s;
}

http::Response AnswerOf(const ProblemDetails& problem) {
  http::Response response = http::Problem(problem);
  if (problem.status == 401) {
    response.headers.Add("WWW-Authenticate", "Bearer realm=\"alertstream\"");
  }
  if (problem.status == 503) {
    response.headers.Add("Retry-After", "5");
  }
  return response;
}

}  // namespace

std::variant<Caller, http::Response> AccessGuard::Admit(const http::Request& request,
                                                        Permission permission,
                                                        Repeats repeats) const {
  auto identified = Identify(request, permission);
  if (const auto* problem = std::get_if<ProblemDetails>(&identified)) {
    return AnswerOf(*problem);
  }
  Identified& known = std::get<Identified>(identified);
  const Caller& caller = known.caller;
  if (!caller.is_user && permission == Permission::kManageUsers) {
    return AnswerOf(Forbidden("An API key does not manage users; log in as one."));
  }
  if (!caller.site.empty() &&
      (permission == Permission::kManageKeys || permission == Permission::kManageSites ||
       permission == Permission::kManageProviders)) {
    return AnswerOf(Forbidden(
        "The key of one website manages neither keys nor websites nor provider accounts."));
  }
  if (!Allows(caller.role, permission)) {
    return AnswerOf(Forbidden("The role " + std::string(RoleName(caller.role)) + " may not " +
                              std::string(PermissionName(permission)) + "."));
  }
  // Last: what is refused takes no room.
  if (auto problem = UseProblem(known, request, repeats)) {
    return AnswerOf(*problem);
  }
  return std::move(known.caller);
}

std::optional<ProblemDetails> AccessGuard::UseProblem(const Identified& known,
                                                      const http::Request& request,
                                                      Repeats repeats) const {
  if (!known.signed_at_s) {
    return std::nullopt;
  }
  switch (
      used_signatures_.Use(*known.key, *known.signed_at_s, request, deps_.clock.Now(), repeats)) {
    case SignatureUse::kGood:
      return std::nullopt;
    case SignatureUse::kUsed:
      return BadSignature("X-Signature was used already; sign the request anew, at another second");
    case SignatureUse::kFull:
      break;
  }
  return ProblemDetails{.status = 503,
                        .code = "unavailable",
                        .detail =
                            "The tenant's keys signed more requests in the last minutes than this "
                            "server remembers; come again later."};
}

AccessGuard::Answer AccessGuard::Identify(const http::Request& request,
                                          Permission permission) const {
  const std::size_t tokens = request.headers.Count("Authorization");
  const std::size_t keys = request.headers.Count("X-API-Key");
  if (tokens + keys == 0) {
    return Unauthenticated("Expected Authorization: Bearer with an access token, or X-API-Key");
  }
  if (tokens + keys > 1) {
    return Malformed("Expected one of Authorization and X-API-Key, once");
  }
  if (keys == 1) {
    return IdentifyKey(request, *request.headers.Find("X-API-Key"), permission);
  }
  return IdentifyToken(*request.headers.Find("Authorization"));
}

AccessGuard::Answer AccessGuard::IdentifyToken(std::string_view authorization) const {
  if (!http::EqualsIgnoringCase(authorization.substr(0, kBearer.size()), kBearer)) {
    return Unauthenticated("Authorization: expected the scheme Bearer");
  }
  const std::string_view token = authorization.substr(kBearer.size());
  if (token.empty() || token.size() > kAccessTokenBytesMax) {
    return Unauthenticated("The access token is not valid");
  }
  auto caller = deps_.users.CallerOf(token);
  if (caller.ok()) {
    return Identified{.caller = std::move(caller).value()};
  }
  return caller.error().code() == ErrorCode::kUnavailable
             ? Unavailable()
             : Unauthenticated("The access token is not valid");
}

AccessGuard::Answer AccessGuard::IdentifyKey(const http::Request& request,
                                             std::string_view presented,
                                             Permission permission) const {
  auto key = presented.size() <= kApiKeyBytesMax ? deps_.identity.FindKey(presented) : nullptr;
  if (key == nullptr) {
    return deps_.identity.Available() ? Unauthenticated("X-API-Key: there is no such API key")
                                      : Unavailable();
  }
  if (key->kind != KeyKind::kSecret) {
    return Forbidden("Expected a secret API key of a tenant, or a user's access token.");
  }
  if (!key->networks.empty() && !Contains(key->networks, request.peer)) {
    return Forbidden("The API key may not be used from this address.");
  }
  Identified known;
  if (!IsReading(request)) {
    auto signed_at = SignedAt(request, *key, deps_.clock.Now());
    if (auto* problem = std::get_if<ProblemDetails>(&signed_at)) {
      return std::move(*problem);
    }
    known.signed_at_s = std::get<std::int64_t>(signed_at);
  }
  const bool is_looking = IsLooking(permission);
  if (!(is_looking ? key->scopes.read : key->scopes.manage)) {
    return Forbidden(std::string("The API key's scopes do not hold ") +
                     (is_looking ? "read." : "manage."));
  }
  known.caller = {
      .tenant = key->tenant,
      .actor = key->id,
      .role = Role::kAdmin,
      .site = key->site,
      .bounds = KeyRights{
          .scopes = key->scopes, .networks = key->networks, .expires_at = key->expires_at}};
  known.key = std::move(key);
  return known;
}

http::Response NotFoundProblem() {
  return http::Problem({.status = 404, .code = "not_found", .detail = "There is no such object."});
}

}  // namespace alertstream::api

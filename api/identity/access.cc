#include "api/identity/access.h"

#include <memory>
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

// What a v2 is made of besides time and body.
std::string TargetOf(const http::Request& request) {
  std::string target = request.method + "." + request.path;
  return request.query.empty() ? target : target.append("?").append(request.query);
}

// A signature without a time is good for ever, for those who allow it: only others are remembered.
std::optional<ProblemDetails> SignatureProblem(const http::Request& request, const ApiKey& key,
                                               LogTime now, UsedSignatures* used) {
  constexpr std::string_view kName = "X-Signature";
  if (request.headers.Count(kName) > 1) {
    return Malformed("X-Signature: given more than once");
  }
  const auto signature = request.headers.Find(kName);
  if (!signature) {
    return Unauthenticated("X-Signature: missing; a secret key signs requests that change things");
  }
  const std::string target = TargetOf(request);
  const Status verified = VerifyRequestSignature(
      *signature, request.body, key.signing_secrets,
      {.now = now, .allow_body_only = key.allow_body_only, .target = target});
  if (!verified.ok()) {
    return verified.error().code() == ErrorCode::kDenied ? BadSignature(verified.error().message())
                                                         : Malformed(verified.error().message());
  }
  const auto parsed = ParseRequestSignature(*signature);
  if (!parsed.ok() || parsed.value().is_body_only) {
    return std::nullopt;
  }
  const std::string_view bound = parsed.value().bound_count > 0 ? target : std::string_view();
  if (!used->Use(key, {parsed.value().signed_at_s, bound}, request, now)) {
    return BadSignature("X-Signature was used already; sign the request anew, at another second");
  }
  return std::nullopt;
}

http::Response Answer(const ProblemDetails& problem) {
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
                                                        Permission permission) const {
  auto caller = Identify(request, permission);
  if (const auto* problem = std::get_if<ProblemDetails>(&caller)) {
    return Answer(*problem);
  }
  const Caller& known = std::get<Caller>(caller);
  if (!known.is_user && permission == Permission::kManageUsers) {
    return Answer(Forbidden("An API key does not manage users; log in as one."));
  }
  if (!known.site.empty() &&
      (permission == Permission::kManageKeys || permission == Permission::kManageSites ||
       permission == Permission::kManageProviders)) {
    return Answer(Forbidden(
        "The key of one website manages neither keys nor websites nor provider accounts."));
  }
  if (!Allows(known.role, permission)) {
    return Answer(Forbidden("The role " + std::string(RoleName(known.role)) + " may not " +
                            std::string(PermissionName(permission)) + "."));
  }
  return std::get<Caller>(std::move(caller));
}

std::variant<Caller, ProblemDetails> AccessGuard::Identify(const http::Request& request,
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
    return CallerOfKey(request, *request.headers.Find("X-API-Key"), permission);
  }
  return CallerOfToken(*request.headers.Find("Authorization"));
}

std::variant<Caller, ProblemDetails> AccessGuard::CallerOfToken(
    std::string_view authorization) const {
  if (!http::EqualsIgnoringCase(authorization.substr(0, kBearer.size()), kBearer)) {
    return Unauthenticated("Authorization: expected the scheme Bearer");
  }
  const std::string_view token = authorization.substr(kBearer.size());
  if (token.empty() || token.size() > kAccessTokenBytesMax) {
    return Unauthenticated("The access token is not valid");
  }
  auto caller = deps_.users.CallerOf(token);
  if (caller.ok()) {
    return std::move(caller).value();
  }
  return caller.error().code() == ErrorCode::kUnavailable
             ? Unavailable()
             : Unauthenticated("The access token is not valid");
}

std::variant<Caller, ProblemDetails> AccessGuard::CallerOfKey(const http::Request& request,
                                                              std::string_view presented,
                                                              Permission permission) const {
  const auto key =
      presented.size() <= kApiKeyBytesMax ? deps_.identity.FindKey(presented) : nullptr;
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
  if (!IsReading(request)) {
    if (auto problem = SignatureProblem(request, *key, deps_.clock.Now(), &used_signatures_)) {
      return *std::move(problem);
    }
  }
  const bool is_looking = IsLooking(permission);
  if (!(is_looking ? key->scopes.read : key->scopes.manage)) {
    return Forbidden(std::string("The API key's scopes do not hold ") +
                     (is_looking ? "read." : "manage."));
  }
  return Caller{.tenant = key->tenant, .actor = key->id, .role = Role::kAdmin, .site = key->site};
}

http::Response NotFoundProblem() {
  return http::Problem({.status = 404, .code = "not_found", .detail = "There is no such object."});
}

}  // namespace alertstream::api

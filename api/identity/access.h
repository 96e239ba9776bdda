// AccessGuard: who calls a route, and whether they may. Every route below /api/v1 but those that
// ingest, control and take webhooks asks it first. Pure but for the ports that it asks and the
// signatures that it remembers; nothing blocks, so a handler may ask on a thread of the server.
// Thread-safe.
//
// A caller is a user with an access token (Authorization: Bearer), or a tenant's server with its
// secret key (X-API-Key). A key signs what changes something (X-Signature with a v2, which names
// method and path; good once: used_signatures.h); GET and HEAD need none. Publishable and
// operators' keys are refused here.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "api/auth/identity.h"
#include "api/http/message.h"
#include "api/http/problem.h"
#include "api/identity/roles.h"
#include "api/identity/used_signatures.h"
#include "processor/base/clock.h"
#include "processor/base/result.h"

namespace alertstream::api {

struct Caller {
  std::string tenant;  // The only one whose objects there are for this request.
  std::string actor;   // "usr_…", or the API key's id: for records and the audit log. No secret.
  bool is_user = false;
  Role role = Role::kViewer;  // A secret key acts as kAdmin within its scopes, without users.
  std::string site;           // Of a key that belongs to one site; else empty.
  std::optional<KeyRights> bounds = {};  // Of a key: what one that it makes may not exceed.
};

// Whom an access token names. A port; answers without blocking.
class UserTokens {
 public:
  virtual ~UserTokens() = default;
  // kDenied: not a token of ours, expired, or revoked; the message says no more than that it is not
  // valid. kUnavailable: whether it was revoked is not known.
  virtual Result<Caller> CallerOf(std::string_view token) const = 0;
};

inline constexpr std::size_t kAccessTokenBytesMax = 4096;

// Everything outlives the guard.
struct AccessDeps {
  const Identity& identity;
  const UserTokens& users;
  const Clock& clock;
};

class AccessGuard {
 public:
  explicit AccessGuard(const AccessDeps& deps) : deps_(deps) {}

  // The caller, or the answer to send: 400, 401, 403 or 503 problems.
  std::variant<Caller, http::Response> Admit(const http::Request& request, Permission permission,
                                             Repeats repeats = Repeats::kRefused) const;

 private:
  struct Identified {
    Caller caller;
    std::shared_ptr<const ApiKey> key = {};        // Null: a user.
    std::optional<std::int64_t> signed_at_s = {};  // Of a key's signed request.
  };
  using Answer = std::variant<Identified, http::ProblemDetails>;

  Answer Identify(const http::Request& request, Permission permission) const;
  Answer IdentifyToken(std::string_view authorization) const;
  Answer IdentifyKey(const http::Request& request, std::string_view presented,
                     Permission permission) const;
  // What keeps a signature that is right from being used.
  std::optional<http::ProblemDetails> UseProblem(const Identified& known,
                                                 const http::Request& request,
                                                 Repeats repeats) const;

  const AccessDeps deps_;
  mutable UsedSignatures used_signatures_;
};

// 404, as for what does not exist: another tenant's object is not even told to exist.
http::Response NotFoundProblem();

}  // namespace alertstream::api

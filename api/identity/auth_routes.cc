#include "api/identity/auth_routes.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "api/auth/network.h"
#include "api/http/problem.h"
#include "api/identity/login_throttle.h"
#include "api/identity/outbox.h"
#include "api/identity/request_bodies.h"
#include "api/identity/transaction.h"
#include "api/query/object_fields.h"

namespace alertstream::api {
namespace {

using http::ProblemDetails;

// What registering waits for the fold and the read side, in all.
constexpr std::chrono::seconds kOpeningWaitMax{5};

http::Response Unavailable(std::string detail) {
  http::Response response =
      http::Problem({.status = 503, .code = "unavailable", .detail = std::move(detail)});
  response.headers.Add("Retry-After", "2");
  return response;
}

http::Response Unauthenticated(std::string detail) {
  http::Response response =
      http::Problem({.status = 401, .code = "unauthenticated", .detail = std::move(detail)});
  response.headers.Add("WWW-Authenticate", "Bearer realm=\"alertstream\"");
  return response;
}

// The switch from what went wrong to its answer.
http::Response AnswerOf(const Refusal& refusal) {
  switch (refusal.error.code()) {
    case ErrorCode::kDenied:
      return Unauthenticated(refusal.error.message());
    case ErrorCode::kConflict:
      return http::Problem({.status = 409, .code = "conflict", .detail = refusal.error.message()});
    case ErrorCode::kExhausted: {
      http::Response response =
          http::Problem({.status = 429, .code = "rate_limited", .detail = refusal.error.message()});
      response.headers.Add("Retry-After", std::to_string(refusal.retry_after.count()));
      return response;
    }
    case ErrorCode::kInvalid:
      return http::Problem(
          {.status = 422, .code = "validation_failed", .detail = refusal.error.message()});
    case ErrorCode::kUnavailable:
    case ErrorCode::kUnknown:
      return Unavailable("Nobody can be let in now: the database cannot be reached.");
    case ErrorCode::kNotFound:
    case ErrorCode::kFenced:
    case ErrorCode::kCorrupt:
      break;
  }
  return http::Problem(500, "The request could not be handled.");
}

http::Response GrantAnswer(int status, const Grant& grant, LogTime now) {
  ObjectFields fields;
  fields.Text("object", "session");
  fields.Text("user", grant.user).Text("tenant", grant.tenant).Text("role", RoleName(grant.role));
  fields.Text("token_type", "Bearer").Text("access_token", grant.access_token.Reveal());
  fields.Integer(
      "expires_in",
      std::chrono::duration_cast<std::chrono::seconds>(grant.access_expires_at - now).count());
  fields.Text("refresh_token", grant.refresh_token.Reveal());
  fields.Time("refresh_expires_at", grant.refresh_expires_at);
  http::Response response{.status = status, .body = fields.ToJson()};
  response.headers.Add("Content-Type", "application/json");
  return response;
}

bool IsJson(const http::Request& request) {
  const auto type = request.headers.Find("Content-Type");
  return !type ||
         http::EqualsIgnoringCase(type->substr(0, type->find_first_of("; ")), "application/json");
}

// Shared by the routes' copies.
class AuthDoor {
 public:
  explicit AuthDoor(const AuthDeps& deps) : deps_(deps) {}

  // Reads the body and runs `work(ask, responder)` on a worker of `lane`.
  enum class Lane : std::uint8_t { kHashing, kSession };
  template <typename Ask, typename Work>
  void Handle(Lane lane, const http::Request& request, http::Responder responder,
              Parsed<Ask> (*parse)(std::string_view), Work work) const;

  void Register(const RegisterAsk& ask, const std::shared_ptr<http::Responder>& responder) const;
  http::Response LogIn(const LoginAsk& ask) const;
  http::Response Refresh(const RefreshAsk& ask) const;
  http::Response LogOut(const RefreshAsk& ask) const;

 private:
  const AuthDeps deps_;
};

template <typename Ask, typename Work>
void AuthDoor::Handle(Lane lane, const http::Request& request, http::Responder responder,
                      Parsed<Ask> (*parse)(std::string_view), Work work) const {
  if (deps_.tables == nullptr) {
    return responder.Send(
        Unavailable("This server has no users; its setting postgres.url is not set."));
  }
  if (!IsJson(request)) {
    return responder.Send(http::Problem({.status = 415,
                                         .code = "unsupported_media_type",
                                         .detail = "Content-Type: expected application/json"}));
  }
  auto parsed = parse(request.body);
  if (const auto* problem = std::get_if<ProblemDetails>(&parsed)) {
    return responder.Send(http::Problem(*problem));
  }
  // A task can be copied, a responder cannot: the copies share it.
  const auto shared = std::make_shared<http::Responder>(std::move(responder));
  WorkerPool& workers =
      lane == Lane::kHashing ? deps_.tables->workers : deps_.tables->session_workers;
  const bool taken =
      workers.Submit([ask = std::get<Ask>(std::move(parsed)), shared, work] { work(ask, shared); });
  if (!taken) {
    shared->Send(Unavailable("Too many people come in at the same time."));
  }
}

void AuthDoor::Register(const RegisterAsk& ask,
                        const std::shared_ptr<http::Responder>& responder) const {
  auto answer = deps_.tables->accounts.Register(ask);
  if (const auto* refusal = std::get_if<Refusal>(&answer)) {
    return responder->Send(AnswerOf(*refusal));
  }
  const Registered& made = std::get<Registered>(answer);
  deps_.tables->opening.Run(
      made.request, made.grant.user, deps_.clock.SinceBoot() + kOpeningWaitMax,
      [tables = deps_.tables, &clock = deps_.clock, grant = made.grant, id = made.outbox_id,
       responder](OpeningState state) {
        responder->Send(
            GrantAnswer(state == OpeningState::kDecided ? 201 : 202, grant, clock.Now()));
        if (state == OpeningState::kNotAppended) {
          return;
        }
        const auto mark = [tables, &clock, id] {
          // What is not marked is published once more, which changes nothing.
          const Status marked = InTransaction(tables->pool, [&](sql::Session& session) {
            return MarkPublished(session, id, clock.Now());
          });
          return marked.ok();
        };
        if (!tables->session_workers.Submit(mark)) {
          return;
        }
      });
}

http::Response AuthDoor::LogIn(const LoginAsk& ask) const {
  const auto answer = deps_.tables->accounts.LogIn(ask);
  if (const auto* refusal = std::get_if<Refusal>(&answer)) {
    return AnswerOf(*refusal);
  }
  return GrantAnswer(200, std::get<Grant>(answer), deps_.clock.Now());
}

http::Response AuthDoor::Refresh(const RefreshAsk& ask) const {
  const auto grant = deps_.tables->accounts.Refresh(ask.token, ask.tenant);
  if (!grant.ok()) {
    // kExhausted: one more is there after this long at the latest.
    return AnswerOf({.error = grant.error(), .retry_after = kRefreshBound.each});
  }
  return GrantAnswer(200, grant.value(), deps_.clock.Now());
}

http::Response AuthDoor::LogOut(const RefreshAsk& ask) const {
  const auto ended = deps_.tables->accounts.LogOut(ask.token);
  if (!ended.ok()) {
    return AnswerOf({.error = ended.error()});
  }
  if (!ended.value()) {
    return {.status = 204};
  }
  // The session's access tokens end at once here, and within seconds elsewhere.
  auto session = deps_.tables->pool.Take(kSessionWaitMax);
  if (session.ok() && !deps_.tables->mirror.Look(*session.value()).ok()) {
    return Unavailable("The session is over, but this server may not know it for some seconds.");
  }
  return {.status = 204};
}

}  // namespace

Status AddAuthRoutes(http::Routes* routes, const AuthDeps& deps) {
  // Shared by the copies of the handlers.
  const auto door = std::make_shared<const AuthDoor>(deps);
  using Shared = std::shared_ptr<http::Responder>;
  ALERTSTREAM_RETURN_IF_ERROR(routes->AddParking(
      "POST", "/api/v1/auth/register",
      [door](const http::Request& request, const http::RouteParams&, http::Responder responder) {
        door->Handle<RegisterAsk>(
            AuthDoor::Lane::kHashing, request, std::move(responder), &ParseRegister,
            [door, peer = request.peer](RegisterAsk ask, const Shared& shared) {
              ask.address = SubscriberOf(peer);
              door->Register(ask, shared);
            });
      }));
  ALERTSTREAM_RETURN_IF_ERROR(routes->AddParking(
      "POST", "/api/v1/auth/login",
      [door](const http::Request& request, const http::RouteParams&, http::Responder responder) {
        door->Handle<LoginAsk>(AuthDoor::Lane::kHashing, request, std::move(responder), &ParseLogin,
                               [door, peer = request.peer](LoginAsk ask, const Shared& shared) {
                                 ask.address = SubscriberOf(peer);
                                 shared->Send(door->LogIn(ask));
                               });
      }));
  ALERTSTREAM_RETURN_IF_ERROR(routes->AddParking(
      "POST", "/api/v1/auth/refresh",
      [door](const http::Request& request, const http::RouteParams&, http::Responder responder) {
        door->Handle<RefreshAsk>(AuthDoor::Lane::kSession, request, std::move(responder),
                                 &ParseRefresh,
                                 [door](const RefreshAsk& ask, const Shared& shared) {
                                   shared->Send(door->Refresh(ask));
                                 });
      }));
  return routes->AddParking(
      "POST", "/api/v1/auth/logout",
      [door](const http::Request& request, const http::RouteParams&, http::Responder responder) {
        door->Handle<RefreshAsk>(AuthDoor::Lane::kSession, request, std::move(responder),
                                 &ParseLogout, [door](const RefreshAsk& ask, const Shared& shared) {
                                   shared->Send(door->LogOut(ask));
                                 });
      });
}

}  // namespace alertstream::api

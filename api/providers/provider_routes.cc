#include "api/providers/provider_routes.h"

#include <memory>
#include <utility>

#include <fmt/format.h>

#include "api/http/problem.h"
#include "schemas/json.h"
#include "schemas/limits.h"

namespace alertstream::api {
namespace {

using schemas::AppendJsonString;
using schemas::JsonType;

constexpr std::size_t kTestBodyBytesMax = schemas::kReplyBytesMax;  // What providers take at most.

http::Response Json(int status, std::string body) {
  http::Response response{.status = status, .body = std::move(body)};
  response.headers.Add("Content-Type", "application/json");
  return response;
}

// Nothing: the request may go on.
std::optional<http::Response> Refuse(const Identity& identity, const http::Request& request) {
  constexpr std::string_view kName = "X-API-Key";
  const auto presented = request.headers.Find(kName);
  const bool is_one = presented && !presented->empty() && request.headers.Count(kName) == 1 &&
                      presented->size() <= kApiKeyBytesMax;
  const auto key = is_one ? identity.FindKey(*presented) : nullptr;
  if (key == nullptr) {
    return http::Problem({.status = 401,
                          .code = "unauthenticated",
                          .detail = "X-API-Key: expected an operator's API key"});
  }
  if (key->kind != KeyKind::kOperator) {
    return http::Problem({.status = 403,
                          .code = "forbidden",
                          .detail = "Only an operator's API key may see or change providers."});
  }
  return std::nullopt;
}

http::Response ProblemOf(const Error& error) {
  switch (error.code()) {
    case ErrorCode::kNotFound:
      return http::Problem({.status = 404, .code = "not_found", .detail = error.message()});
    case ErrorCode::kConflict:
      return http::Problem({.status = 409, .code = "conflict", .detail = error.message()});
    case ErrorCode::kInvalid:
    case ErrorCode::kDenied:
    case ErrorCode::kExhausted:
      return http::Problem({.status = 422, .code = "validation_failed", .detail = error.message()});
    case ErrorCode::kUnavailable:
    case ErrorCode::kFenced:
    case ErrorCode::kUnknown:
    case ErrorCode::kCorrupt:
      break;
  }
  return http::Problem({.status = 503, .code = "unavailable", .detail = error.message()});
}

void AppendMember(std::string_view name, std::string_view value, std::string* out) {
  *out += out->back() == '{' ? "" : ",";
  AppendJsonString(name, out);
  *out += ':';
  AppendJsonString(value, out);
}

std::string StateJson(const ProviderState& state) {
  std::string json = "{";
  AppendMember("provider", state.provider, &json);
  AppendMember("name", state.name, &json);
  AppendMember("account_sid", state.account_sid, &json);
  AppendMember("base_url", state.base_url, &json);
  json += fmt::format(",\"sends_per_second\":{},\"burst\":{}", state.sends_per_second, state.burst);
  AppendMember("breaker", state.breaker, &json);
  if (!state.code.empty()) {
    AppendMember("code", state.code, &json);
  }
  if (state.probe_in_s) {
    json += fmt::format(",\"probe_in_s\":{:.1f}", *state.probe_in_s);
  }
  return json + "}";
}

http::Response List(const ProviderDesk& desk) {
  std::string json = "{\"providers\":[";
  for (const ProviderState& state : desk.List()) {
    json += json.back() == '[' ? "" : ",";
    json += StateJson(state);
  }
  return Json(200, json + "]}");
}

// A test message as the body gives it.
Result<TestMessage> ParseTest(const http::Request& request, const http::RouteParams& params) {
  TestMessage message{.provider = std::string(params.Get("provider")),
                      .name = std::string(params.Get("name"))};
  schemas::JsonDocument document;
  ALERTSTREAM_RETURN_IF_ERROR(document.Parse(request.body));
  const schemas::JsonValue root = document.root();
  if (root.type() != JsonType::kObject) {
    return Error(ErrorCode::kInvalid, "expected an object with to, from and body");
  }
  const auto text = [&](std::string_view name, std::size_t bytes_max) -> Result<std::string> {
    const auto value = root.Find(name);
    if (!value || value->type() != JsonType::kString || value->AsString().empty() ||
        value->AsString().size() > bytes_max) {
      return Error(ErrorCode::kInvalid,
                   fmt::format("{}: expected a string of 1 to {} bytes", name, bytes_max));
    }
    return std::string(value->AsString());
  };
  ALERTSTREAM_ASSIGN_OR_RETURN(message.from, text("from", schemas::kPhoneTextBytesMax));
  ALERTSTREAM_ASSIGN_OR_RETURN(auto to, text("to", schemas::kPhoneTextBytesMax));
  ALERTSTREAM_ASSIGN_OR_RETURN(auto body, text("body", kTestBodyBytesMax));
  message.to = Redacted(std::move(to));
  message.body = Redacted(std::move(body));
  return message;
}

http::Response OutcomeAnswer(const Result<dispatch::Outcome>& outcome) {
  if (!outcome.ok()) {
    return ProblemOf(outcome.error());
  }
  std::string json = "{";
  AppendMember("result", dispatch::OutcomeName(outcome.value().result), &json);
  AppendMember("code", outcome.value().code, &json);
  AppendMember("provider_message_id", outcome.value().provider_message_id, &json);
  return Json(200, json + "}");
}

}  // namespace

Status AddProviderRoutes(http::Routes* routes, const ProviderRoutesDeps& deps) {
  const std::string account = std::string(kProvidersPath) + "/{provider}/{name}";
  ALERTSTREAM_RETURN_IF_ERROR(routes->Add(
      "GET", kProvidersPath, [deps](const http::Request& request, const http::RouteParams&) {
        auto refusal = Refuse(deps.identity, request);
        return refusal ? std::move(*refusal) : List(deps.desk);
      }));
  ALERTSTREAM_RETURN_IF_ERROR(routes->Add(
      "POST", account + "/reset",
      [deps](const http::Request& request, const http::RouteParams& params) {
        if (auto refusal = Refuse(deps.identity, request)) {
          return std::move(*refusal);
        }
        const Status reset =
            deps.desk.Reset(std::string(params.Get("provider")), std::string(params.Get("name")));
        return reset.ok() ? Json(200, R"({"breaker":"closed"})") : ProblemOf(reset.error());
      }));
  return routes->AddParking(
      "POST", account + "/test",
      [deps](const http::Request& request, const http::RouteParams& params,
             http::Responder responder) {
        if (auto refusal = Refuse(deps.identity, request)) {
          responder.Send(std::move(*refusal));
          return;
        }
        auto message = ParseTest(request, params);
        if (!message.ok()) {
          responder.Send(ProblemOf(message.error()));
          return;
        }
        // Shared with the call: std::function wants to be copied.
        auto waiting = std::make_shared<http::Responder>(std::move(responder));
        deps.desk.SendTest(std::move(message).value(),
                           [waiting](const Result<dispatch::Outcome>& outcome) {
                             waiting->Send(OutcomeAnswer(outcome));
                           });
      });
}

}  // namespace alertstream::api

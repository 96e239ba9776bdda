#include "ops/simulator/provider_simulator.h"

#include <charconv>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "api/http/problem.h"
#include "api/http/routes.h"
#include "api/http/server.h"
#include "api/http/uri.h"
#include "ops/simulator/accounts.h"
#include "ops/simulator/faults.h"
#include "schemas/json.h"
#include "schemas/text.h"

namespace alertstream::simulator {
namespace {

using dispatch::Form;
using http::Request;
using http::Responder;
using http::Response;
using http::RouteParams;

constexpr std::string_view kApiPrefix = "/2010-04-01/";
constexpr std::string_view kAccountsPrefix = "/2010-04-01/Accounts/";
constexpr std::string_view kFormType = "application/x-www-form-urlencoded";
constexpr std::size_t kControlTextBytesMax = 16'384;  // Longer than any message.
// Beyond hang_for, so that the server's own answer of 504 never comes first.
constexpr std::chrono::seconds kAnswerMargin{30};
constexpr std::size_t kCallbackConnectionsMax = 64;

Response Json(int status, std::string body) {
  Response response;
  response.status = status;
  response.headers.Add("Content-Type", "application/json");
  response.body = std::move(body);
  return response;
}

Response Refusal(const ApiError& error) {
  Response response = Json(error.status, ErrorJson(error));
  if (error.status == 401) {
    response.headers.Add("WWW-Authenticate", "Basic realm=\"Twilio API\"");
  }
  return response;
}

Response CutConnection() {
  Response response;
  response.resets_connection = true;
  return response;
}

Response Problem(int status, std::string_view code, std::string detail) {
  return http::Problem({.status = status, .code = code, .detail = std::move(detail)});
}

// The parameter `limit` of a list; nothing if it is no number.
std::optional<std::size_t> LimitOf(const Request& request) {
  const auto query = http::ParseQuery(request.query);
  if (!query) {
    return std::nullopt;
  }
  for (const auto& [name, value] : *query) {
    if (name != "limit") {
      continue;
    }
    std::size_t limit = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), limit);
    return error == std::errc() && end == value.data() + value.size() ? std::optional(limit)
                                                                      : std::nullopt;
  }
  return std::numeric_limits<std::size_t>::max();
}

// A member that is a text; "" if there is none; nothing if it is something else.
std::optional<std::string> TextMember(schemas::JsonValue root, std::string_view name) {
  const auto value = root.Find(name);
  if (!value) {
    return std::string();
  }
  if (value->type() != schemas::JsonType::kString ||
      value->AsString().size() > kControlTextBytesMax) {
    return std::nullopt;
  }
  return std::string(value->AsString());
}

struct InboundOrder {
  InboundText text;
  std::string account_sid;
};

Result<InboundOrder> ReadInboundOrder(std::string_view body) {
  schemas::JsonDocument document;
  ALERTSTREAM_RETURN_IF_ERROR(document.Parse(body));
  InboundOrder order;
  const struct {
    std::string_view name;
    std::string* value;
    bool required;
  } members[] = {{"from", &order.text.from, true},
                 {"to", &order.text.to, true},
                 {"body", &order.text.body, false},
                 {"opt_out_type", &order.text.opt_out_type, false},
                 {"message_sid", &order.text.message_sid, false},
                 {"messaging_service_sid", &order.text.messaging_service_sid, false},
                 {"account_sid", &order.account_sid, false}};
  for (const auto& member : members) {
    auto value = TextMember(document.root(), member.name);
    if (!value || (member.required && value->empty())) {
      return Error(ErrorCode::kInvalid, fmt::format("{}: expected a text", member.name));
    }
    *member.value = *std::move(value);
  }
  if (order.text.message_sid.empty()) {
    order.text.message_sid = MakeSid("SM");
  }
  return order;
}

// What the order of an inbound message is answered once the webhook has answered it.
Response InboundAnswer(std::string_view message_sid, std::string_view url,
                       const dispatch::HttpOutcome& outcome) {
  if (const auto* failure = std::get_if<dispatch::TransportFailure>(&outcome)) {
    return Problem(502, "webhook_unreachable",
                   fmt::format("The webhook at {} gave no answer: {}.", url,
                               dispatch::TransportFailureName(*failure)));
  }
  const int status = std::get_if<dispatch::HttpAnswer>(&outcome)->status;
  if (status < 200 || status > 299) {
    return Problem(502, "webhook_refused",
                   fmt::format("The webhook at {} answered {}.", url, status));
  }
  std::string json = R"({"message_sid":)";
  schemas::AppendJsonString(message_sid, &json);
  json.append(R"(,"url":)");
  schemas::AppendJsonString(url, &json);
  return Json(200, json.append(fmt::format(R"(,"status":{}}})", status)));
}

struct FaultOrder {
  Fault fault;
  std::uint32_t times;
};

Result<FaultOrder> ReadFaultOrder(std::string_view body) {
  schemas::JsonDocument document;
  ALERTSTREAM_RETURN_IF_ERROR(document.Parse(body));
  const auto fault = FaultByName(TextMember(document.root(), "fault").value_or(""));
  if (!fault) {
    return Error(ErrorCode::kInvalid,
                 "fault: expected http_429, http_500, opt_out_21610, accept_then_hang, hang, "
                 "reset, duplicate_callbacks or reorder_callbacks");
  }
  const auto count = document.root().Find("count");
  if (!count) {
    return FaultOrder{*fault, 1};
  }
  if (count->type() != schemas::JsonType::kInt || count->AsInt() < 0 ||
      count->AsInt() > kFaultTimesMax) {
    return Error(ErrorCode::kInvalid,
                 fmt::format("count: expected a number from 0 to {}", kFaultTimesMax));
  }
  return FaultOrder{*fault, static_cast<std::uint32_t>(count->AsInt())};
}

}  // namespace

struct ProviderSimulator::Impl {
  Impl(const SimulatorOptions& options_in, const Clock& clock_in,
       std::unique_ptr<dispatch::HttpClient> client_in)
      : options(options_in),
        clock(clock_in),
        traffic(options_in.limits),
        client(std::move(client_in)),
        timers(clock_in),
        callbacks(*client, timers, options_in.callbacks),
        server(
            ServerOptionsOf(options_in),
            [this](Request request, Responder responder) {
              Handle(std::move(request), std::move(responder));
            },
            clock_in) {
    accounts.Set(options_in.accounts);
  }

  static http::ServerOptions ServerOptionsOf(const SimulatorOptions& options);
  Status AddRoutes();
  void Handle(Request request, Responder responder);
  void HandleApi(const Request& request, Responder responder);
  std::variant<Message, ApiError> ReadMessage(const Request& request, std::string_view account_sid,
                                              Redacted<std::string>* auth_token) const;
  void Accept(Message message, const Redacted<std::string>& auth_token, RequestEntry entry,
              Responder responder);
  void Refuse(const ApiError& error, RequestEntry entry, Responder responder);
  // Cuts the connection later.
  void Hang(Responder responder);
  void Tell(const std::shared_ptr<const Message>& message, const Redacted<std::string>& auth_token);
  void HandleInbound(const Request& request, Responder responder);
  Response SetFault(const Request& request);
  Response Health() const;
  void Stop();

  const SimulatorOptions options;
  const Clock& clock;
  Accounts accounts;
  Faults faults;
  Traffic traffic;
  std::unique_ptr<dispatch::HttpClient> client;
  Timers timers;
  Callbacks callbacks;
  http::Routes routes;
  http::Server server;  // Last: its threads use the rest.
};

http::ServerOptions ProviderSimulator::Impl::ServerOptionsOf(const SimulatorOptions& options) {
  http::ServerOptions server;
  server.address = options.address;
  server.port = options.port;
  server.threads = options.threads;
  server.timeouts.answer = options.hang_for + kAnswerMargin;
  return server;
}

Status ProviderSimulator::Impl::AddRoutes() {
  ALERTSTREAM_RETURN_IF_ERROR(
      routes.Add("GET", "/messages", [this](const Request& request, const RouteParams&) {
        const auto limit = LimitOf(request);
        return limit ? Json(200, traffic.MessagesJson(*limit))
                     : Problem(400, "invalid", "limit: expected a number");
      }));
  ALERTSTREAM_RETURN_IF_ERROR(
      routes.Add("GET", "/requests", [this](const Request& request, const RouteParams&) {
        const auto limit = LimitOf(request);
        return limit ? Json(200, traffic.RequestsJson(*limit))
                     : Problem(400, "invalid", "limit: expected a number");
      }));
  ALERTSTREAM_RETURN_IF_ERROR(
      routes.Add("DELETE", "/messages", [this](const Request&, const RouteParams&) {
        traffic.Clear();
        return Response{.status = 204};
      }));
  ALERTSTREAM_RETURN_IF_ERROR(
      routes.Add("GET", "/faults",
                 [this](const Request&, const RouteParams&) { return Json(200, faults.Json()); }));
  ALERTSTREAM_RETURN_IF_ERROR(
      routes.Add("POST", "/faults",
                 [this](const Request& request, const RouteParams&) { return SetFault(request); }));
  ALERTSTREAM_RETURN_IF_ERROR(
      routes.Add("DELETE", "/faults", [this](const Request&, const RouteParams&) {
        faults.Clear();
        return Response{.status = 204};
      }));
  ALERTSTREAM_RETURN_IF_ERROR(routes.Add(
      "GET", "/health", [this](const Request&, const RouteParams&) { return Health(); }));
  return routes.AddParking("POST", "/inbound",
                           [this](const Request& request, const RouteParams&, Responder responder) {
                             HandleInbound(request, std::move(responder));
                           });
}

void ProviderSimulator::Impl::Handle(Request request, Responder responder) {
  if (request.path.starts_with(kApiPrefix)) {
    HandleApi(request, std::move(responder));
    return;
  }
  routes.Handle(std::move(request), std::move(responder));
}

void ProviderSimulator::Impl::HandleApi(const Request& request, Responder responder) {
  RequestEntry entry{.received_at = clock.Now(), .method = request.method, .path = request.path};
  const std::string_view path = request.path;
  const std::string_view rest =
      path.starts_with(kAccountsPrefix) ? path.substr(kAccountsPrefix.size()) : std::string_view();
  const std::size_t slash = rest.find('/');
  if (request.method != "POST" || slash == std::string_view::npos ||
      rest.substr(slash) != "/Messages.json") {
    Refuse(kNotFound, std::move(entry), std::move(responder));
    return;
  }
  Redacted<std::string> auth_token;
  auto read = ReadMessage(request, rest.substr(0, slash), &auth_token);
  if (const auto* error = std::get_if<ApiError>(&read)) {
    Refuse(*error, std::move(entry), std::move(responder));
    return;
  }
  Message& message = *std::get_if<Message>(&read);
  message.account_sid = rest.substr(0, slash);
  message.received_at = entry.received_at;
  entry.key = message.key;
  entry.to = message.to;
  entry.from = message.from;
  Accept(std::move(message), auth_token, std::move(entry), std::move(responder));
}

std::variant<Message, ApiError> ProviderSimulator::Impl::ReadMessage(
    const Request& request, std::string_view account_sid, Redacted<std::string>* auth_token) const {
  const BasicCredentials credentials =
      ReadBasic(request.headers.Find("Authorization").value_or(std::string_view()));
  auto token = accounts.SignIn(account_sid, credentials);
  if (!token) {
    return kAuthenticate;
  }
  *auth_token = *std::move(token);
  const std::string_view type = request.headers.Find("Content-Type").value_or(std::string_view());
  const auto form = dispatch::DecodeForm(request.body);
  if (!schemas::StartsWithIgnoringCase(type, kFormType) || !form.ok()) {
    return ApiError{400, 20001, "The body has to be application/x-www-form-urlencoded"};
  }
  return ReadCreate(form.value());
}

void ProviderSimulator::Impl::Refuse(const ApiError& error, RequestEntry entry,
                                     Responder responder) {
  entry.status = error.status;
  entry.code = error.code;
  traffic.Note(std::move(entry));
  responder.Send(Refusal(error));
}

void ProviderSimulator::Impl::Accept(Message message, const Redacted<std::string>& auth_token,
                                     RequestEntry entry, Responder responder) {
  const auto fault = faults.TakeOfRequest();
  entry.fault = fault ? FaultName(*fault) : std::string_view();
  if (fault == Fault::kHttp429) {
    Refuse(kTooManyRequests, std::move(entry), std::move(responder));
    return;
  }
  if (fault == Fault::kHttp500) {
    Refuse(kServerError, std::move(entry), std::move(responder));
    return;
  }
  if (fault == Fault::kOptOut21610) {
    Refuse(kOptedOut, std::move(entry), std::move(responder));
    return;
  }
  if (fault == Fault::kHang || fault == Fault::kReset) {
    traffic.Note(std::move(entry));
    if (fault == Fault::kReset) {
      responder.Send(CutConnection());
    } else {
      Hang(std::move(responder));
    }
    return;
  }
  message.sid = MakeSid(message.has_media ? "MM" : "SM");
  accounts.Learn(message, auth_token);
  const auto accepted = traffic.Accept(std::move(message));
  entry.sid = accepted->sid;
  entry.status = fault ? 0 : 201;
  traffic.Note(std::move(entry));
  if (fault) {
    Hang(std::move(responder));
  } else {
    responder.Send(Json(201, MessageJson(*accepted)));
  }
  Tell(accepted, auth_token);
}

void ProviderSimulator::Impl::Hang(Responder responder) {
  // Timers take functions that can be copied; the responder is shared with nobody.
  const auto hanging = std::make_shared<Responder>(std::move(responder));
  const auto cut = [hanging] { hanging->Send(CutConnection()); };
  if (!timers.After(options.hang_for, cut)) {
    cut();
  }
}

void ProviderSimulator::Impl::Tell(const std::shared_ptr<const Message>& message,
                                   const Redacted<std::string>& auth_token) {
  if (message->status_callback.empty()) {
    return;
  }
  std::vector<std::string> statuses = {"sent", "delivered"};
  if (faults.TakeReorder()) {
    std::swap(statuses[0], statuses[1]);
  }
  if (faults.TakeDuplicate()) {
    statuses = {statuses[0], statuses[0], statuses[1], statuses[1]};
  }
  callbacks.Tell(message, auth_token, std::move(statuses));
}

void ProviderSimulator::Impl::HandleInbound(const Request& request, Responder responder) {
  auto order = ReadInboundOrder(request.body);
  if (!order.ok()) {
    responder.Send(Problem(400, "invalid", order.error().message()));
    return;
  }
  InboundText& text = order.value().text;
  const auto route = accounts.RouteInbound(text.to, order.value().account_sid);
  if (!route.ok()) {
    const bool unknown = route.error().code() == ErrorCode::kNotFound;
    responder.Send(Problem(unknown ? 404 : 409, unknown ? "unknown_account" : "unknown_url",
                           route.error().message()));
    return;
  }
  text.account_sid = route.value().account_sid;
  // As in Hang.
  const auto waiting = std::make_shared<Responder>(std::move(responder));
  callbacks.Post(route.value().url, InboundFields(text), route.value().auth_token,
                 [waiting, sid = text.message_sid,
                  url = route.value().url](const dispatch::HttpOutcome& outcome) {
                   waiting->Send(InboundAnswer(sid, url, outcome));
                 });
}

Response ProviderSimulator::Impl::SetFault(const Request& request) {
  const auto order = ReadFaultOrder(request.body);
  if (!order.ok()) {
    return Problem(400, "invalid", order.error().message());
  }
  faults.Set(order.value().fault, order.value().times);
  return Json(200, faults.Json());
}

Response ProviderSimulator::Impl::Health() const {
  const CallbackCounts counts = callbacks.counts();
  return Json(200, fmt::format(R"({{"status":"ready","callbacks":{{"accepted":{},"failed":{},)"
                               R"("retried":{},"dropped":{},"pending":{}}}}})",
                               counts.accepted, counts.failed, counts.retried, counts.dropped,
                               timers.pending() + client->pending()));
}

void ProviderSimulator::Impl::Stop() {
  server.Stop();
  timers.Stop();
  client->Stop();
}

ProviderSimulator::ProviderSimulator(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ProviderSimulator::~ProviderSimulator() { Stop(); }

Result<std::unique_ptr<ProviderSimulator>> ProviderSimulator::Start(const SimulatorOptions& options,
                                                                    const Clock& clock) {
  dispatch::HttpClientOptions client_options;
  client_options.connections_per_host_max = kCallbackConnectionsMax;
  ALERTSTREAM_ASSIGN_OR_RETURN(auto client, dispatch::HttpClient::Create(client_options));
  auto impl = std::make_unique<Impl>(options, clock, std::move(client));
  ALERTSTREAM_RETURN_IF_ERROR(impl->AddRoutes());
  ALERTSTREAM_RETURN_IF_ERROR(impl->server.Start());
  return std::unique_ptr<ProviderSimulator>(new ProviderSimulator(std::move(impl)));
}

std::string ProviderSimulator::url() const {
  const std::string& address = impl_->options.address;
  const bool v6 = address.find(':') != std::string::npos;
  return v6 ? fmt::format("http://[{}]:{}", address, port())
            : fmt::format("http://{}:{}", address, port());
}

std::uint16_t ProviderSimulator::port() const { return impl_->server.port(); }

void ProviderSimulator::SetAccounts(std::vector<dispatch::ProviderAccount> accounts) {
  impl_->accounts.Set(std::move(accounts));
}

void ProviderSimulator::Stop() { impl_->Stop(); }

}  // namespace alertstream::simulator

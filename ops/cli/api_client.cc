#include "ops/cli/api_client.h"

#include <future>
#include <string_view>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "api/auth/request_signature.h"
#include "processor/base/crypto.h"
#include "schemas/json.h"

namespace alertstream::cli {
namespace {

constexpr std::chrono::milliseconds kConnectTimeout{5'000};
constexpr std::size_t kErrorsShownMax = 20;  // Of a batch of a thousand, the first say enough.

ErrorCode CodeOf(int status) {
  switch (status) {
    case 401:
    case 403:
      return ErrorCode::kDenied;
    case 404:
      return ErrorCode::kNotFound;
    case 409:
    case 412:
      return ErrorCode::kConflict;
    case 429:
      return ErrorCode::kExhausted;
    default:
      return status >= 400 && status < 500 ? ErrorCode::kInvalid : ErrorCode::kUnavailable;
  }
}

std::string TextOf(const schemas::JsonValue& object, std::string_view name) {
  const auto value = object.Find(name);
  return value && value->type() == schemas::JsonType::kString ? std::string(value->AsString())
                                                              : std::string();
}

void TakeSecret(const Settings& settings, Setting setting, Redacted<std::string>* secret) {
  if (settings.Secret(setting)) {
    *secret = *settings.Secret(setting);
  }
}

}  // namespace

Result<ApiTarget> FindApi(const Settings& settings) {
  ApiTarget target;
  target.api_url = settings.Text(Setting::kApiUrl);
  if (target.api_url.empty()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(DevFile dev, ReadDevFile(settings.Text(Setting::kDataDir)));
    target.api_url = std::move(dev.api_url);
    target.provider_url = std::move(dev.provider_url);
    target.tenant = std::move(dev.tenant_id);
    target.secret_key = Redacted(std::move(dev.secret_key));
    target.signing_secret = Redacted(std::move(dev.signing_secret));
    target.operator_key = Redacted(std::move(dev.operator_key));
  }
  while (target.api_url.ends_with('/')) {
    target.api_url.pop_back();
  }
  TakeSecret(settings, Setting::kSecretKey, &target.secret_key);
  TakeSecret(settings, Setting::kSigningSecret, &target.signing_secret);
  TakeSecret(settings, Setting::kOperatorKey, &target.operator_key);
  return target;
}

Error ErrorOfAnswer(int status, const std::string& body) {
  const ErrorCode code = CodeOf(status);
  schemas::JsonDocument document;
  if (!document.Parse(body).ok() || document.root().type() != schemas::JsonType::kObject) {
    return {code, fmt::format("the server answered {}", status)};
  }
  const schemas::JsonValue root = document.root();
  std::string message = TextOf(root, "detail");
  if (message.empty()) {
    message = fmt::format("the server answered {}", status);
  }
  if (const std::string word = TextOf(root, "code"); !word.empty()) {
    message = fmt::format("{}: {}", word, message);
  }
  if (const auto errors = root.Find("errors")) {
    std::size_t shown = 0;
    for (auto error = errors->first_child(); error && shown < kErrorsShownMax;
         error = error->next_sibling(), ++shown) {
      message += fmt::format("\n  {}: {}", TextOf(*error, "pointer"), TextOf(*error, "detail"));
    }
  }
  if (const std::string id = TextOf(root, "request_id"); !id.empty()) {
    message += fmt::format(" (request {})", id);
  }
  return {code, std::move(message)};
}

Result<std::unique_ptr<ApiClient>> ApiClient::Create(ApiTarget target, Clock& clock) {
  ALERTSTREAM_ASSIGN_OR_RETURN(
      auto http, dispatch::HttpClient::Create({.calls_max = 1,
                                               .connections_per_host_max = 1,
                                               .answer_bytes_max = std::size_t{16} << 20U}));
  return std::unique_ptr<ApiClient>(new ApiClient(std::move(target), clock, std::move(http)));
}

Result<ApiAnswer> ApiClient::Send(const ApiCall& call) {
  ApiCall authorized = call;
  switch (call.auth) {
    case ApiAuth::kNone:
      break;
    case ApiAuth::kSigned: {
      if (target_.secret_key.Reveal().empty() || target_.signing_secret.Reveal().empty()) {
        return Error(ErrorCode::kDenied,
                     "no key to sign with: set ALERTSTREAM_SECRET_KEY and "
                     "ALERTSTREAM_SIGNING_SECRET, or the same with _FILE");
      }
      return SendSigned(call);
    }
    case ApiAuth::kOperator:
      if (target_.operator_key.Reveal().empty()) {
        return Error(
            ErrorCode::kDenied,
            "no operator key: set ALERTSTREAM_OPERATOR_KEY or ALERTSTREAM_OPERATOR_KEY_FILE");
      }
      authorized.headers.push_back({"X-API-Key", target_.operator_key.Reveal()});
      break;
  }
  return SendTo(target_.api_url, authorized);
}

// A server takes a signature once. Where another command signed the same request in this second, an
// earlier second is as good.
Result<ApiAnswer> ApiClient::SendSigned(const ApiCall& call) {
  constexpr int kTries = 5;
  constexpr std::int64_t kEarlierSecondsMax = 120;  // Of the 300 s that a signature is good for.
  const HmacKey key(target_.signing_secret.Reveal());
  std::int64_t signed_at_s = ToMicros(clock_.Now()) / 1'000'000;
  for (int tries = 1;; ++tries) {
    ApiCall authorized = call;
    authorized.headers.push_back({"X-API-Key", target_.secret_key.Reveal()});
    authorized.headers.push_back(
        {"X-Signature",
         api::SignBoundRequest(key, signed_at_s, call.method + "." + call.path, call.body)});
    auto answer = SendTo(target_.api_url, authorized);
    if (answer.ok() || tries == kTries ||
        answer.error().message().find("X-Signature was used already") == std::string::npos) {
      return answer;
    }
    const std::string drawn = RandomBytes(1);
    signed_at_s = ToMicros(clock_.Now()) / 1'000'000 - 1 -
                  static_cast<unsigned char>(drawn.front()) % kEarlierSecondsMax;
  }
}

Result<ApiAnswer> ApiClient::SendTo(const std::string& base_url, const ApiCall& call) {
  dispatch::HttpCall http{.base_url = base_url,
                          .request = {.method = call.method,
                                      .path = call.path,
                                      .headers = call.headers,
                                      .authorization = {},
                                      .body = Redacted(call.body)},
                          .connect_timeout = kConnectTimeout,
                          .total_timeout = call.timeout};
  if (!call.body.empty()) {
    http.request.headers.push_back({"Content-Type", call.content_type});
  }
  std::promise<dispatch::HttpOutcome> promise;
  auto future = promise.get_future();
  http_->Submit(std::move(http), [&promise](dispatch::HttpOutcome outcome) {
    promise.set_value(std::move(outcome));
  });
  const dispatch::HttpOutcome outcome = future.get();
  if (const auto* failure = std::get_if<dispatch::TransportFailure>(&outcome)) {
    return Error(ErrorCode::kUnavailable, fmt::format("{} does not answer: {}", base_url,
                                                      dispatch::TransportFailureName(*failure)));
  }
  const auto& answer = std::get<dispatch::HttpAnswer>(outcome);
  if (answer.status < 200 || answer.status > 299) {
    return ErrorOfAnswer(answer.status, answer.body.Reveal());
  }
  return ApiAnswer{.status = answer.status, .body = answer.body.Reveal()};
}

}  // namespace alertstream::cli

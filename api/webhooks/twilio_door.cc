#include "api/webhooks/twilio_door.h"

#include <array>
#include <optional>
#include <utility>

#include "api/http/problem.h"
#include "api/webhooks/twilio_records.h"
#include "processor/base/check.h"
#include "processor/dispatch/providers/twilio_urls.h"
#include "processor/dispatch/providers/twilio_webhook.h"

namespace alertstream::api {
namespace {

constexpr std::string_view kProvider = "twilio";
constexpr std::string_view kNotKnown = "Accounts and numbers are not known now. Call again.";
constexpr std::string_view kSignatureHeader = "X-Twilio-Signature";

struct VerdictSpec {
  std::string_view result;  // Label of the metric.
  int status;               // 0: the answer of success.
  std::string_view code;    // Of the problem.
};
constexpr auto kVerdicts = std::to_array<VerdictSpec>({
    {"accepted", 0, ""},
    {"unrouted", 0, ""},
    {"repeated", 0, ""},
    {"missing_signature", 400, "missing_signature"},
    {"wrong_signature", 403, "bad_signature"},
    {"unknown_account", 404, "unknown_account"},
    {"wrong_account", 403, "wrong_account"},
    {"malformed", 400, "malformed_request"},
    {"too_large", 413, "too_large"},
    {"accounts_unavailable", 503, "unavailable"},
    {"log_unavailable", 503, "unavailable"},
});

// What Twilio signed: the configured scheme and host, then the target as it came.
std::string SignedUrl(std::string_view public_url, const http::Request& request) {
  while (public_url.ends_with('/')) {
    public_url.remove_suffix(1);
  }
  std::string url(public_url);
  url.append(request.path);
  if (!request.query.empty()) {
    url.append("?").append(request.query);
  }
  return url;
}

http::Response Success(TwilioDoor::Kind kind) {
  http::Response response;
  if (kind == TwilioDoor::Kind::kStatus) {
    response.status = 204;
    return response;
  }
  response.headers.Add("Content-Type", "text/xml");
  response.body = "<Response/>";  // Nothing to say: the fold decides what is answered.
  return response;
}

}  // namespace

struct TwilioDoor::Reading {
  std::optional<Taken> taken;
  Answer refusal{Verdict::kMalformed};
};

TwilioDoor::TwilioDoor(const WebhookDeps& deps) : deps_(deps) {
  ALERTSTREAM_CHECK(deps.partitions > 0);
  static_assert(kVerdicts.size() == static_cast<std::size_t>(Verdict::kLogUnavailable) + 1);
  for (const VerdictSpec& spec : kVerdicts) {
    results_.push_back(
        &deps.metrics.CounterOf(MetricId::kWebhookRequests, {kProvider, spec.result}));
  }
}

void TwilioDoor::Handle(Kind kind, std::string_view account, const http::Request& request,
                        http::Responder responder) {
  Reading reading = Read(kind, account, request);
  if (!reading.taken) {
    Send(kind, reading.refusal, &responder);
    return;
  }
  switch (recent_.Begin(reading.taken->key, &responder)) {
    case RecentWebhooks::Seen::kAppended:
      Send(kind, {Verdict::kRepeated}, &responder);
      return;
    case RecentWebhooks::Seen::kUnderWay:
      return;
    case RecentWebhooks::Seen::kNew:
      Append(kind, *std::move(reading.taken), std::move(responder));
      return;
  }
}

TwilioDoor::Reading TwilioDoor::Read(Kind kind, std::string_view account,
                                     const http::Request& request) const {
  if (request.body.size() > dispatch::kFormBytesMax) {
    return {.refusal = {Verdict::kTooLarge, "The body is larger than 1 MiB."}};
  }
  const auto known = deps_.identity.FindWebhookAccount(kProvider, account);
  if (known == nullptr && !deps_.identity.AccountsKnown()) {
    return {.refusal = {Verdict::kUnavailable, std::string(kNotKnown)}};
  }
  if (known == nullptr) {
    return {.refusal = {Verdict::kUnknownAccount, "There is no such provider account."}};
  }
  const auto signature = request.headers.Find(kSignatureHeader);
  if (!signature || signature->empty()) {
    return {.refusal = {Verdict::kMissingSignature, "X-Twilio-Signature is missing."}};
  }
  if (request.headers.Count(kSignatureHeader) > 1) {
    return {.refusal = {Verdict::kMalformed, "X-Twilio-Signature is given twice."}};
  }
  const auto fields = dispatch::VerifyTwilioRequest(
      {.url = SignedUrl(known->public_url, request), .body = request.body, .signature = *signature},
      known->auth_tokens);
  if (!fields.ok()) {
    const bool denied = fields.error().code() == ErrorCode::kDenied;
    return {.refusal = {denied ? Verdict::kWrongSignature : Verdict::kMalformed,
                        fields.error().message()}};
  }
  return kind == Kind::kStatus ? ReadStatus(account, request, *known, fields.value())
                               : ReadInbound(account, *known, fields.value());
}

TwilioDoor::Reading TwilioDoor::ReadStatus(std::string_view account, const http::Request& request,
                                           const Identity::WebhookAccount& known,
                                           const dispatch::Form& fields) const {
  const auto callback = dispatch::ParseTwilioStatus(fields);
  if (!callback.ok()) {
    return {.refusal = {Verdict::kMalformed, callback.error().message()}};
  }
  const auto& status = callback.value();
  if (status.account_sid != known.account_sid) {
    return {.refusal = {Verdict::kWrongAccount, "AccountSid is not this account's."}};
  }
  const auto notification = dispatch::NotificationOfTwilioUrl("?" + request.query);
  if (!notification.ok()) {
    return {.refusal = {Verdict::kMalformed, notification.error().message()}};
  }
  const WebhookOrigin origin{.account = account,
                             .tenant = TenantOf(account, status.from, status.messaging_service_sid),
                             .partitions = deps_.partitions,
                             .now = deps_.clock.Now()};
  if (!origin.tenant && !deps_.identity.AccountsKnown()) {
    return {.refusal = {Verdict::kUnavailable, std::string(kNotKnown)}};
  }
  auto records = RecordsOfTwilioStatus(status, notification.value(), origin);
  if (!records.ok()) {
    return {.refusal = {Verdict::kMalformed, records.error().message()}};
  }
  return {.taken = Taken{.key = std::string(account) + "\nstatus\n" + status.message_sid + "\n" +
                                status.provider_status,
                         .records = std::move(records).value(),
                         .unrouted = !origin.tenant}};
}

TwilioDoor::Reading TwilioDoor::ReadInbound(std::string_view account,
                                            const Identity::WebhookAccount& known,
                                            const dispatch::Form& fields) const {
  const auto message = dispatch::ParseTwilioInbound(fields);
  if (!message.ok()) {
    return {.refusal = {Verdict::kMalformed, message.error().message()}};
  }
  const auto& inbound = message.value();
  if (inbound.account_sid != known.account_sid) {
    return {.refusal = {Verdict::kWrongAccount, "AccountSid is not this account's."}};
  }
  const WebhookOrigin origin{.account = account,
                             .tenant = TenantOf(account, inbound.to, inbound.messaging_service_sid),
                             .partitions = deps_.partitions,
                             .now = deps_.clock.Now()};
  if (!origin.tenant && !deps_.identity.AccountsKnown()) {
    return {.refusal = {Verdict::kUnavailable, std::string(kNotKnown)}};
  }
  auto records = RecordsOfTwilioInbound(inbound, origin);
  if (!records.ok()) {
    return {.refusal = {Verdict::kMalformed, records.error().message()}};
  }
  return {.taken = Taken{.key = std::string(account) + "\ninbound\n" + inbound.message_sid,
                         .records = std::move(records).value(),
                         .unrouted = !origin.tenant}};
}

// A number belongs to one tenant; a messaging service speaks through numbers of its own choice, and
// is then the sender that the tenant has.
std::optional<std::string> TwilioDoor::TenantOf(std::string_view account, const std::string& number,
                                                const std::string& service_sid) const {
  for (const std::string& sender : {number, service_sid}) {
    if (sender.empty()) {
      continue;
    }
    if (auto tenant = deps_.identity.TenantOfNumber(kProvider, account, sender)) {
      return tenant;
    }
  }
  return std::nullopt;
}

void TwilioDoor::Append(Kind kind, Taken taken, http::Responder responder) {
  // The writer's function has to be copyable, which a responder is not; they share it with nobody.
  const auto waiting = std::make_shared<http::Responder>(std::move(responder));
  const Verdict success = taken.unrouted ? Verdict::kUnrouted : Verdict::kAccepted;
  const bool queued = deps_.writer.Append(
      std::move(taken.records), [door = shared_from_this(), kind, key = taken.key, waiting,
                                 success](const Result<std::vector<log::Appended>>& result) {
        door->End(kind, key, result.ok() ? success : Verdict::kLogUnavailable, std::move(*waiting));
      });
  if (!queued) {
    End(kind, taken.key, Verdict::kLogUnavailable, std::move(*waiting));
  }
}

void TwilioDoor::End(Kind kind, const std::string& key, Verdict verdict,
                     http::Responder responder) {
  const bool appended = verdict != Verdict::kLogUnavailable;
  auto others = recent_.End(key, appended);
  Send(kind, {verdict, "The log is not available. Call again."}, &responder);
  for (http::Responder& other : others) {
    Send(kind, {appended ? Verdict::kRepeated : verdict, "The log is not available. Call again."},
         &other);
  }
}

void TwilioDoor::Send(Kind kind, const Answer& answer, http::Responder* responder) {
  const auto index = static_cast<std::size_t>(answer.verdict);
  results_[index]->Add();
  const VerdictSpec& spec = kVerdicts[index];
  if (spec.status == 0) {
    responder->Send(Success(kind));
    return;
  }
  http::Response response =
      http::Problem({.status = spec.status, .code = spec.code, .detail = answer.detail});
  if (spec.status == 503) {
    response.headers.Add("Retry-After", "1");
  }
  responder->Send(std::move(response));
}

}  // namespace alertstream::api

#include "processor/dispatch/sms_sender.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "processor/base/id.h"
#include "schemas/personal.h"

namespace alertstream::dispatch {
namespace {

TwilioAccount TwilioAccountOf(const ProviderAccount& account) {
  const bool with_key = !account.api_key_sid.empty();
  return {.name = account.name,
          .account_sid = account.account_sid,
          .api_key_sid = account.api_key_sid,
          .secret = with_key || account.auth_tokens.empty() ? account.api_key_secret
                                                            : account.auth_tokens.front(),
          .public_url = account.public_url};
}

}  // namespace

Outcome Unsendable(std::string code) {
  return {.result = v1::ATTEMPT_CLASS_PERM_REQUEST, .code = std::move(code)};
}

std::variant<HttpRequest, Outcome> SmsSender::Prepare(
    const v1::NotificationCommand& command, const std::shared_ptr<const ProviderAccount>& account,
    LogTime now) {
  if (account->provider != "twilio") {
    return Unsendable("provider_unknown");
  }
  if (command.channel() != v1::CHANNEL_SMS) {
    return Unsendable("channel_unsupported");
  }
  auto known = accounts_.find(account->name);
  if (known == accounts_.end() || known->second.account != account) {
    auto requests = TwilioSmsRequests::Create(TwilioAccountOf(*account));
    known = accounts_.insert_or_assign(account->name, Known{account, std::move(requests)}).first;
  }
  if (!known->second.requests.ok()) {
    return Unsendable("account_invalid");
  }
  const auto to = schemas::Unseal(command.to());
  const auto body = schemas::Unseal(command.body());
  if (!to.ok() || !body.ok()) {
    return Unsendable("text_unreadable");
  }
  const std::string id = FormatId(IdKind::kNotification, command.notification_id());
  TwilioSms sms{.notification_id = id,
                .attempt = command.attempt(),
                .to = Redacted(to.value()),
                .from = command.from_number(),
                .body = Redacted(body.value())};
  if (command.expires_at_us() != 0) {
    const auto left = FromMicros(command.expires_at_us()) - now;
    sms.validity =
        std::max(std::chrono::seconds(1), std::chrono::duration_cast<std::chrono::seconds>(left));
  }
  auto request = known->second.requests.value().Build(sms);
  if (!request.ok()) {
    return Unsendable("request_invalid");
  }
  return std::move(request).value();
}

Outcome SmsSender::Judge(const HttpOutcome& outcome, LogTime now) {
  const auto* const answer = std::get_if<HttpAnswer>(&outcome);
  return answer != nullptr ? OutcomeOfTwilioAnswer(*answer, now)
                           : OutcomeOfTwilioFailure(std::get<TransportFailure>(outcome));
}

}  // namespace alertstream::dispatch

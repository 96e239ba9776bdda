#include "ops/cli/provider_desk.h"

#include <algorithm>
#include <utility>

#include "processor/base/crypto.h"
#include "processor/base/id.h"
#include "processor/dispatch/providers/form.h"
#include "processor/dispatch/providers/twilio_sms.h"

namespace alertstream::cli {
namespace {

constexpr std::size_t kTestsMax = 10;  // At once: an operator sends one and looks.
constexpr std::string_view kCallbackField = "StatusCallback";

// A request of its own: no notification stands behind it, so nobody is called back about it.
Result<dispatch::HttpRequest> TestRequest(const dispatch::ProviderAccount& account,
                                          const api::TestMessage& message) {
  const bool with_key = !account.api_key_sid.empty();
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const auto requests,
      dispatch::TwilioSmsRequests::Create(
          {.name = account.name,
           .account_sid = account.account_sid,
           .api_key_sid = account.api_key_sid,
           .secret = with_key ? account.api_key_secret : account.auth_tokens.front(),
           .public_url = account.public_url}));
  const std::string id = FormatId(IdKind::kNotification, RandomBytes(sizeof(IdBytes)));
  ALERTSTREAM_ASSIGN_OR_RETURN(
      auto request, requests.Build({.notification_id = id,
                                    .to = Redacted<std::string_view>(message.to.Reveal()),
                                    .from = message.from,
                                    .body = Redacted<std::string_view>(message.body.Reveal())}));
  ALERTSTREAM_ASSIGN_OR_RETURN(auto form, dispatch::DecodeForm(request.body.Reveal()));
  std::erase_if(form, [](const auto& field) { return field.name == kCallbackField; });
  request.body = Redacted(dispatch::EncodeForm(form));
  return request;
}

}  // namespace

Result<std::unique_ptr<ServerDesk>> ServerDesk::Create(const dispatch::ProviderAccounts& accounts,
                                                       Clock& clock) {
  ALERTSTREAM_ASSIGN_OR_RETURN(
      auto http, dispatch::HttpClient::Create(
                     {.calls_max = kTestsMax, .connections_per_host_max = kTestsMax}));
  return std::unique_ptr<ServerDesk>(new ServerDesk(accounts, clock, std::move(http)));
}

std::vector<api::ProviderState> ServerDesk::List() const {
  dispatch::Dispatcher* dispatcher = dispatcher_;
  const auto circuits =
      dispatcher == nullptr ? std::vector<dispatch::CircuitStatus>() : dispatcher->Breakers();
  std::vector<api::ProviderState> states;
  for (const auto& account : accounts_.All()) {
    api::ProviderState state{.provider = account->provider,
                             .name = account->name,
                             .account_sid = account->account_sid,
                             .base_url = account->base_url,
                             .sends_per_second = account->sends_per_second,
                             .burst = account->burst,
                             .breaker = dispatcher == nullptr ? "elsewhere" : "unused"};
    const auto circuit =
        std::find_if(circuits.begin(), circuits.end(), [&](const dispatch::CircuitStatus& one) {
          return one.provider == account->provider && one.account == account->name;
        });
    if (circuit != circuits.end()) {
      state.breaker = dispatch::CircuitStateName(circuit->state);
      state.code = circuit->code;
      if (circuit->state == dispatch::CircuitState::kOpen) {
        state.probe_in_s = static_cast<double>(circuit->probe_in.count()) / 1e6;
      }
    }
    states.push_back(std::move(state));
  }
  return states;
}

Status ServerDesk::Reset(const std::string& provider, const std::string& name) {
  if (accounts_.Find(provider, name) == nullptr) {
    return Error(ErrorCode::kNotFound, "There is no such provider account.");
  }
  dispatch::Dispatcher* dispatcher = dispatcher_;
  if (dispatcher == nullptr) {
    return Error(ErrorCode::kConflict,
                 "The dispatcher runs in another process; ask the API there, or start it anew.");
  }
  // Nothing was sent through it yet: its breaker is closed.
  static_cast<void>(dispatcher->ResetBreaker(provider, name));
  return Status::Ok();
}

void ServerDesk::SendTest(api::TestMessage message, Done done) {
  const auto account = accounts_.Find(message.provider, message.name);
  if (account == nullptr) {
    done(Error(ErrorCode::kNotFound, "There is no such provider account."));
    return;
  }
  auto request = TestRequest(*account, message);
  if (!request.ok()) {
    done(request.error());
    return;
  }
  http_->Submit({.base_url = account->base_url, .request = std::move(request).value()},
                [this, done = std::move(done)](const dispatch::HttpOutcome& outcome) {
                  const auto* answer = std::get_if<dispatch::HttpAnswer>(&outcome);
                  done(answer != nullptr ? dispatch::OutcomeOfTwilioAnswer(*answer, clock_.Now())
                                         : dispatch::OutcomeOfTwilioFailure(
                                               std::get<dispatch::TransportFailure>(outcome)));
                });
}

}  // namespace alertstream::cli

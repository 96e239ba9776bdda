#include "ops/simulator/accounts.h"

#include <algorithm>
#include <utility>

#include "processor/base/crypto.h"
#include "processor/dispatch/providers/twilio_urls.h"

namespace alertstream::simulator {
namespace {

bool Same(const Redacted<std::string>& a, const Redacted<std::string>& b) {
  return !a.Reveal().empty() && ConstantTimeEqual(a.Reveal(), b.Reveal());
}

// ".../status?notification_id=..." to ".../inbound"; nothing if it does not end so.
std::optional<std::string> InboundBeside(std::string_view status_callback) {
  constexpr std::string_view kStatus = "/status";
  const std::string_view path = status_callback.substr(0, status_callback.find_first_of("?#"));
  if (!path.ends_with(kStatus)) {
    return std::nullopt;
  }
  return std::string(path.substr(0, path.size() - kStatus.size())) + "/inbound";
}

std::string Below(std::string_view public_url, std::string_view account) {
  while (public_url.ends_with('/')) {
    public_url.remove_suffix(1);
  }
  return std::string(public_url) + dispatch::TwilioInboundPath(account);
}

}  // namespace

void Accounts::Set(std::vector<dispatch::ProviderAccount> accounts) {
  const std::lock_guard lock(mutex_);
  accounts_ = std::move(accounts);
}

const dispatch::ProviderAccount* Accounts::Find(std::string_view account_sid) const {
  const auto found = std::find_if(accounts_.begin(), accounts_.end(), [&](const auto& account) {
    return account.account_sid == account_sid;
  });
  return found == accounts_.end() ? nullptr : &*found;
}

std::optional<Redacted<std::string>> Accounts::SignIn(std::string_view account_sid,
                                                      const BasicCredentials& credentials) const {
  const std::lock_guard lock(mutex_);
  if (accounts_.empty()) {
    const bool may = credentials.user == account_sid && !credentials.password.Reveal().empty();
    return may ? std::optional(credentials.password) : std::nullopt;
  }
  const dispatch::ProviderAccount* account = Find(account_sid);
  if (account == nullptr || account->auth_tokens.empty()) {
    return std::nullopt;
  }
  if (credentials.user == account->account_sid) {
    for (const auto& token : account->auth_tokens) {
      if (Same(token, credentials.password)) {
        return account->auth_tokens.front();
      }
    }
  }
  if (!account->api_key_sid.empty() && credentials.user == account->api_key_sid &&
      Same(account->api_key_secret, credentials.password)) {
    return account->auth_tokens.front();
  }
  return std::nullopt;
}

void Accounts::Learn(const Message& message, const Redacted<std::string>& auth_token) {
  const std::lock_guard lock(mutex_);
  if (learnt_.size() < kAccountsLearntMax || learnt_.contains(message.account_sid)) {
    Learnt& learnt = learnt_[message.account_sid];
    learnt.auth_token = auth_token;
    if (!message.status_callback.empty()) {
      learnt.status_callback = message.status_callback;
    }
  }
  if (senders_.size() < kSendersLearntMax || senders_.contains(message.from)) {
    senders_[message.from] = message.account_sid;
  }
}

std::string Accounts::AccountOf(std::string_view number, std::string_view account_sid) const {
  if (!account_sid.empty()) {
    return std::string(account_sid);
  }
  if (const auto sender = senders_.find(number); sender != senders_.end()) {
    return sender->second;
  }
  if (accounts_.size() == 1) {
    return accounts_.front().account_sid;
  }
  return accounts_.empty() && learnt_.size() == 1 ? learnt_.begin()->first : std::string();
}

Result<Accounts::InboundRoute> Accounts::RouteInbound(std::string_view number,
                                                      std::string_view account_sid) const {
  const std::lock_guard lock(mutex_);
  InboundRoute route;
  route.account_sid = AccountOf(number, account_sid);
  const auto learnt = learnt_.find(route.account_sid);
  const dispatch::ProviderAccount* account = Find(route.account_sid);
  if (account != nullptr && !account->auth_tokens.empty()) {
    route.auth_token = account->auth_tokens.front();
  } else if (accounts_.empty() && learnt != learnt_.end()) {
    route.auth_token = learnt->second.auth_token;
  } else {
    return Error(ErrorCode::kNotFound,
                 "account_sid: name the account; nobody has sent from the number in `to`");
  }
  if (account != nullptr && !account->public_url.empty()) {
    route.url = Below(account->public_url, account->name);
    return route;
  }
  const auto beside =
      learnt == learnt_.end() ? std::nullopt : InboundBeside(learnt->second.status_callback);
  if (!beside) {
    return Error(ErrorCode::kConflict,
                 "public_url: the account has none, and no StatusCallback tells where it is");
  }
  route.url = *beside;
  return route;
}

}  // namespace alertstream::simulator

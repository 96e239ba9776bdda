// Accounts: who may send through the provider simulator, with what callbacks to them are signed,
// and where their inbound messages go. Without any account whoever signs in with some password may
// send, and the password signs: so a deployment needs no settings of the simulator's. Thread-safe.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ops/simulator/twilio_api.h"
#include "processor/base/redacted.h"
#include "processor/base/result.h"
#include "processor/dispatch/accounts.h"

namespace alertstream::simulator {

// What is learnt from requests; a deployment that is played has a few of each.
inline constexpr std::size_t kAccountsLearntMax = 1'000;
inline constexpr std::size_t kSendersLearntMax = 10'000;

class Accounts {
 public:
  // From now on only these; none: everybody.
  void Set(std::vector<dispatch::ProviderAccount> accounts);

  // What signs the callbacks of a request to the account; nothing: 401. An API key needs its
  // account's auth token for that.
  std::optional<Redacted<std::string>> SignIn(std::string_view account_sid,
                                              const BasicCredentials& credentials) const;
  // Remembers whose number the sender is and where its callbacks go.
  void Learn(const Message& message, const Redacted<std::string>& auth_token);

  struct InboundRoute {
    std::string account_sid;
    std::string url;
    Redacted<std::string> auth_token;
  };
  // Of a message to `number`: to the account named by `account_sid`, else to the one that last sent
  // from that number, else to the only one there is. The URL is below the account's public_url,
  // else beside its last StatusCallback. kNotFound: no such account; kConflict: no URL is known.
  Result<InboundRoute> RouteInbound(std::string_view number, std::string_view account_sid) const;

 private:
  struct Learnt {
    std::string status_callback;
    Redacted<std::string> auth_token;
  };
  const dispatch::ProviderAccount* Find(std::string_view account_sid) const;
  std::string AccountOf(std::string_view number, std::string_view account_sid) const;

  mutable std::mutex mutex_;
  std::vector<dispatch::ProviderAccount> accounts_;
  std::map<std::string, Learnt, std::less<>> learnt_;        // By account sid.
  std::map<std::string, std::string, std::less<>> senders_;  // Number to account sid.
};

}  // namespace alertstream::simulator

// Provider accounts: credentials, addresses and pace of the accounts through which messages leave.
// A port: the program reads them from a file of keys, and from a mirror of the tables of identity.
// Used by the dispatcher. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/redacted.h"

namespace alertstream::dispatch {

inline constexpr std::size_t kAccountNameBytesMax = 64;  // Part of webhooks' URLs.
inline constexpr std::size_t kAccountUrlBytesMax = 512;  // Leaves room for the path below it.
inline constexpr double kSendsPerSecondMax = 1'000'000;  // Above what one server can take.
inline constexpr std::uint32_t kSendsBurstMax = 1'000'000;
inline constexpr std::string_view kTwilioUrl = "https://api.twilio.com";

// Immutable once it is handed out; after a change Find gives another object.
struct ProviderAccount {
  std::string provider;     // "twilio".
  std::string name;         // Ours, unique for a provider: what a sender's `account` names.
  std::string account_sid;  // The provider's name of it.
  // Sign our requests as this key if it is set, else as the account with its first auth token.
  std::string api_key_sid = {};
  Redacted<std::string> api_key_secret = {};
  // The first signs us in, any of them may sign what comes in: two while they are rotated.
  std::vector<Redacted<std::string>> auth_tokens = {};
  std::string base_url;    // Where the provider is: "https://api.twilio.com".
  std::string public_url;  // Where it reaches us: scheme, host, perhaps a path; no query.
  double sends_per_second = 100;
  std::uint32_t burst = 100;  // Sends at once after a pause.
  std::string tenant = {};    // Not empty: only this tenant's messages leave through it.
};

class ProviderAccounts {
 public:
  virtual ~ProviderAccounts() = default;
  // Null: there is no such account now, or, if !Known(), it is not known whether there is.
  virtual std::shared_ptr<const ProviderAccount> Find(std::string_view provider,
                                                      std::string_view name) const = 0;
  // All of them, by provider and name.
  virtual std::vector<std::shared_ptr<const ProviderAccount>> All() const = 0;
  // False: where accounts are kept cannot be asked; what is not found has to wait.
  virtual bool Known() const { return true; }
};

// Letters, digits, _ and -, at most kAccountNameBytesMax: our names of accounts, and the ids that
// providers give.
bool IsAccountWord(std::string_view text);

enum class UrlPath : std::uint8_t { kNone, kAllowed };
// http(s)://HOST[:PORT], perhaps with a path; no query, no user, no slash at the end.
bool IsServerUrl(std::string_view url, UrlPath path);

}  // namespace alertstream::dispatch

// The content of keys.toml: API keys, provider accounts with their credentials, and whose number is
// whose. Parsing it is pure but for the secret files it names, which the caller reads. Used by
// KeysFile (keys_file.h), which answers from it.
//
//   [[key]]      id, kind = "publishable" | "secret" | "operator", key, tenant, site, origins,
//                signing_secrets, allow_body_only, events_per_second, burst, scopes
//   [[tenant]]   id, events_per_second, burst
//   [[account]]  provider, name, account_sid, auth_tokens | auth_token_files, api_key_sid,
//                api_key_secret | api_key_secret_file, base_url, public_url, sends_per_second,
//                burst
//   [[number]]   provider, account, number, tenant
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/auth/identity.h"
#include "processor/base/crypto.h"
#include "processor/base/redacted.h"
#include "processor/base/result.h"
#include "processor/dispatch/accounts.h"

namespace alertstream::identity {

inline constexpr std::size_t kKeysFileBytesMax = std::size_t{16} << 20U;  // 100,000 numbers.
inline constexpr std::size_t kKeySecretBytesMax = 256;    // Providers' tokens have 32 characters.
inline constexpr std::size_t kKeySecretBytesMin = 16;     // Below, it can be guessed.
inline constexpr std::size_t kSecretsPerKeyMax = 4;       // Old and new while they are rotated.
inline constexpr std::size_t kOriginsPerKeyMax = 64;      // Shops of one tenant.
inline constexpr std::size_t kKeysProblemsShownMax = 50;  // Nobody reads on.

// Immutable once it is made; lookups compare digests of keys, never keys.
struct KeysContent {
  std::map<Digest, std::shared_ptr<const api::ApiKey>> keys;  // By SHA-256 of the key.
  std::set<std::string, std::less<>> origins;                 // Of all publishable keys.
  std::map<std::string, api::EventRate, std::less<>> rates;   // By tenant.
  // By provider and name.
  std::map<std::pair<std::string, std::string>, std::shared_ptr<const dispatch::ProviderAccount>>
      accounts;
  std::map<std::pair<std::string, std::string>,
           std::shared_ptr<const api::Identity::WebhookAccount>>
      webhook_accounts;
  std::map<std::string, std::string, std::less<>> numbers;  // NumberKey → tenant.
  // By provider and number, of whichever account.
  std::set<std::pair<std::string, std::string>> known_numbers;
  std::vector<std::string> secret_files;  // As the document names them.
};

// The key of KeysContent::numbers.
std::string NumberKey(std::string_view provider, std::string_view account, std::string_view number);

// The secret that a file holds, without the line feed at its end.
using SecretReader = std::function<Result<Redacted<std::string>>(const std::string& path)>;

// Changes an account before it comes into force: where its provider is, where we are.
using AccountAdjuster = std::function<void(dispatch::ProviderAccount* account)>;

// kInvalid lists every problem, one a line, as FILE:LINE: what was expected; never a value of the
// document.
Result<KeysContent> ParseKeys(std::string_view text, std::string_view file_name,
                              const SecretReader& read_secret,
                              const AccountAdjuster& adjust_account = nullptr);

// What a key's owner holds: the key itself, and the first of its signing secrets.
struct KeyTexts {
  Redacted<std::string> key;
  Redacted<std::string> signing_secret;
};
// Of every [[key]], by its id: for a dev, which hands them out. kInvalid: no TOML.
Result<std::map<std::string, KeyTexts, std::less<>>> ReadKeyTexts(std::string_view text,
                                                                  std::string_view file_name);

}  // namespace alertstream::identity

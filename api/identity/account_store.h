// AccountStore: accounts at providers with their sealed credentials, and whose numbers are whose,
// in the tables of identity. Thread-safe; blocks. Used by the routes of provider accounts and
// numbers and by the command line; the mirror (account_mirror.h) is what answers for them.
//
// An account is a tenant's, and then only its messages leave through it, or the deployment's, for
// all. A tenant claims numbers of its own accounts; of the deployment's only an operator says whose
// a number is, because who has a number reads what people answer to it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/clock.h"
#include "processor/base/redacted.h"
#include "processor/base/result.h"
#include "processor/base/sealing.h"
#include "processor/base/time.h"
#include "processor/dispatch/accounts.h"
#include "projections/sql/database.h"

namespace alertstream::api {

inline constexpr std::size_t kAccountsOfTenantMax = 16;  // Brands and countries of one tenant.
inline constexpr std::size_t kAccountsMax = 10'000;      // That a server mirrors; about 2 KB each.
inline constexpr std::size_t kNumbersOfTenantMax = 10'000;  // As many as one answer lists.
// That a tenant claims itself: nobody has checked that they are its own, and what is claimed nobody
// else can claim. An operator claims more for it.
inline constexpr std::size_t kNumbersSelfServedMax = 100;
inline constexpr std::size_t kNumbersMax = 100'000;      // That a server mirrors.
inline constexpr std::size_t kCredentialBytesMin = 16;   // Below, it can be guessed.
inline constexpr std::size_t kCredentialBytesMax = 256;  // Providers' tokens have 32 characters.
inline constexpr std::chrono::hours kTokenOverlapDefault{24};
inline constexpr std::chrono::hours kTokenOverlapMax{30 * 24};
// Whose audit events those of the deployment's accounts are: no tenant's id begins so.
inline constexpr std::string_view kDeploymentTenant = "_deployment";

// What the file of keys has, which comes first: nothing may be stored that it contradicts.
struct ConfiguredAccounts {
  std::function<bool(std::string_view provider, std::string_view name)> has_account;
  // Of whichever account.
  std::function<bool(std::string_view provider, std::string_view number)> has_number;
};

// Who asks. An operator works on every account, and with an empty tenant on the deployment's.
struct AccountOwner {
  std::string tenant;
  std::string actor;
  bool is_operator = false;
};

struct AccountAsk {
  std::string provider = "twilio";
  std::string name;
  std::string account_sid;
  Redacted<std::string> auth_token;
  std::string api_key_sid = {};
  Redacted<std::string> api_key_secret = {};
  std::string base_url = std::string(dispatch::kTwilioUrl);
  std::string public_url;
  double sends_per_second = 100;
  std::uint32_t burst = 100;
};

// Only what is not empty is changed; the key's two parts go together.
struct CredentialsAsk {
  Redacted<std::string> auth_token = {};
  std::string api_key_sid = {};
  Redacted<std::string> api_key_secret = {};
  // How long webhooks signed with the token before are believed on.
  std::chrono::seconds overlap = kTokenOverlapDefault;
};

struct AccountSummary {
  std::string id;      // "pa_…"
  std::string tenant;  // "": the deployment's.
  std::string provider;
  std::string name;
  std::string account_sid;
  std::string api_key_sid;
  std::string base_url;
  std::string public_url;
  double sends_per_second = 0;
  std::uint32_t burst = 0;
  std::optional<LogTime> previous_until;
  LogTime created_at;
  std::string created_by;
  LogTime changed_at;
};

struct NumberAsk {
  std::string provider = "twilio";
  std::string account;  // Our name of it.
  std::string number;   // "+…", or a sender id or messaging service of the account.
};

struct NumberClaim {
  std::string id;  // "num_…"
  std::string tenant;
  std::string provider;
  std::string account;
  std::string number;
  LogTime claimed_at;
  std::string claimed_by;
};

struct AccountStoreDeps {
  sql::Pool& pool;  // Of the role alertstream_identity.
  const Sealer& sealer;
  const Clock& clock;
  ConfiguredAccounts configured;
};

class AccountStore {
 public:
  explicit AccountStore(AccountStoreDeps deps) : deps_(std::move(deps)) {}

  // kInvalid: which member of the ask; kConflict: the name is taken, here or in the file of keys;
  // kExhausted: the limits above.
  Result<AccountSummary> Add(const AccountOwner& owner, const AccountAsk& ask);
  // By name. An operator without a tenant sees all.
  Result<std::vector<AccountSummary>> List(const AccountOwner& owner);
  // kNotFound: the owner has no account of this id; an operator may give its name. kInvalid.
  Result<AccountSummary> Rotate(const AccountOwner& owner, const std::string& account,
                                const CredentialsAsk& ask);
  // As Rotate. kConflict: numbers of it are claimed.
  Status Remove(const AccountOwner& owner, const std::string& account);

  // The claim; the one that there is, if the tenant has it. kConflict: it is another tenant's, or
  // stands in the file of keys; nothing tells whose. kNotFound: the owner has no such account.
  Result<NumberClaim> Claim(const AccountOwner& owner, const NumberAsk& ask);
  Result<std::vector<NumberClaim>> ListNumbers(const AccountOwner& owner);
  // By the claim's id. kNotFound.
  Status Release(const AccountOwner& owner, const std::string& number_id);

 private:
  const AccountStoreDeps deps_;
};

// What an account's credentials are sealed for.
std::string CredentialsContext(std::string_view account_id);

struct AccountCredentials {
  std::vector<Redacted<std::string>> auth_tokens;  // At least one, the newest first.
  Redacted<std::string> api_key_secret = {};
};
// As they are sealed: JSON.
Redacted<std::string> WriteCredentials(const AccountCredentials& credentials);
// kCorrupt; never says what was there.
Result<AccountCredentials> ReadCredentials(const Redacted<std::string>& text);

}  // namespace alertstream::api

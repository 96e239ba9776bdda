// The bodies of identity's requests: each becomes what is asked for, or the list of what is wrong
// with it. Pure. Strict: a member that is not known is a fault. Faults never repeat a value.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "api/http/problem.h"
#include "api/identity/account_store.h"
#include "api/identity/accounts.h"
#include "api/identity/key_store.h"
#include "processor/base/redacted.h"
#include "processor/base/time.h"

namespace alertstream::api {

inline constexpr std::size_t kTenantNameBytesMax = 128;
inline constexpr std::size_t kDeviceBytesMax = 128;
inline constexpr std::size_t kWebsiteNameBytesMax = 128;
inline constexpr std::size_t kWebsiteUrlBytesMax = 512;
inline constexpr std::size_t kRefreshTokenBytesMax = 128;

template <typename T>
using Parsed = std::variant<T, http::ProblemDetails>;

// {"email","password","tenant_name"?,"device"?}
Parsed<RegisterAsk> ParseRegister(std::string_view body);
// {"email","password","tenant"?,"device"?}
Parsed<LoginAsk> ParseLogin(std::string_view body);

struct RefreshAsk {
  Redacted<std::string> token;
  std::string tenant;
};
// {"refresh_token","tenant"?}
Parsed<RefreshAsk> ParseRefresh(std::string_view body);
// {"refresh_token"}
Parsed<RefreshAsk> ParseLogout(std::string_view body);

struct WebsiteAsk {
  std::string id;  // Of the URL's host, if the body has none.
  std::string name;
  std::string url;
};
// {"url","name"?,"id"?}
Parsed<WebsiteAsk> ParseWebsite(std::string_view body);

// {"kind":"secret|publishable","name"?,"mode":"live|test"?,"origins":[]?,"networks":[]?,
//  "events_per_second"?,"burst"?,"expires_at"?,"scopes":[]?}; the site is the path's.
Parsed<KeyAsk> ParseKey(std::string_view body, LogTime now);

struct RotateAsk {
  Rotated what = Rotated::kKey;
  std::chrono::seconds overlap = kRotationOverlapDefault;
};
// {"what":"key|signing_secret"?,"overlap_seconds"?}; an empty body is {}.
Parsed<RotateAsk> ParseRotate(std::string_view body);

// {"name","account_sid","auth_token","public_url","provider"?,"api_key_sid"?,"api_key_secret"?,
//  "sends_per_second"?,"burst"?}. Where the provider is, is not for a tenant to say: our server
// would call any address in its name.
Parsed<AccountAsk> ParseAccount(std::string_view body);
// {"auth_token"?,"api_key_sid"?,"api_key_secret"?,"overlap_seconds"?}
Parsed<CredentialsAsk> ParseCredentials(std::string_view body);
// {"account","number","provider"?}
Parsed<NumberAsk> ParseNumber(std::string_view body);

// In lower case; nothing if it is none as we take it.
std::optional<std::string> NormalEmail(std::string_view text);

}  // namespace alertstream::api

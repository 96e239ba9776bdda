// Ids and secrets that identity draws. Not pure: they are random. Used by accounts and API keys.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "processor/base/redacted.h"
#include "processor/base/time.h"

namespace alertstream::api {

inline constexpr std::size_t kSecretRandomBytes = 32;

// `prefix` and 26 characters as of every id (processor/base/id.h): 48 bits of milliseconds, 80
// random ones. "usr_01JD3J…"
std::string NewId(std::string_view prefix, LogTime now);

// `prefix` and 32 random bytes as base64url.
Redacted<std::string> NewSecret(std::string_view prefix);

// `name` in lower case with hyphens, and six random characters: a tenant id that nobody can have
// had before, on purpose or not.
std::string NewTenantId(std::string_view name);

}  // namespace alertstream::api

// Password hashes: Argon2id (RFC 9106) as PHC text, "$argon2id$v=19$m=19456,t=2,p=1$salt$hash".
// Pure. A hash takes about 20 ms and as much memory as its cost says: call it from a bounded number
// of threads, never from one that serves connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "processor/base/redacted.h"
#include "processor/base/result.h"

namespace alertstream {

inline constexpr std::size_t kPasswordBytesMax = 1024;
inline constexpr std::size_t kPasswordSaltBytes = 16;
// What is stored may cost this much to check, so that a changed row cannot use up the machine.
inline constexpr std::uint32_t kPasswordMemoryKibMax = 256 * 1024;
inline constexpr std::uint32_t kPasswordPassesMax = 16;
inline constexpr std::uint32_t kPasswordLanesMax = 8;

struct PasswordCost {
  std::uint32_t memory_kib = 19'456;  // One of OWASP's equally strong settings.
  std::uint32_t passes = 2;
  std::uint32_t lanes = 1;
  friend bool operator==(const PasswordCost&, const PasswordCost&) = default;
};

// `salt` is at least 8 bytes and random, kPasswordSaltBytes of them for new hashes. kInvalid: the
// password or salt is too long or too short, or the cost is beyond the limits; kUnavailable: no
// memory.
Result<std::string> HashPassword(const Redacted<std::string>& password, std::string_view salt,
                                 const PasswordCost& cost);

struct PasswordVerdict {
  bool matches = false;
  bool is_outdated = false;  // The hash was made at another cost: make it anew.
};

// kCorrupt: `phc` is no hash of ours, or beyond the limits. Else as HashPassword.
Result<PasswordVerdict> VerifyPassword(const Redacted<std::string>& password, std::string_view phc,
                                       const PasswordCost& cost);

}  // namespace alertstream

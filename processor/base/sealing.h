// Sealing: secrets that we have to read again (signing secrets, providers' credentials), encrypted
// with AES-256-GCM (NIST SP 800-38D) under a master key. A Sealer is immutable and thread-safe.
//
// Stored form, which may never change: 0x01, the first 4 bytes of SHA-256(key), 12 random bytes,
// the ciphertext, 16 bytes of tag. The context (what the secret belongs to) is authenticated and
// not stored, so a sealed value copied into another row does not open there. With random nonces one
// key is good for 2^32 values; we seal some thousands.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/redacted.h"
#include "processor/base/result.h"

namespace alertstream {

inline constexpr std::size_t kMasterKeyBytes = 32;
inline constexpr std::size_t kMasterKeysMax = 4;  // The one in force, and older ones.
inline constexpr std::size_t kSealedOverheadBytes = 1 + 4 + 12 + 16;

class Sealer {
 public:
  // The first key seals; all open. kInvalid: none, too many, or one is not kMasterKeyBytes long.
  static Result<Sealer> Make(const std::vector<Redacted<std::string>>& keys);

  std::string Seal(const Redacted<std::string>& secret, std::string_view context) const;

  // kDenied: sealed under a master key that we do not have. kCorrupt: changed, or of another
  // context.
  Result<Redacted<std::string>> Open(std::string_view sealed, std::string_view context) const;

  // True if `sealed` was not made with the first key.
  bool IsOutdated(std::string_view sealed) const;

 private:
  struct Key {
    std::array<std::uint8_t, 4> id = {};
    Redacted<std::string> bytes;
  };
  explicit Sealer(std::vector<Key> keys) : keys_(std::move(keys)) {}
  std::vector<Key> keys_;
};

}  // namespace alertstream

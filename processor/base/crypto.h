// Hashes and comparisons: SHA-256 (FIPS 180-4), HMAC-SHA256 (RFC 2104), constant-time equality.
// Pure. An object belongs to one thread at a time; copies are independent.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace alertstream {

using Digest = std::array<std::uint8_t, 32>;

inline std::string_view AsView(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// Incremental SHA-256. A copy continues from where the original stood, which is how HMAC keeps its
// keyed prefix. `Final` leaves the object ready for nothing else.
class Sha256 {
 public:
  Sha256();
  Sha256& Update(std::string_view bytes);
  Sha256& Update(const void* data, std::size_t size);
  Digest Final();

  static Digest Of(std::string_view bytes) { return Sha256().Update(bytes).Final(); }

 private:
  friend class HmacKey;
  alignas(8) std::array<std::byte, 112> context_;  // SHA256_CTX, checked in crypto_openssl.cc.
};

// HMAC-SHA256 with the key already absorbed: two compressions a message less than starting anew.
class HmacKey {
 public:
  explicit HmacKey(std::string_view key);

  // One message given in pieces: `HmacKey::Mac mac = key.Begin(); mac.Update(..); mac.Final()`.
  class Mac {
   public:
    Mac& Update(std::string_view bytes) {
      inner_.Update(bytes);
      return *this;
    }
    Digest Final();

   private:
    friend class HmacKey;
    Mac(const Sha256& inner, const Sha256& outer) : inner_(inner), outer_(outer) {}
    Sha256 inner_;
    Sha256 outer_;
  };

  Mac Begin() const { return Mac(inner_, outer_); }
  Digest Sign(std::string_view message) const { return Begin().Update(message).Final(); }

 private:
  Sha256 inner_;
  Sha256 outer_;
};

// True if both are equal; the time taken depends on the lengths only.
bool ConstantTimeEqual(std::string_view a, std::string_view b);

// Lower-case hexadecimal, and back ("" for an empty or malformed text).
std::string ToHex(std::string_view bytes);
std::string FromHex(std::string_view hex);

// `size` bytes from the operating system's generator. Never called by deciding code.
std::string RandomBytes(std::size_t size);

}  // namespace alertstream

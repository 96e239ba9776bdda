// The low-level SHA-256 functions are used on purpose, although OpenSSL 3 prefers EVP: the context
// is a plain struct, so HMAC keeps keyed prefixes by copying it, and a digest of a short record
// costs a third of an EVP fetch-and-init.
#define OPENSSL_API_COMPAT 10101

#include "processor/base/crypto.h"

#include <cstring>

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "processor/base/check.h"
#include "processor/base/text.h"

namespace alertstream {
namespace {

SHA256_CTX* Context(std::byte* bytes) { return reinterpret_cast<SHA256_CTX*>(bytes); }

constexpr std::size_t kBlockBytes = 64;  // SHA-256's block, RFC 2104's B.

}  // namespace

static_assert(sizeof(SHA256_CTX) <= 112);

Sha256::Sha256() { SHA256_Init(Context(context_.data())); }

Sha256& Sha256::Update(const void* data, std::size_t size) {
  SHA256_Update(Context(context_.data()), data, size);
  return *this;
}

Sha256& Sha256::Update(std::string_view bytes) { return Update(bytes.data(), bytes.size()); }

Digest Sha256::Final() {
  Digest digest;
  SHA256_Final(digest.data(), Context(context_.data()));
  return digest;
}

HmacKey::HmacKey(std::string_view key) {
  std::array<std::uint8_t, kBlockBytes> block{};
  if (key.size() > kBlockBytes) {
    const Digest digest = Sha256::Of(key);
    std::memcpy(block.data(), digest.data(), digest.size());
  } else {
    std::memcpy(block.data(), key.data(), key.size());
  }
  for (auto& byte : block) {
    byte ^= 0x36;
  }
  inner_.Update(block.data(), block.size());
  for (auto& byte : block) {
    byte ^= 0x36 ^ 0x5c;
  }
  outer_.Update(block.data(), block.size());
  OPENSSL_cleanse(block.data(), block.size());
}

Digest HmacKey::Mac::Final() {
  const Digest inner = inner_.Final();
  return outer_.Update(inner.data(), inner.size()).Final();
}

bool ConstantTimeEqual(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string ToHex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    hex.push_back(kDigits[byte >> 4]);
    hex.push_back(kDigits[byte & 15]);
  }
  return hex;
}

std::string FromHex(std::string_view hex) {
  if (hex.size() % 2 != 0) {
    return "";
  }
  std::string bytes(hex.size() / 2, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int high = HexValue(hex[2 * i]);
    const int low = HexValue(hex[2 * i + 1]);
    if (high < 0 || low < 0) {
      return "";
    }
    bytes[i] = static_cast<char>(high * 16 + low);
  }
  return bytes;
}

std::string RandomBytes(std::size_t size) {
  std::string bytes(size, '\0');
  ALERTSTREAM_CHECK(
      RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(size)) == 1);
  return bytes;
}

}  // namespace alertstream

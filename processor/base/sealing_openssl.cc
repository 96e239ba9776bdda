#include <algorithm>
#include <memory>
#include <utility>

#include <openssl/evp.h>

#include "processor/base/check.h"
#include "processor/base/crypto.h"
#include "processor/base/sealing.h"

namespace alertstream {
namespace {

constexpr char kVersion = 1;
constexpr std::size_t kIdBytes = 4;
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kHeadBytes = 1 + kIdBytes + kNonceBytes;
static_assert(kHeadBytes + kTagBytes == kSealedOverheadBytes);
// OpenSSL counts in int; a secret is some hundred bytes long.
constexpr std::size_t kSecretBytesMax = std::size_t{1} << 20U;

struct ContextDeleter {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, ContextDeleter>;

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

Context Begin(bool encrypts, std::string_view key, std::string_view nonce,
              std::string_view authenticated) {
  Context context(EVP_CIPHER_CTX_new());
  ALERTSTREAM_CHECK(context != nullptr);
  ALERTSTREAM_CHECK(EVP_CipherInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, Bytes(key),
                                      Bytes(nonce), encrypts ? 1 : 0) == 1);
  int size = 0;
  ALERTSTREAM_CHECK(authenticated.size() <= kSecretBytesMax);
  ALERTSTREAM_CHECK(EVP_CipherUpdate(context.get(), nullptr, &size, Bytes(authenticated),
                                     static_cast<int>(authenticated.size())) == 1);
  return context;
}

}  // namespace

Result<Sealer> Sealer::Make(const std::vector<Redacted<std::string>>& keys) {
  if (keys.empty() || keys.size() > kMasterKeysMax) {
    return Error(ErrorCode::kInvalid, "master key: expected one to four keys");
  }
  std::vector<Key> made;
  for (const Redacted<std::string>& key : keys) {
    if (key.Reveal().size() != kMasterKeyBytes) {
      return Error(ErrorCode::kInvalid, "master key: expected 32 bytes");
    }
    const Digest digest = Sha256::Of(key.Reveal());
    Key& one = made.emplace_back(Key{.bytes = key});
    std::copy_n(digest.begin(), kIdBytes, one.id.begin());
  }
  return Sealer(std::move(made));
}

std::string Sealer::Seal(const Redacted<std::string>& secret, std::string_view context) const {
  const std::string& plain = secret.Reveal();
  ALERTSTREAM_CHECK(plain.size() <= kSecretBytesMax);
  const Key& key = keys_.front();
  std::string sealed(1, kVersion);
  sealed.append(reinterpret_cast<const char*>(key.id.data()), kIdBytes);
  sealed += RandomBytes(kNonceBytes);
  const std::string nonce = sealed.substr(1 + kIdBytes);
  sealed.resize(kHeadBytes + plain.size() + kTagBytes);
  const Context cipher = Begin(true, key.bytes.Reveal(), nonce, context);
  int size = 0;
  ALERTSTREAM_CHECK(EVP_CipherUpdate(cipher.get(), Bytes(sealed) + kHeadBytes, &size, Bytes(plain),
                                     static_cast<int>(plain.size())) == 1);
  ALERTSTREAM_CHECK(EVP_CipherFinal_ex(cipher.get(), Bytes(sealed) + kHeadBytes + size, &size) ==
                    1);
  ALERTSTREAM_CHECK(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG,
                                        static_cast<int>(kTagBytes),
                                        Bytes(sealed) + kHeadBytes + plain.size()) == 1);
  return sealed;
}

Result<Redacted<std::string>> Sealer::Open(std::string_view sealed,
                                           std::string_view context) const {
  const Error corrupt(ErrorCode::kCorrupt, "A sealed secret is not as it was stored.");
  if (sealed.size() < kSealedOverheadBytes || sealed.size() > kSecretBytesMax ||
      sealed.front() != kVersion) {
    return corrupt;
  }
  const std::string_view id = sealed.substr(1, kIdBytes);
  const auto key = std::find_if(keys_.begin(), keys_.end(), [&](const Key& candidate) {
    return id == std::string_view(reinterpret_cast<const char*>(candidate.id.data()), kIdBytes);
  });
  if (key == keys_.end()) {
    return Error(ErrorCode::kDenied, "A secret is sealed under another master key.");
  }
  const std::string_view text = sealed.substr(kHeadBytes, sealed.size() - kHeadBytes - kTagBytes);
  std::string tag(sealed.substr(sealed.size() - kTagBytes));
  const Context cipher =
      Begin(false, key->bytes.Reveal(), sealed.substr(1 + kIdBytes, kNonceBytes), context);
  std::string plain(text.size(), '\0');
  int size = 0;
  ALERTSTREAM_CHECK(EVP_CipherUpdate(cipher.get(), Bytes(plain), &size, Bytes(text),
                                     static_cast<int>(text.size())) == 1);
  ALERTSTREAM_CHECK(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG,
                                        static_cast<int>(kTagBytes), Bytes(tag)) == 1);
  if (EVP_CipherFinal_ex(cipher.get(), Bytes(plain) + size, &size) != 1) {
    return corrupt;
  }
  return Redacted<std::string>(std::move(plain));
}

bool Sealer::IsOutdated(std::string_view sealed) const {
  return sealed.size() < kSealedOverheadBytes || sealed.front() != kVersion ||
         sealed.substr(1, kIdBytes) !=
             std::string_view(reinterpret_cast<const char*>(keys_.front().id.data()), kIdBytes);
}

}  // namespace alertstream

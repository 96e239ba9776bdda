#include <climits>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "processor/base/check.h"
#include "processor/base/hmac_sha1.h"

namespace alertstream {

Sha1Digest HmacSha1(std::string_view key, std::string_view message) {
  ALERTSTREAM_CHECK(key.size() <= INT_MAX);
  // A null key would mean "the one of the call before".
  const char* key_data = key.empty() ? "" : key.data();
  Sha1Digest digest{};
  unsigned size = 0;
  ALERTSTREAM_CHECK(HMAC(EVP_sha1(), key_data, static_cast<int>(key.size()),
                         reinterpret_cast<const unsigned char*>(message.data()), message.size(),
                         digest.data(), &size) != nullptr);
  ALERTSTREAM_CHECK(size == digest.size());
  return digest;
}

}  // namespace alertstream

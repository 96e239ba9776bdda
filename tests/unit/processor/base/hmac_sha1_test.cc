#include "processor/base/hmac_sha1.h"

#include <string>

#include <gtest/gtest.h>

#include "processor/base/crypto.h"

namespace alertstream {
namespace {

// RFC 2202, section 3, and the digest of nothing.
TEST(HmacSha1Test, GivesTheKnownDigests) {
  struct Case {
    std::string key;
    std::string message;
    const char* digest;
  };
  const Case cases[] = {
      {"", "", "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d"},
      {std::string(20, '\x0b'), "Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"},
      {"Jefe", "what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
      {std::string(20, '\xaa'), std::string(50, '\xdd'),
       "125d7342b9ac11cd91a39af48aa17b4f63f175d3"},
      {std::string(80, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First",
       "aa4ae5e15272d00e95705637ce8a3b55ed402112"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(ToHex(AsView(HmacSha1(c.key, c.message))), c.digest) << c.message;
  }
}

}  // namespace
}  // namespace alertstream

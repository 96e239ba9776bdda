// Access tokens: whatever the bytes are, they are refused or a token that our key signed. The first
// byte says whether the bytes are a token, or the claims of one that is signed here.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/identity/jwt.h"
#include "processor/base/base64.h"
#include "processor/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace alertstream;  // NOLINT(google-build-using-namespace): nothing of its own.
  static const std::vector<api::JwtKey> keys = {
      {.id = "", .key = HmacKey("0123456789abcdef0123456789abcdef")}};
  if (size == 0) {
    return 0;
  }
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string token(bytes);
  if (data[0] == 's') {
    const std::string input =
        ToBase64Url(R"({"alg":"HS256","typ":"JWT"})") + "." + ToBase64Url(bytes);
    token = input + "." + api::JwtSignature(keys.front().key, input);
  }
  const auto claims = api::VerifyJwt(token, keys,
                                     {.type = "JWT",
                                      .issuer = "alertstream",
                                      .audience = "alertstream-api",
                                      .now = FromMicros(1'700'000'100'000'000)});
  if (!claims.ok()) {
    ALERTSTREAM_CHECK(claims.error().code() == ErrorCode::kDenied);
    return 0;
  }
  const std::size_t last = token.rfind('.');
  ALERTSTREAM_CHECK(api::JwtSignature(keys.front().key, token.substr(0, last)) ==
                    token.substr(last + 1));
  ALERTSTREAM_CHECK(claims.value().issuer == "alertstream");
  ALERTSTREAM_CHECK(!claims.value().subject.empty());
  ALERTSTREAM_CHECK(claims.value().expires_at_s > 1'700'000'100);
  return 0;
}

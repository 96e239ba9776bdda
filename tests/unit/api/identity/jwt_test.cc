// Access tokens: known ones, and everything that a token may not be.
#include "api/identity/jwt.h"

#include <chrono>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processor/base/base64.h"

namespace alertstream::api {
namespace {

using ::testing::HasSubstr;

const std::string kKeyText = "0123456789abcdef0123456789abcdef";
const std::vector<JwtKey> kKeys = {
    {.id = "", .key = HmacKey(kKeyText)},
    {.id = "k2", .key = HmacKey("another key of thirty-two bytes!")}};
constexpr std::int64_t kIssued = 1'700'000'000;
const std::string kToken =
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
    "eyJpc3MiOiJhbGVydHN0cmVhbSIsImF1ZCI6ImFsZXJ0c3RyZWFtLWFwaSIsInN1YiI6InVzZXJfMSIsInRlbmFudCI6"
    "InRfMSIsImlhdCI6MTcwMDAwMDAwMCwiZXhwIjoxNzAwMDAwOTAwfQ."
    "T8-8KRvVvP_CB2luMHzbyqWewLiMt2taCYsGDdSFCjA";

LogTime At(std::int64_t seconds) { return FromMicros(seconds * 1'000'000); }

Result<JwtClaims> Verify(const std::string& token, std::int64_t now_s = kIssued + 100,
                         std::string_view type = "JWT") {
  return VerifyJwt(
      token, kKeys,
      {.type = type, .issuer = "alertstream", .audience = "alertstream-api", .now = At(now_s)});
}

std::string Sign(const std::string& header, const std::string& claims) {
  const std::string input = ToBase64Url(header) + "." + ToBase64Url(claims);
  return input + "." + JwtSignature(kKeys.front().key, input);
}

const std::string kHeader = R"({"alg":"HS256","typ":"JWT"})";
const std::string kClaims =
    R"({"iss":"alertstream","aud":"alertstream-api","sub":"u","exp":1700000900})";

// RFC 7515, appendix A.1.
TEST(JwtTest, TheSignatureOfTheStandardIsMade) {
  const auto key = FromBase64Url(
      "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
  EXPECT_EQ(JwtSignature(HmacKey(*key),
                         "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
                         "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNv"
                         "bS9pc19yb290Ijp0cnVlfQ"),
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
}

TEST(JwtTest, AKnownTokenIsRead) {
  const auto claims = Verify(kToken);
  ASSERT_TRUE(claims.ok()) << claims.error().message();
  EXPECT_EQ(claims.value().subject, "user_1");
  EXPECT_EQ(claims.value().tenant, "t_1");
  EXPECT_EQ(claims.value().issued_at_s, kIssued);
  EXPECT_EQ(claims.value().expires_at_s, kIssued + 900);
  EXPECT_EQ(claims.value().scope, "");
}

TEST(JwtTest, WhatIsIssuedIsReadBack) {
  const JwtClaims issued = {.issuer = "alertstream",
                            .audience = "alertstream-api",
                            .subject = "usr_1",
                            .tenant = "acme",
                            .scope = "owner",
                            .session = "ses_1",
                            .id = "tok\"1",
                            .issued_at_s = kIssued,
                            .expires_at_s = kIssued + 900};
  const auto read = Verify(IssueJwt(issued, "at+jwt", kKeys[1]), kIssued, "at+jwt");
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_EQ(read.value().subject, issued.subject);
  EXPECT_EQ(read.value().tenant, issued.tenant);
  EXPECT_EQ(read.value().scope, issued.scope);
  EXPECT_EQ(read.value().session, issued.session);
  EXPECT_EQ(read.value().id, issued.id);
  EXPECT_EQ(read.value().expires_at_s, issued.expires_at_s);
}

TEST(JwtTest, ATokenIsGoodForItsTimeOnly) {
  EXPECT_TRUE(Verify(kToken, kIssued + 899).ok());
  EXPECT_THAT(Verify(kToken, kIssued + 900).error().message(), HasSubstr("exp"));
  EXPECT_TRUE(Verify(kToken, kIssued - 60).ok());
  EXPECT_THAT(Verify(kToken, kIssued - 61).error().message(), HasSubstr("iat"));
}

TEST(JwtTest, AnyOtherFormIsDenied) {
  const auto claims_with = [](const std::string& members) {
    return Sign(kHeader,
                R"({"iss":"alertstream","aud":"alertstream-api","sub":"u",)" + members + "}");
  };
  const std::string sub_and_exp = R"("sub":"u","exp":1700000900})";
  struct Case {
    std::string token;
    std::string why;
  };
  ASSERT_TRUE(Verify(Sign(kHeader, kClaims)).ok());
  const std::vector<Case> cases = {
      {"", "three parts"},
      {"a.b", "three parts"},
      {kToken + ".", "three parts"},
      {kToken + "." + kToken, "three parts"},
      {std::string(kJwtBytesMax + 1, 'a'), "three parts"},
      {" " + kToken, "base64url"},
      {"e30=.e30.x", "base64url"},
      {Sign("[]", kClaims), "base64url"},
      {Sign(R"({"alg":"HS256","alg":"HS256","typ":"JWT"})", kClaims), "base64url"},
      {Sign(R"({"typ":"JWT"})", kClaims), "alg"},
      {Sign(R"({"alg":"none","typ":"JWT"})", kClaims), "alg"},
      {Sign(R"({"alg":"hs256","typ":"JWT"})", kClaims), "alg"},
      {Sign(R"({"alg":"HS512","typ":"JWT"})", kClaims), "alg"},
      {Sign(R"({"alg":["HS256"],"typ":"JWT"})", kClaims), "alg"},
      {Sign(R"({"alg":"HS256"})", kClaims), "typ"},
      {Sign(R"({"alg":"HS256","typ":"rt+jwt"})", kClaims), "typ"},
      {Sign(R"({"alg":"HS256","typ":"JWT","crit":[]})", kClaims), "crit"},
      {Sign(R"({"alg":"HS256","typ":"JWT","kid":"k3"})", kClaims), "kid"},
      {Sign(R"({"alg":"HS256","typ":"JWT","kid":1})", kClaims), "kid"},
      {Sign(R"({"alg":"HS256","typ":"JWT","kid":"k2"})", kClaims), "signature"},
      {kToken.substr(0, kToken.size() - 1), "signature"},
      {kToken + "A", "signature"},
      {kToken.substr(0, kToken.rfind('.') + 1), "signature"},
      {Sign(kHeader, "null"), "base64url"},
      {Sign(kHeader, R"({"iss":"alertstream","iss":"alertstream"})"), "base64url"},
      {Sign(kHeader, R"({"iss":"alertstream",)" + sub_and_exp), "aud"},
      {Sign(kHeader, R"({"iss":"alertstream","aud":"x",)" + sub_and_exp), "aud"},
      {Sign(kHeader, R"({"iss":"alertstream","aud":[],)" + sub_and_exp), "aud"},
      {Sign(kHeader, R"({"iss":"alertstream","aud":["alertstream-api",1],)" + sub_and_exp), "aud"},
      {Sign(kHeader, R"({"aud":"alertstream-api",)" + sub_and_exp), "iss"},
      {Sign(kHeader, R"({"iss":"Alertstream","aud":"alertstream-api",)" + sub_and_exp), "iss"},
      {Sign(kHeader, R"({"iss":"alertstream","aud":"alertstream-api","exp":1700000900})"), "sub"},
      {claims_with(R"("tenant":7,"exp":1700000900)"), "tenant"},
      {claims_with(R"("jti":")" + std::string(257, 'a') + R"(","exp":1700000900)"), "jti"},
      {claims_with(R"("iat":1)"), "exp"},
      {claims_with(R"("exp":"1700000900")"), "exp"},
      {claims_with(R"("exp":1700000900.5)"), "exp"},
      {claims_with(R"("exp":1700000900,"nbf":1700000161)"), "nbf"},
      {claims_with(R"("exp":1700000900,"nbf":null)"), "nbf"},
      {claims_with(R"("exp":1700000900,"iat":1700000161)"), "iat"},
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const auto claims = Verify(cases[i].token);
    ASSERT_FALSE(claims.ok()) << i;
    EXPECT_EQ(claims.error().code(), ErrorCode::kDenied) << i;
    EXPECT_THAT(claims.error().message(), HasSubstr(cases[i].why)) << i;
  }
  EXPECT_TRUE(
      Verify(Sign(kHeader, R"({"iss":"alertstream","aud":["x","alertstream-api"],)" + sub_and_exp))
          .ok());
  EXPECT_TRUE(Verify(claims_with(R"("exp":1700000900,"nbf":1700000160)")).ok());
}

TEST(JwtTest, EveryByteOfTheTokenCounts) {
  for (std::size_t i = 0; i < kToken.size(); ++i) {
    std::string changed = kToken;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(Verify(changed).ok()) << i;
  }
}

}  // namespace
}  // namespace alertstream::api

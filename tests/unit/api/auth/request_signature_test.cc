#include "api/auth/request_signature.h"

#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream::api {
namespace {

using namespace std::string_literals;
using std::chrono::microseconds;
using std::chrono::seconds;
using testing::HasSubstr;

constexpr std::string_view kBody = R"({"event_type":"form_submit","data":{"value":1500}})";
constexpr std::int64_t kSignedAt = 1'700'000'000;
constexpr LogTime kNow{seconds(kSignedAt)};
const std::string kHex = "ccaeb3501ee7d62a1e87ded6d6c4b2b24d33c2d09ed259f0d4fd012d3bb02272";
const std::string kBodyOnlyHex = "05cb894376c1d44aeaa2161971842956cea3b8fddd4539e2a02ba2d5ba5b7619";
const std::string kOtherHex(64, '0');
const std::string kHeader = "t=1700000000,v1=" + kHex;

const std::vector<HmacKey>& Keys() {
  static const std::vector<HmacKey> keys = {HmacKey("ak_test_secret")};
  return keys;
}

Status Verify(std::string_view header, std::string_view body = kBody,
              const SignatureRules& rules = {.now = kNow}) {
  return VerifyRequestSignature(header, body, Keys(), rules);
}

TEST(RequestSignatureTest, TheVectorsAreAccepted) {
  EXPECT_TRUE(Verify(kHeader).ok());
  EXPECT_TRUE(Verify("sha256=" + kBodyOnlyHex, kBody, {.now = kNow, .allow_body_only = true}).ok());
  EXPECT_EQ(SignRequest(Keys().front(), kSignedAt, kBody), kHeader);
}

TEST(RequestSignatureTest, ABoundSignatureIsGoodForItsTargetAlone) {
  constexpr std::string_view kTarget = "POST./api/v1/triggers";
  const auto verify = [](std::string_view header, std::string_view target,
                         std::string_view body = kBody) {
    return Verify(header, body, {.now = kNow, .target = target});
  };
  const std::string bound = SignBoundRequest(Keys().front(), kSignedAt, kTarget, kBody);
  // HMAC-SHA256("ak_test_secret", "1700000000.POST./api/v1/triggers\n" + the body).
  EXPECT_EQ(bound,
            "t=1700000000,v2=70abe9343fd09a318a81674eed4f4b1bb8905436d76e758ab94d3123c57d6283");
  EXPECT_TRUE(verify(bound, kTarget).ok());
  for (const std::string_view other :
       {"PUT./api/v1/triggers", "POST./api/v1/triggers/x", "POST./api/v1/triggers?dry=1"}) {
    EXPECT_EQ(verify(bound, other).error().code(), ErrorCode::kDenied) << other;
  }
  EXPECT_EQ(verify(bound, kTarget, "{}").error().code(), ErrorCode::kDenied);
  // The boundary of target and body is signed.
  const std::string joined = SignBoundRequest(Keys().front(), kSignedAt, "DELETE./a", ".b");
  EXPECT_FALSE(verify(joined, "DELETE./a.b", "").ok());
  // A v1 goes on being good alone, and does not help a v2 that does not fit.
  EXPECT_TRUE(verify(kHeader, kTarget).ok());
  EXPECT_EQ(verify(kHeader + ",v2=" + kOtherHex, kTarget).error().code(), ErrorCode::kDenied);
  // Where no target is asked for, a v2 says nothing, and is not enough.
  EXPECT_TRUE(Verify(kHeader + ",v2=" + kOtherHex).ok());
  EXPECT_EQ(Verify(bound).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(Verify("v2=" + kOtherHex).error().code(), ErrorCode::kInvalid);
}

TEST(RequestSignatureTest, TheBodyIsTakenByteForByte) {
  for (const std::string& body : {""s, "\0"s, "\xff\xfe"s, std::string(1 << 20, '{')}) {
    const std::string header = SignRequest(Keys().front(), kSignedAt, body);
    EXPECT_TRUE(Verify(header, body).ok());
    EXPECT_FALSE(Verify(header, body + " ").ok());
  }
}

TEST(RequestSignatureTest, TheWindowIsOpenToBothSides) {
  struct Case {
    LogDuration after;
    bool expected;
  };
  constexpr Case kCases[] = {
      {seconds(0), true},       {seconds(300), true},  {seconds(300) + microseconds(1), false},
      {seconds(86'400), false}, {-seconds(300), true}, {-seconds(300) - microseconds(1), false},
  };
  for (const Case& c : kCases) {
    const Status status = Verify(kHeader, kBody, {.now = kNow + c.after});
    ASSERT_EQ(status.ok(), c.expected) << c.after.count();
    if (!c.expected) {
      EXPECT_EQ(status.error().code(), ErrorCode::kDenied);
      EXPECT_THAT(status.error().message(),
                  HasSubstr(c.after.count() > 0 ? "more than 300 s behind" : "300 s ahead of"));
    }
  }
  const LogTime start{seconds(1)};
  EXPECT_TRUE(Verify(SignRequest(Keys().front(), 0, kBody), kBody, {.now = start}).ok());
  EXPECT_TRUE(Verify(SignRequest(Keys().front(), 99'999'999'999, kBody), kBody,
                     {.now = LogTime(seconds(99'999'999'999))})
                  .ok());
}

TEST(RequestSignatureTest, AnySignatureAndAnyKeyMayFit) {
  const HmacKey old_key("ak_old_secret");
  const std::string old_header = SignRequest(old_key, kSignedAt, kBody);
  const std::string old_hex = old_header.substr(old_header.find("v1=") + 3);
  const std::string both = "t=1700000000,v1=" + old_hex + ",v1=" + kHex;
  EXPECT_TRUE(Verify(both).ok());
  EXPECT_TRUE(Verify("t=1700000000,v1=" + kHex + ",v1=" + old_hex).ok());
  EXPECT_FALSE(Verify(old_header).ok());
  const std::vector<HmacKey> keys = {HmacKey("ak_new_secret"), old_key};
  EXPECT_TRUE(VerifyRequestSignature(old_header, kBody, keys, {.now = kNow}).ok());
  EXPECT_FALSE(VerifyRequestSignature(kHeader, kBody, keys, {.now = kNow}).ok());
  EXPECT_FALSE(VerifyRequestSignature(kHeader, kBody, {}, {.now = kNow}).ok());
}

TEST(RequestSignatureTest, ItemsMayStandInAnyOrderWithSpaceAndNewerOnes) {
  for (const std::string& header :
       {"v1=" + kHex + ",t=1700000000", "t=1700000000, v1=" + kHex,
        " t=1700000000\t,v1=" + kHex + " ", "v0=what ever,t=1700000000,v1=" + kHex + ",v3=,x=y=z",
        "t=1700000000,v1=CCAEB3501EE7D62A1E87DED6D6C4B2B24D33C2D09ED259F0D4FD012D3BB02272"s}) {
    EXPECT_TRUE(Verify(header).ok()) << header;
  }
}

TEST(RequestSignatureTest, AnyChangeIsDenied) {
  struct Case {
    std::string header;
    std::string_view body;
  };
  const Case cases[] = {
      {"t=1700000001,v1=" + kHex, kBody},
      {"t=1700000000,v1=" + kOtherHex, kBody},
      {"t=1700000000,v1=" + kBodyOnlyHex, kBody},
      {kHeader, kBody.substr(1)},
      {kHeader, ""},
  };
  for (const Case& c : cases) {
    const Status status = Verify(c.header, c.body);
    ASSERT_FALSE(status.ok()) << c.header;
    EXPECT_EQ(status.error().code(), ErrorCode::kDenied);
    EXPECT_THAT(status.error().message(), HasSubstr("signing secret"));
  }
}

TEST(RequestSignatureTest, EveryBitOfASignatureCounts) {
  const std::string right = FromHex(kHex);
  for (std::size_t bit = 0; bit < right.size() * 8; ++bit) {
    std::string wrong = right;
    wrong[bit / 8] = static_cast<char>(wrong[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(Verify("t=1700000000,v1=" + ToHex(wrong)).ok()) << bit;
  }
}

TEST(RequestSignatureTest, ASignatureOfTheBodyAloneIsOffUnlessAllowed) {
  const std::string header = "sha256=" + kBodyOnlyHex;
  const Status off = Verify(header);
  ASSERT_FALSE(off.ok());
  EXPECT_EQ(off.error().code(), ErrorCode::kDenied);
  EXPECT_THAT(off.error().message(), HasSubstr("without a time is not allowed"));

  const SignatureRules allowed{.now = kNow, .allow_body_only = true};
  EXPECT_TRUE(Verify(header, kBody, {.now = LogTime(seconds(1)), .allow_body_only = true}).ok());
  EXPECT_TRUE(Verify(kHeader, kBody, allowed).ok());
  EXPECT_FALSE(Verify("sha256=" + kHex, kBody, allowed).ok());
  EXPECT_FALSE(Verify("t=1700000000,v1=" + kBodyOnlyHex, kBody, allowed).ok());
}

TEST(RequestSignatureTest, WhereOnlyBoundSignaturesCountNoOtherDoes) {
  const std::string target = SignedTarget("DELETE", "/api/v1/websites/shop", "x=1");
  EXPECT_EQ(target, "DELETE./api/v1/websites/shop?x=1");
  const SignatureRules rules{
      .now = kNow, .allow_body_only = true, .target = target, .bound_only = true};
  const std::string bound = SignBoundRequest(Keys().front(), kSignedAt, target, kBody);
  EXPECT_TRUE(Verify(bound, kBody, rules).ok());
  EXPECT_TRUE(Verify(kHeader + bound.substr(bound.find(',')), kBody, rules).ok()) << "beside a v1";
  const std::string elsewhere = SignBoundRequest(
      Keys().front(), kSignedAt, SignedTarget("DELETE", "/api/v1/websites/shop", ""), kBody);
  for (const std::string& header : {kHeader, "sha256=" + kBodyOnlyHex, elsewhere,
                                    kHeader + elsewhere.substr(elsewhere.find(','))}) {
    const Status status = Verify(header, kBody, rules);
    ASSERT_FALSE(status.ok()) << header;
    EXPECT_EQ(status.error().code(), ErrorCode::kDenied) << header;
  }
  EXPECT_THAT(Verify(kHeader, kBody, rules).error().message(), HasSubstr("v2: missing"));
}

TEST(RequestSignatureTest, AHeaderThatIsNoneIsInvalid) {
  struct Case {
    std::string header;
    std::string_view message;
  };
  const Case cases[] = {
      {"", "X-Signature: missing"},
      {std::string(kSignatureHeaderBytesMax + 1, 'a'), "longer than 1024 bytes"},
      {",", "expected items of the form name=value"},
      {kHeader + ",", "expected items of the form name=value"},
      {kHex, "expected items of the form name=value"},
      {"=1", "expected items of the form name=value"},
      {"v1=" + kHex, "t: missing"},
      {"T=1700000000,v1=" + kHex, "t: missing"},
      {"t=1700000000", "v1: missing"},
      {"t=1700000000,V1=" + kHex, "v1: missing"},
      {"t=1700000000,v0=" + kHex, "v1: missing"},
      {"t=1700000000,t=1700000000,v1=" + kHex, "t: given twice"},
      {"t=,v1=" + kHex, "t: expected a unix time"},
      {"t=-1,v1=" + kHex, "t: expected a unix time"},
      {"t=+1,v1=" + kHex, "t: expected a unix time"},
      {"t= 1,v1=" + kHex, "t: expected a unix time"},
      {"t=01,v1=" + kHex, "t: expected a unix time"},
      {"t=1700000000.0,v1=" + kHex, "t: expected a unix time"},
      {"t=170000000000,v1=" + kHex, "t: expected a unix time"},
      {"t=1700000000,v1=", "v1: expected 64 hexadecimal digits"},
      {"t=1700000000,v1=" + kHex.substr(2), "v1: expected 64 hexadecimal digits"},
      {"t=1700000000,v1=" + kHex + "00", "v1: expected 64 hexadecimal digits"},
      {"t=1700000000,v1=" + kHex.substr(1) + "g", "v1: expected 64 hexadecimal digits"},
      {"t=1700000000,v1=" + kHex + ",v1=" + kHex + ",v1=" + kHex + ",v1=" + kHex + ",v1=" + kHex,
       "more than 4 signatures"},
      {"sha256=" + kHex + ",t=1700000000", "sha256: has to stand alone"},
      {"sha256=" + kHex + ",v1=" + kHex, "sha256: has to stand alone"},
      {"sha256=" + kHex + ",sha256=" + kHex, "sha256: has to stand alone"},
  };
  for (const Case& c : cases) {
    const Status status = Verify(c.header, kBody, {.now = kNow, .allow_body_only = true});
    ASSERT_FALSE(status.ok()) << c.header;
    EXPECT_EQ(status.error().code(), ErrorCode::kInvalid) << c.header;
    EXPECT_THAT(status.error().message(), HasSubstr(c.message));
  }
}

TEST(RequestSignatureTest, AHeaderIsReadIntoItsParts) {
  const auto timed = ParseRequestSignature(kHeader + ",v1=" + kOtherHex);
  ASSERT_TRUE(timed.ok());
  EXPECT_EQ(timed.value().signed_at_s, kSignedAt);
  EXPECT_FALSE(timed.value().is_body_only);
  ASSERT_EQ(timed.value().count, 2U);
  EXPECT_EQ(ToHex(AsView(timed.value().digests[0])), kHex);
  EXPECT_EQ(timed.value().digests[1], Digest{});
  const auto body_only = ParseRequestSignature("sha256=" + kBodyOnlyHex);
  ASSERT_TRUE(body_only.ok());
  EXPECT_TRUE(body_only.value().is_body_only);
  EXPECT_EQ(body_only.value().count, 1U);
}

}  // namespace
}  // namespace alertstream::api

#include "processor/base/crypto.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace alertstream {
namespace {

std::string Hex(const Digest& digest) { return ToHex(AsView(digest)); }

// FIPS 180-4 examples, and the empty message.
TEST(Sha256, GivesTheKnownDigests) {
  struct Case {
    std::string message;
    const char* digest;
  };
  const std::vector<Case> cases = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {std::string(1'000'000, 'a'),
       "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(Hex(Sha256::Of(c.message)), c.digest);
    for (const std::size_t cut : {std::size_t{0}, c.message.size() / 3, c.message.size()}) {
      Sha256 hash;
      hash.Update(c.message.substr(0, cut)).Update(c.message.substr(cut));
      EXPECT_EQ(Hex(hash.Final()), c.digest) << "cut at " << cut;
    }
  }
}

TEST(Sha256, ACopyGoesOnFromWhereTheOriginalStood) {
  Sha256 first;
  first.Update("a");
  Sha256 second = first;
  first.Update("bc");
  second.Update("xyz");
  EXPECT_EQ(first.Final(), Sha256::Of("abc"));
  EXPECT_EQ(second.Final(), Sha256::Of("axyz"));
}

// RFC 4231 test cases; 5 is about truncation, which we do not do.
TEST(HmacKey, GivesTheKnownDigests) {
  struct Case {
    std::string key;
    std::string message;
    const char* digest;
  };
  const std::vector<Case> cases = {
      {std::string(20, '\x0b'), "Hi There",
       "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
      {"Jefe", "what do ya want for nothing?",
       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
      {std::string(20, '\xaa'), std::string(50, '\xdd'),
       "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
      {FromHex("0102030405060708090a0b0c0d0e0f10111213141516171819"), std::string(50, '\xcd'),
       "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
      {std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First",
       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
      {std::string(131, '\xaa'),
       "This is a test using a larger than block-size key and a larger than block-size data. The "
       "key needs to be hashed before being used by the HMAC algorithm.",
       "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
  };
  for (const Case& c : cases) {
    const HmacKey key(c.key);
    EXPECT_EQ(Hex(key.Sign(c.message)), c.digest);
    EXPECT_EQ(Hex(key.Sign(c.message)), c.digest) << "a key can be used again";
    auto mac = key.Begin();
    mac.Update(c.message.substr(0, 3)).Update(c.message.substr(3));
    EXPECT_EQ(Hex(mac.Final()), c.digest);
  }
}

TEST(ConstantTimeEqual, ComparesBytes) {
  EXPECT_TRUE(ConstantTimeEqual("", ""));
  EXPECT_TRUE(ConstantTimeEqual("abc", "abc"));
  EXPECT_FALSE(ConstantTimeEqual("abc", "abd"));
  EXPECT_FALSE(ConstantTimeEqual("xbc", "abc"));
  EXPECT_FALSE(ConstantTimeEqual("abc", "abcd"));
  EXPECT_FALSE(ConstantTimeEqual("", "a"));
}

TEST(Hex, GoesBothWays) {
  EXPECT_EQ(ToHex(std::string("\x00\x7f\xff", 3)), "007fff");
  EXPECT_EQ(FromHex("007fff"), std::string("\x00\x7f\xff", 3));
  EXPECT_EQ(FromHex("AbCd"), "\xab\xcd");
  for (const char* malformed : {"", "0", "0g", "00 ", "0x00"}) {
    EXPECT_EQ(FromHex(malformed), "") << malformed;
  }
}

TEST(RandomBytes, AreAsManyAsAskedForAndDiffer) {
  EXPECT_EQ(RandomBytes(0).size(), 0U);
  EXPECT_EQ(RandomBytes(16).size(), 16U);
  EXPECT_NE(RandomBytes(16), RandomBytes(16));
}

}  // namespace
}  // namespace alertstream

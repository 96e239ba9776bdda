// Secrets under a master key.
#include "processor/base/sealing.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "processor/base/crypto.h"

namespace alertstream {
namespace {

using Secret = Redacted<std::string>;

const Secret kOld(std::string(32, 'o'));
const Secret kNew(std::string(32, 'n'));

TEST(SealingTest, WhatIsSealedOpensWithItsContextOnly) {
  const Sealer sealer = Sealer::Make({kNew}).value();
  for (const std::string text : {"", "a", "a longer secret of a provider"}) {
    const std::string sealed = sealer.Seal(Secret(text), "api_keys/key_1");
    EXPECT_EQ(sealed.size(), text.size() + kSealedOverheadBytes);
    EXPECT_EQ(sealer.Open(sealed, "api_keys/key_1").value().Reveal(), text);
    const auto elsewhere = sealer.Open(sealed, "api_keys/key_2");
    ASSERT_FALSE(elsewhere.ok());
    EXPECT_EQ(elsewhere.error().code(), ErrorCode::kCorrupt);
  }
  EXPECT_NE(sealer.Seal(Secret("a"), ""), sealer.Seal(Secret("a"), ""));
}

TEST(SealingTest, EveryByteCounts) {
  const Sealer sealer = Sealer::Make({kNew}).value();
  const std::string sealed = sealer.Seal(Secret("secret"), "c");
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    std::string changed = sealed;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(sealer.Open(changed, "c").ok()) << i;
  }
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_FALSE(sealer.Open(sealed.substr(0, size), "c").ok()) << size;
  }
}

// McGrew and Viega, test case 16: a key of 256 bits, 60 bytes of text and 20 authenticated ones.
TEST(SealingTest, AKnownCiphertextOpens) {
  const std::string key =
      FromHex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
  const Sealer sealer = Sealer::Make({Secret(key)}).value();
  const std::string sealed = std::string(1, '\1') +
                             std::string(AsView(Sha256::Of(key)).substr(0, 4)) +
                             FromHex(
                                 "cafebabefacedbaddecaf888"
                                 "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                                 "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
                                 "76fc6ece0f4e1768cddf8853bb2d551b");
  const auto opened = sealer.Open(sealed, FromHex("feedfacedeadbeeffeedfacedeadbeefabaddad2"));
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(ToHex(opened.value().Reveal()),
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
            "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
}

TEST(SealingTest, AnOlderMasterKeyStillOpensAndIsOutdated) {
  const std::string sealed = Sealer::Make({kOld}).value().Seal(Secret("s"), "c");
  const Sealer both = Sealer::Make({kNew, kOld}).value();
  EXPECT_EQ(both.Open(sealed, "c").value().Reveal(), "s");
  EXPECT_TRUE(both.IsOutdated(sealed));
  EXPECT_FALSE(both.IsOutdated(both.Seal(Secret("s"), "c")));
  const auto foreign = Sealer::Make({kNew}).value().Open(sealed, "c");
  ASSERT_FALSE(foreign.ok());
  EXPECT_EQ(foreign.error().code(), ErrorCode::kDenied);
}

TEST(SealingTest, MasterKeysHaveTheirSize) {
  EXPECT_FALSE(Sealer::Make({}).ok());
  EXPECT_FALSE(Sealer::Make({Secret(std::string(31, 'a'))}).ok());
  EXPECT_FALSE(Sealer::Make(std::vector<Secret>(kMasterKeysMax + 1, kNew)).ok());
}

}  // namespace
}  // namespace alertstream

#include "ops/cli/token_key.h"

#include <sys/stat.h>

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/ops/cli/scratch_directory.h"

namespace alertstream::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(TokenKeyTest, HexAndBase64StandForTheSameBytes) {
  const std::string hex = "00ff10" + std::string(58, 'a');
  std::string bytes = {'\x00', '\xff', '\x10'};
  bytes += std::string(29, '\xaa');
  for (const std::string& text : {hex, std::string("AP8Qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo="),
                                  std::string("AP8Qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo")}) {
    const auto key = ParseTokenKey(text);
    ASSERT_TRUE(key.ok()) << text;
    EXPECT_EQ(key.value().Reveal(), bytes) << text;
  }
  const auto plain = ParseTokenKey("++//++//++//++//++//++//++//++//++//++//++8=");
  const auto url = ParseTokenKey("--__--__--__--__--__--__--__--__--__--__--8");
  ASSERT_TRUE(plain.ok());
  ASSERT_TRUE(url.ok());
  EXPECT_EQ(plain.value(), url.value());
}

TEST(TokenKeyTest, RefusesOtherTextsWithoutRepeatingThem) {
  for (const std::string& text :
       {std::string(), std::string("secret-secret"), std::string(63, 'a'), std::string(65, 'a'),
        std::string(64, 'g'), std::string(43, '!'),
        std::string("AP8Qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqp="),  // Bits after the end.
        std::string("AP8Qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqoo")}) {
    const auto key = ParseTokenKey(text);
    ASSERT_FALSE(key.ok()) << text;
    EXPECT_EQ(key.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(key.error().message(), HasSubstr("64 hexadecimal digits or as base64"));
    EXPECT_THAT(key.error().message(), Not(HasSubstr("secret")));
  }
}

TEST(TokenKeyTest, IsDrawnOnceAndKeptForItsOwner) {
  const ScratchDirectory scratch;
  const std::string data_dir = scratch / "new/data";
  const auto first = LoadOrCreateTokenKey(data_dir);
  ASSERT_TRUE(first.ok()) << first.error().message();
  EXPECT_EQ(first.value().Reveal().size(), kTokenKeyBytes);
  struct stat info {};
  ASSERT_EQ(::stat((data_dir + "/token.key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  const auto again = LoadOrCreateTokenKey(data_dir);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again.value(), first.value());
  const auto other = LoadOrCreateTokenKey(scratch / "other");
  ASSERT_TRUE(other.ok());
  EXPECT_FALSE(other.value() == first.value());
}

TEST(TokenKeyTest, RefusesAFileThatOthersCanReadOrThatHoldsNoKey) {
  const ScratchDirectory scratch;
  const std::string path = scratch.Write("token.key", std::string(64, 'a') + "\n");
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  const auto open = LoadOrCreateTokenKey(scratch.path());
  ASSERT_FALSE(open.ok());
  EXPECT_EQ(open.error().code(), ErrorCode::kDenied);
  EXPECT_THAT(open.error().message(), HasSubstr("chmod 600"));
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  EXPECT_TRUE(LoadOrCreateTokenKey(scratch.path()).ok());
  scratch.Write("token.key", "half");
  const auto half = LoadOrCreateTokenKey(scratch.path());
  ASSERT_FALSE(half.ok());
  EXPECT_EQ(half.error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(half.error().message(), HasSubstr("token.key: token_key: expected 32 bytes"));
}

TEST(TokenKeyTest, ADirectoryThatCannotBeMadeIsAnError) {
  const ScratchDirectory scratch;
  const std::string file = scratch.Write("file", "x");
  const auto key = LoadOrCreateTokenKey(file + "/below");
  ASSERT_FALSE(key.ok());
  EXPECT_EQ(key.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(key.error().message(), HasSubstr("cannot make"));
}

TEST(MasterKeysTest, TheFirstOfSeveralIsInForce) {
  const std::string one = std::string(64, 'a');
  const std::string two = std::string(64, 'b');
  const auto keys = ParseMasterKeys(one + "\n" + two + "\n");
  ASSERT_TRUE(keys.ok()) << keys.error().message();
  ASSERT_EQ(keys.value().size(), 2u);
  EXPECT_EQ(keys.value()[0].Reveal(), std::string(32, '\xaa'));
  EXPECT_EQ(keys.value()[1].Reveal(), std::string(32, '\xbb'));
}

TEST(MasterKeysTest, WhatIsNoKeyIsRefusedWithoutBeingRepeated) {
  const std::string key(64, 'a');
  for (const std::string& text :
       {std::string(), std::string("secret"), key + "\nsecret", key + "\n\n" + key,
        key + "\n" + key + "\n" + key + "\n" + key + "\n" + key}) {
    const auto keys = ParseMasterKeys(text);
    ASSERT_FALSE(keys.ok()) << text.size();
    EXPECT_EQ(keys.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(keys.error().message(), ::testing::Not(::testing::HasSubstr("secret")));
  }
}

}  // namespace
}  // namespace alertstream::cli

// Argon2id against known hashes, and what a changed cost or a changed row means.
#include "processor/base/password_hash.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream {
namespace {

using ::testing::HasSubstr;

const Redacted<std::string> kPassword(std::string("password"));
const std::string kP4 =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$PL01amPyeUuxG7H0vIr5X+qHkZvWnHmGBGXFYvh8z2E";
const std::string kP5 =
    "$argon2id$v=19$m=47104,t=1,p=1$c29tZXNhbHQ$mRa4cHF5TrDndRc2drxh4Q62lv/kwubYJcXfuYkp4yc";
// Of the reference implementation's own tests.
const std::string kP6 =
    "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

TEST(PasswordHashTest, TheVectorsAreMetBothWays) {
  struct Case {
    PasswordCost cost;
    std::string phc;
  };
  for (const Case& c :
       {Case{{19'456, 2, 1}, kP4}, Case{{47'104, 1, 1}, kP5}, Case{{65'536, 2, 1}, kP6}}) {
    EXPECT_EQ(HashPassword(kPassword, "somesalt", c.cost).value(), c.phc);
    const auto verdict = VerifyPassword(kPassword, c.phc, c.cost);
    ASSERT_TRUE(verdict.ok());
    EXPECT_TRUE(verdict.value().matches);
    EXPECT_FALSE(verdict.value().is_outdated);
  }
}

TEST(PasswordHashTest, AnotherPasswordDoesNotMatch) {
  for (const std::string other : {"", "Password", "password ", "passwor"}) {
    EXPECT_FALSE(VerifyPassword(Redacted(other), kP4, {}).value().matches) << other;
  }
}

TEST(PasswordHashTest, AHashOfAnotherCostMatchesAndIsOutdated) {
  const auto verdict = VerifyPassword(kPassword, kP5, {}).value();
  EXPECT_TRUE(verdict.matches);
  EXPECT_TRUE(verdict.is_outdated);
}

TEST(PasswordHashTest, WhatIsNoHashOfOursIsCorrupt) {
  const std::vector<std::string> texts = {
      "",
      "password",
      "$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$PL01amPyeUuxG7H0vIr5X+qHkZvWnHmGBGXFYvh8z2E",
      "$argon2id$v=19$m=999999999,t=2,p=1$c29tZXNhbHQ$PL01amPyeUuxG7H0vIr5X+qHkZvWnHmGBGXFYvh8z2E",
      "$argon2id$v=19$m=19456,t=0,p=1$c29tZXNhbHQ$PL01amPyeUuxG7H0vIr5X+qHkZvWnHmGBGXFYvh8z2E",
      "$argon2id$v=19$m=4,t=2,p=1$c29tZXNhbHQ$PL01amPyeUuxG7H0vIr5X+qHkZvWnHmGBGXFYvh8z2E",
      "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$PL01",
      "$argon2id$v=19$m=19456,t=2,p=1$c28$PL01amPyeUuxG7H0vIr5X+qHkZvWnHmGBGXFYvh8z2E",
      kP4.substr(0, kP4.size() - 44),
      kP4 + "$",
      kP4 + "=",
  };
  for (const std::string& text : texts) {
    const auto verdict = VerifyPassword(kPassword, text, {});
    ASSERT_FALSE(verdict.ok()) << text;
    EXPECT_EQ(verdict.error().code(), ErrorCode::kCorrupt);
    EXPECT_THAT(verdict.error().message(), HasSubstr("not one of Argon2id"));
  }
}

TEST(PasswordHashTest, LimitsHold) {
  const Redacted<std::string> longest(std::string(kPasswordBytesMax, 'a'));
  const Redacted<std::string> longer(std::string(kPasswordBytesMax + 1, 'a'));
  const PasswordCost cheap = {.memory_kib = 8, .passes = 1};
  EXPECT_TRUE(HashPassword(longest, "somesalt", cheap).ok());
  for (const auto& refused :
       {HashPassword(longer, "somesalt", cheap), HashPassword(longest, "short", cheap),
        HashPassword(longest, "somesalt", {.memory_kib = kPasswordMemoryKibMax + 1}),
        HashPassword(longest, "somesalt", {.passes = kPasswordPassesMax + 1})}) {
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code(), ErrorCode::kInvalid);
  }
}

}  // namespace
}  // namespace alertstream

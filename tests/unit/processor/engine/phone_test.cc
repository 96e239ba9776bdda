#include "processor/engine/phone.h"

#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream::engine {
namespace {

struct NormalCase {
  std::string_view raw;
  std::string_view e164;
};

TEST(PhoneTest, NormalizesInternationalNotation) {
  const NormalCase cases[] = {
      {"+254700000001", "+254700000001"},
      {"00254700000001", "+254700000001"},
      {"+254 700 000 001", "+254700000001"},
      {"  +254-700.000/001 ", "+254700000001"},
      {"(+254) 700000001", "+254700000001"},
      {"+254\xC2\xA0"
       "700\xC2\xA0"
       "000001",
       "+254700000001"},
      {"+1 (202) 555-0100", "+12025550100"},
      {"001 202 555 0100", "+12025550100"},
      {"+44 20 7946 0000", "+442079460000"},
      {"+7 912 345 67 89", "+79123456789"},
      {"+39 06 1234567", "+39061234567"},  // Italy keeps its leading zero.
      {"+49 151 23456789", "+4915123456789"},
      {"+882 1234567", "+8821234567"},
      {"+234 123 456 789 012", "+234123456789012"},  // Exactly 15 digits.
      {"+(20) 1001234567", "+201001234567"},
  };
  for (const auto& c : cases) {
    const auto result = NormalizePhone(c.raw);
    ASSERT_TRUE(result.ok()) << c.raw << ": " << result.error().message();
    EXPECT_EQ(result.value(), c.e164) << c.raw;
    const auto again = NormalizePhone(result.value());
    ASSERT_TRUE(again.ok()) << c.raw;
    EXPECT_EQ(again.value(), c.e164) << c.raw;
  }
}

struct RefusedCase {
  std::string_view raw;
  std::string_view reason;
};

// In order of precedence: length, beginning, characters, digit count, code, national length.
TEST(PhoneTest, RefusesWithAReason) {
  const std::string long_text = "+2547" + std::string(60, ' ');
  const RefusedCase cases[] = {
      {long_text, "longer than 64 bytes"},
      {"", "empty"},
      {" -() ", "empty"},
      {"0700000001", "no country code: numbers must begin with + or 00"},
      {"254700000001", "no country code: numbers must begin with + or 00"},
      {"0 0254700000001", "no country code: numbers must begin with + or 00"},
      {"tel:+254700000001", "contains a character that is none of digits"},
      {"+254x700000001", "contains a character that is none of digits"},
      {"++254700000001", "contains a character that is none of digits"},
      {"+254700000001;1", "contains a character that is none of digits"},
      {"+254\t700000001", "contains a character that is none of digits"},
      {"\xEF\xBC\x8B"
       "254700000001",
       "contains a character that is none of digits"},  // Full-width plus.
      {"+\xEF\xBC\x92"
       "54700000001",
       "contains a character that is none of digits"},  // Full-width 2.
      {"+254\xC2", "contains a character that is none of digits"},
      {"+254\xA0", "contains a character that is none of digits"},
      {"+44 (0) 20 7946 0000", "contains a national (0)"},
      {"+44( 0 )2079460000", "contains a national (0)"},
      {"+1234567890123456", "more than 15 digits"},
      {"+", "begins with no known country code"},
      {"00", "begins with no known country code"},
      {"+0254700000001", "begins with no known country code"},
      {"+2", "begins with no known country code"},
      {"+210123456", "begins with no known country code"},
      {"+999123456789", "begins with no known country code"},
      {"+1 555 0100", "country code +1 expects 10 digits, found 7"},
      {"+1", "country code +1 expects 10 digits, found 0"},
      {"+254 70000", "country code +254 expects 7 to 10 digits, found 5"},
      {"+44 02079460000", "country code +44 expects 7, 9 or 10 digits, found 11"},
      {"+7 912", "country code +7 expects 10 or 14 digits, found 3"},
  };
  for (const auto& c : cases) {
    const auto result = NormalizePhone(c.raw);
    ASSERT_FALSE(result.ok()) << c.raw;
    EXPECT_EQ(result.error().code(), ErrorCode::kInvalid) << c.raw;
    EXPECT_THAT(result.error().message(), testing::HasSubstr(c.reason)) << c.raw;
  }
}

TEST(PhoneTest, ReasonsDoNotQuoteTheNumber) {
  for (const std::string_view raw :
       {"+2547000000019999", "0700000001", "+25470000000x", "+25470"}) {
    const auto result = NormalizePhone(raw);
    ASSERT_FALSE(result.ok()) << raw;
    EXPECT_THAT(result.error().message(), testing::Not(testing::HasSubstr("70"))) << raw;
  }
}

TEST(PhoneTest, FindsTheMainRegionOfTheCountryCode) {
  const NormalCase cases[] = {
      {"+254700000001", "KE"},
      {"+12025550100", "US"},
      {"+14165550100", "US"},
      {"+442079460000", "GB"},
      {"+79123456789", "RU"},
      {"+393331234567", "IT"},
      {"+80012345678", ""},
      {"+8821234567", ""},
      {"+999123", ""},
      {"254700000001", ""},
      {"+", ""},
      {"+2x4", ""},
      {"", ""},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(PhoneRegion(c.raw), c.e164) << c.raw;
  }
}

TEST(PhoneTest, FindsTheCountryCode) {
  const auto kenya = FindPhoneCountry("+254700000001");
  ASSERT_TRUE(kenya.has_value());
  EXPECT_EQ(kenya->code, 254);
  const auto freephone = FindPhoneCountry("+80012345678");
  ASSERT_TRUE(freephone.has_value());
  EXPECT_EQ(freephone->code, 800);
  EXPECT_EQ(freephone->region, "");
  EXPECT_FALSE(FindPhoneCountry("+999").has_value());
}

}  // namespace
}  // namespace alertstream::engine

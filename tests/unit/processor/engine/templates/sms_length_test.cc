#include "processor/engine/templates/sms_length.h"

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream::engine {

void PrintTo(const SmsLength& length, std::ostream* out) {
  *out << (length.encoding == SmsEncoding::kGsm7 ? "gsm7 " : "ucs2 ") << length.units << " units "
       << length.segments << " segments";
}

namespace {

using enum SmsEncoding;

std::string Repeat(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) {
    all += text;
  }
  return all;
}

constexpr std::string_view kEuro = "\xE2\x82\xAC";
constexpr std::string_view kCyrillic = "\xD0\x96";
constexpr std::string_view kEmoji = "\xF0\x9F\x9A\x80";

struct LengthCase {
  std::string text;
  SmsLength length;
};

TEST(SmsLengthTest, CountsUnitsAndSegments) {
  const std::vector<LengthCase> cases = {
      {"", {kGsm7, 0, 0}},
      {"a", {kGsm7, 1, 1}},
      {Repeat("a", 160), {kGsm7, 160, 1}},
      {Repeat("a", 161), {kGsm7, 161, 2}},
      {Repeat("a", 306), {kGsm7, 306, 2}},
      {Repeat("a", 307), {kGsm7, 307, 3}},
      {Repeat("a", 1530), {kGsm7, 1530, 10}},
      {Repeat("a", 1531), {kGsm7, 1531, 11}},
      {Repeat(kCyrillic, 70), {kUcs2, 70, 1}},
      {Repeat(kCyrillic, 71), {kUcs2, 71, 2}},
      {Repeat(kCyrillic, 134), {kUcs2, 134, 2}},
      {Repeat(kCyrillic, 135), {kUcs2, 135, 3}},
      {Repeat("a", 70) + std::string(kCyrillic), {kUcs2, 71, 2}},
      {std::string(kCyrillic) + Repeat("a", 69), {kUcs2, 70, 1}},
  };
  for (const auto& c : cases) {
    const auto result = MeasureSms(c.text);
    ASSERT_TRUE(result.ok()) << c.text;
    EXPECT_EQ(result.value(), c.length) << c.text;
  }
}

TEST(SmsLengthTest, NeverSplitsACharacterBetweenSegments) {
  const std::string euro(kEuro);
  const std::string emoji(kEmoji);
  const std::vector<LengthCase> cases = {
      {Repeat(kEuro, 80), {kGsm7, 160, 1}},
      {Repeat(kEuro, 81), {kGsm7, 162, 2}},
      // 76 fill 152 of 153 septets: each segment leaves one unused.
      {Repeat(kEuro, 152), {kGsm7, 304, 2}},
      {Repeat(kEuro, 153), {kGsm7, 306, 3}},
      {Repeat("a", 152) + euro + Repeat("a", 151), {kGsm7, 305, 2}},
      {Repeat("a", 152) + euro + Repeat("a", 152), {kGsm7, 306, 3}},
      {Repeat("a", 151) + euro + Repeat("a", 153), {kGsm7, 306, 2}},
      {Repeat(kEmoji, 35), {kUcs2, 70, 1}},
      {Repeat(kEmoji, 36), {kUcs2, 72, 2}},
      // 33 fill 66 of 67 units.
      {Repeat(kEmoji, 66), {kUcs2, 132, 2}},
      {Repeat(kEmoji, 67), {kUcs2, 134, 3}},
      {Repeat(kCyrillic, 66) + emoji + Repeat(kCyrillic, 65), {kUcs2, 133, 2}},
      {Repeat(kCyrillic, 66) + emoji + Repeat(kCyrillic, 66), {kUcs2, 134, 3}},
  };
  for (const auto& c : cases) {
    const auto result = MeasureSms(c.text);
    ASSERT_TRUE(result.ok()) << c.text;
    EXPECT_EQ(result.value(), c.length) << c.text;
  }
}

struct CharacterCase {
  std::string_view character;
  SmsEncoding encoding;
  std::uint32_t units;
};

TEST(SmsLengthTest, KnowsTheAlphabet) {
  const CharacterCase cases[] = {
      {"@", kGsm7, 1},        {"$", kGsm7, 1},
      {"_", kGsm7, 1},        {"\n", kGsm7, 1},
      {"\r", kGsm7, 1},       {"'", kGsm7, 1},
      {"\xC2\xA3", kGsm7, 1},  // Pound.
      {"\xC2\xA5", kGsm7, 1},  // Yen.
      {"\xC3\xA8", kGsm7, 1},  // e grave.
      {"\xC3\xA9", kGsm7, 1},  // e acute.
      {"\xC3\x87", kGsm7, 1},  // C cedilla, capital.
      {"\xC3\xA7", kUcs2, 1},  // c cedilla, small: not in the alphabet.
      {"\xC3\xAA", kUcs2, 1},  // e circumflex.
      {"\xCE\x94", kGsm7, 1},  // Delta.
      {"\xCE\xA9", kGsm7, 1},  // Omega.
      {"\xCE\x91", kUcs2, 1},  // Alpha.
      {"\xC3\x9F", kGsm7, 1},  // Sharp s.
      {"\xC2\xBF", kGsm7, 1},  // Inverted question mark.
      {"\xC2\xA7", kGsm7, 1},  // Section sign.
      {"\xC3\xA0", kGsm7, 1},  // a grave.
      {"\xC3\xA1", kUcs2, 1},  // a acute.
      {"\f", kGsm7, 2},       {"^", kGsm7, 2},
      {"{", kGsm7, 2},        {"}", kGsm7, 2},
      {"\\", kGsm7, 2},       {"[", kGsm7, 2},
      {"~", kGsm7, 2},        {"]", kGsm7, 2},
      {"|", kGsm7, 2},        {kEuro, kGsm7, 2},
      {"`", kUcs2, 1},        {"\t", kUcs2, 1},
      {"\x1B", kUcs2, 1},                                  // The escape is no character.
      {"\x7F", kUcs2, 1},     {"\xE2\x80\x99", kUcs2, 1},  // Curly apostrophe.
      {"\xC2\xA0", kUcs2, 1},                              // No-break space.
      {kEmoji, kUcs2, 2},
  };
  for (const auto& c : cases) {
    const auto result = MeasureSms(c.character);
    ASSERT_TRUE(result.ok()) << c.character;
    EXPECT_EQ(result.value(), (SmsLength{c.encoding, c.units, 1})) << c.character;
  }
}

TEST(SmsLengthTest, EveryAsciiLetterAndDigitIsOneSeptet) {
  std::string all;
  for (char c = ' '; c < '`'; ++c) {
    if (std::string_view("[\\]^").find(c) == std::string_view::npos) {
      all += c;
    }
  }
  for (char c = 'a'; c <= 'z'; ++c) {
    all += c;
  }
  const auto result = MeasureSms(all);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result.value(), (SmsLength{kGsm7, static_cast<std::uint32_t>(all.size()), 1}));
}

TEST(SmsLengthTest, RefusesWhatIsNotUtf8) {
  for (const std::string_view text : {"\xFF", "abc\xC3", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80",
                                      "\xF4\x90\x80\x80", "\x80", "\xF0\x9F\x9A"}) {
    const auto result = MeasureSms(text);
    ASSERT_FALSE(result.ok()) << testing::PrintToString(text);
    EXPECT_EQ(result.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(result.error().message(), testing::HasSubstr("not valid UTF-8"));
  }
}

}  // namespace
}  // namespace alertstream::engine

#include "schemas/text.h"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace alertstream::schemas {
namespace {

using namespace std::string_view_literals;

struct Case {
  std::string_view text;
  bool expected;
};

void ExpectAll(bool (*accepts)(std::string_view), const std::vector<Case>& cases) {
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(accepts(text), expected) << "'" << text << "'";
  }
}

TEST(TextTest, EventTypesAreNamesWithDotsColonsSlashes) {
  ExpectAll(IsEventType, {{"payment.failed", true},
                          {"com.github.pull_request:opened/V2-x", true},
                          {"a", true},
                          {"", false},
                          {"a b", false},
                          {"a\0"sv, false},
                          {"a\n", false},
                          {"zahlung.fällig", false},
                          {"a#", false},
                          {"a@b", false},
                          {"[a]", false},
                          {"{a}", false}});
}

TEST(TextTest, EntityIdsAreLowerCase) {
  ExpectAll(IsEntityId, {{"payment-failed_2", true},
                         {"0", true},
                         {"", false},
                         {"Payment", false},
                         {"a.b", false},
                         {"a/b", false},
                         {"a\0b"sv, false}});
}

TEST(TextTest, SiteIdsMayBeHostNames) {
  ExpectAll(IsSiteId, {{"shop.example.com", true},
                       {"Shop_1", true},
                       {"", false},
                       {"shop:80", false},
                       {"shop/a", false}});
}

TEST(TextTest, ControlCharactersAreFound) {
  ExpectAll(HasNoControls, {{"", true},
                            {"plain äöü \x80", true},
                            {"a\0b"sv, false},
                            {"a\tb", false},
                            {"\x1f", false},
                            {"a\x7f", false}});
  ExpectAll(HasNoNul, {{"a\n\t", true}, {"", true}, {"a\0"sv, false}});
}

// Whole words of eight bytes are looked at in another way than the rest.
TEST(TextTest, EveryControlCharacterIsFoundAtEveryPlace) {
  for (int c = 0; c < 256; ++c) {
    for (std::size_t place = 0; place < 19; ++place) {
      for (const char filler : {' ', '~', '\x80', '\xff'}) {
        std::string text(19, filler);
        text[place] = static_cast<char>(c);
        ASSERT_EQ(HasNoControls(text), c >= 0x20 && c != 0x7f) << c << " at " << place;
      }
    }
  }
}

TEST(TextTest, Utf8IsWellFormed) {
  ExpectAll(IsUtf8, {{"", true},
                     {"ASCII \x7f", true},
                     {"\xc2\x80", true},
                     {"\xdf\xbf", true},
                     {"\xe0\xa0\x80", true},
                     {"\xed\x9f\xbf", true},
                     {"\xee\x80\x80", true},
                     {"\xf0\x90\x80\x80", true},
                     {"\xf4\x8f\xbf\xbf", true},
                     {"\x80", false},              // A continuation alone.
                     {"\xc0\x80", false},          // Overlong NUL.
                     {"\xc1\xbf", false},          // Overlong.
                     {"\xe0\x9f\xbf", false},      // Overlong.
                     {"\xed\xa0\x80", false},      // A surrogate.
                     {"\xf0\x8f\xbf\xbf", false},  // Overlong.
                     {"\xf4\x90\x80\x80", false},  // Above U+10FFFF.
                     {"\xf5\x80\x80\x80", false},
                     {"a\xc2", false},  // Cut short.
                     {"a\xe2\x82", false},
                     {"a\xf0\x9f\x98", false},
                     {"\xc3\x28", false},
                     {"\xe2\x28\xa1", false},
                     {"\xe2\x82\x28", false},
                     {"\xff", false}});
}

TEST(TextTest, TraceparentIsThatOfVersionZero) {
  ExpectAll(IsTraceparent, {{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true},
                            {"00-00000000000000000000000000000000-00f067aa0ba902b7-01", false},
                            {"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false},
                            {"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false},
                            {"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false},
                            {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g", false},
                            {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x", false},
                            {"00-4bf92f3577b34da6a3ce929d0e0e4736x00f067aa0ba902b7-01", false},
                            {"", false}});
}

TEST(TextTest, CaseIsIgnoredInAsciiOnly) {
  EXPECT_TRUE(EqualsIgnoringCase("Content-TYPE", "content-type"));
  EXPECT_FALSE(EqualsIgnoringCase("content-typ", "content-type"));
  EXPECT_FALSE(EqualsIgnoringCase("\xc3\x84", "\xc3\xa4"));
  EXPECT_FALSE(EqualsIgnoringCase("a@", "a`"));
  EXPECT_TRUE(StartsWithIgnoringCase("Application/JSON; x", "application/json"));
  EXPECT_FALSE(StartsWithIgnoringCase("app", "application"));
}

}  // namespace
}  // namespace alertstream::schemas

#include "processor/base/base64.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace alertstream {
namespace {

using namespace std::string_view_literals;

struct Pair {
  std::string_view bytes;
  std::string_view text;
};

// RFC 4648, section 10, and bytes that use the whole alphabet.
constexpr Pair kPairs[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\0"sv, "AA=="},
    {"\xff\xff\xff"sv, "////"},
    {"\xfb\xef\xbe"sv, "++++"},
    {"\x14\xfb\x9c\x03\xd9\x7e"sv, "FPucA9l+"},
};

TEST(Base64Test, GoesThereAndBack) {
  for (const Pair& pair : kPairs) {
    EXPECT_EQ(ToBase64(pair.bytes), pair.text);
    EXPECT_EQ(FromBase64(pair.text), std::string(pair.bytes)) << pair.text;
  }
}

TEST(Base64Test, EveryByteInEveryPlaceComesBack) {
  for (int byte = 0; byte < 256; ++byte) {
    for (std::size_t place = 0; place < 4; ++place) {
      std::string bytes(4, '\x5a');
      bytes[place] = static_cast<char>(byte);
      EXPECT_EQ(FromBase64(ToBase64(bytes)), bytes);
    }
  }
}

TEST(Base64Test, RefusesWhatIsNotTheOneFormOfTheBytes) {
  constexpr std::string_view kTexts[] = {"Zg",        "Zg=",  "Z===", "====",    "=",
                                         "Zg==Zg==",  "Zh==", "Zm9=", "Zm9v\n",  " Zm9v",
                                         "Zm9v Zm9v", "Zm-v", "Zm_v", "Z\0g="sv, "Zm9v="};
  for (const std::string_view text : kTexts) {
    EXPECT_EQ(FromBase64(text), std::nullopt) << text;
  }
}

TEST(Base64UrlTest, TokensHaveAnAlphabetOfTheirOwnAndNoPadding) {
  EXPECT_EQ(ToBase64Url(""), "");
  EXPECT_EQ(ToBase64Url("\xfb\xff"), "-_8");
  EXPECT_EQ(FromBase64Url("-_8"), "\xfb\xff");
  EXPECT_EQ(FromBase64Url(""), "");
  for (const std::string_view text : {"-_8=", "+/8", "a", "-_9", "ab c", "ab\n"}) {
    EXPECT_EQ(FromBase64Url(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace alertstream

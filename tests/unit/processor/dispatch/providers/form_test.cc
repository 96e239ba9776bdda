#include "processor/dispatch/providers/form.h"

#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace alertstream::dispatch {
namespace {

using namespace std::string_view_literals;
using testing::HasSubstr;
using testing::Not;

TEST(FormTest, EncodesAsTheUrlStandardDoes) {
  EXPECT_EQ(EncodeForm({}), "");
  struct Case {
    std::string_view value;
    std::string_view encoded;
  };
  constexpr Case kCases[] = {
      {"", "v="},
      {"azAZ09*-._", "v=azAZ09*-._"},
      {"a b", "v=a+b"},
      {"+14158675310", "v=%2B14158675310"},
      {"a&b=c%", "v=a%26b%3Dc%25"},
      {"!'()~/?:@", "v=%21%27%28%29%7E%2F%3F%3A%40"},
      {"ol\xC3\xA9 \xF0\x9F\x91\x8D", "v=ol%C3%A9+%F0%9F%91%8D"},
      {"\r\n\0"sv, "v=%0D%0A%00"},
  };
  for (const Case& c : kCases) {
    const FormField field{"v", std::string(c.value)};
    EXPECT_EQ(EncodeForm({&field, 1}), c.encoded);
  }
}

TEST(FormTest, FieldsKeepTheirOrderAndTheirRepetitions) {
  const Form fields = {{"To", "+1"}, {"MediaUrl", "b"}, {"MediaUrl", "a"}, {"a b", "&"}};
  const std::string text = "To=%2B1&MediaUrl=b&MediaUrl=a&a+b=%26";
  EXPECT_EQ(EncodeForm(fields), text);
  const auto decoded = DecodeForm(text);
  ASSERT_TRUE(decoded.ok()) << decoded.error().message();
  EXPECT_EQ(decoded.value(), fields);
}

TEST(FormTest, EveryByteComesBack) {
  std::string value;
  for (int c = 0; c < 128; ++c) {
    value.push_back(static_cast<char>(c));
  }
  const FormField field{value, value + "\xC3\xBF"};
  const auto decoded = DecodeForm(EncodeForm({&field, 1}));
  ASSERT_TRUE(decoded.ok()) << decoded.error().message();
  EXPECT_EQ(decoded.value(), Form{field});
}

TEST(FormTest, DecodesWhatOtherEncodersWrite) {
  struct Case {
    std::string_view text;
    Form fields;
  };
  const Case cases[] = {
      {"", {}},
      {"a=", {{"a", ""}}},
      {"a=b=c", {{"a", "b=c"}}},
      {"a=%2b%2B", {{"a", "++"}}},
      {"a=1+2%202", {{"a", "1 2 2"}}},
      {"a=!'()~/?:@;,$[]", {{"a", "!'()~/?:@;,$[]"}}},
      {"a=1&a=2", {{"a", "1"}, {"a", "2"}}},
  };
  for (const Case& c : cases) {
    const auto decoded = DecodeForm(c.text);
    ASSERT_TRUE(decoded.ok()) << c.text << ": " << decoded.error().message();
    EXPECT_EQ(decoded.value(), c.fields) << c.text;
  }
}

TEST(FormTest, ErrorsNameTheFieldAndTheRule) {
  struct Case {
    std::string text;
    std::string_view message;
  };
  const Case cases[] = {
      {"a", "form field 1: is not of the form name=value"},
      {"a=1&", "form field 2: is not of the form name=value"},
      {"&a=1", "form field 1: is not of the form name=value"},
      {"a=1&&b=2", "form field 2: is not of the form name=value"},
      {"a=1&=2", "form field 2: has no name"},
      {"a=1&Body=%", "form field 2 (Body): the value has a % without two hexadecimal digits"},
      {"Body=%4", "form field 1 (Body): the value has a % without two hexadecimal digits"},
      {"Body=%4g", "form field 1 (Body): the value has a % without two hexadecimal digits"},
      {"Body=%g4", "form field 1 (Body): the value has a % without two hexadecimal digits"},
      {"Body=%4&a=1", "form field 1 (Body): the value has a % without two hexadecimal digits"},
      {"%zz=1", "form field 1: the name has a % without two hexadecimal digits"},
      {"Body=a b", "form field 1 (Body): the value has a byte that has to be written as %XX"},
      {"Body=a\n", "form field 1 (Body): the value has a byte that has to be written as %XX"},
      {"Body=\xC3\xA9", "form field 1 (Body): the value has a byte that has to be written as %XX"},
      {"Body=%C3", "form field 1 (Body): the value is no UTF-8"},
      {"Body=%ED%A0%80", "form field 1 (Body): the value is no UTF-8"},
      {"%FF=1", "form field 1: the name is no UTF-8"},
      {std::string(kFormNameBytesMax + 1, 'a') + "=1",
       "form field 1: the name is longer than 128 bytes"},
      {"Body=" + std::string(kFormValueBytesMax + 1, 'a'),
       "form field 1 (Body): the value is longer than 65536 bytes"},
      {std::string(kFormBytesMax + 1, 'a'), "form: longer than 1048576 bytes"},
  };
  for (const Case& c : cases) {
    const auto decoded = DecodeForm(c.text);
    ASSERT_FALSE(decoded.ok()) << c.message;
    EXPECT_EQ(decoded.error().code(), ErrorCode::kInvalid);
    EXPECT_EQ(decoded.error().message(), c.message);
  }
}

TEST(FormTest, LimitsAreOnWhatIsDecoded) {
  std::string text = std::string(kFormNameBytesMax, 'a') + "=";
  for (std::size_t i = 0; i < kFormValueBytesMax; ++i) {
    text += "%61";
  }
  EXPECT_TRUE(DecodeForm(text).ok());

  std::string fields = "a=";
  for (std::size_t i = 1; i < kFormFieldsMax; ++i) {
    fields += "&a=";
  }
  EXPECT_TRUE(DecodeForm(fields).ok());
  const auto decoded = DecodeForm(fields + "&a=");
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.error().message(), "form: more than 256 fields");
}

TEST(FormTest, ErrorsShowNothingThatMayBePersonal) {
  for (const std::string_view text : {"%2B15551234567=%", "15551234567=%", "see you at 5=%",
                                      "call+me%21=%", "To=%2B15551234567%"}) {
    const auto decoded = DecodeForm(text);
    ASSERT_FALSE(decoded.ok()) << text;
    EXPECT_THAT(decoded.error().message(), Not(HasSubstr("1555")));
    EXPECT_THAT(decoded.error().message(), Not(HasSubstr("you")));
    EXPECT_THAT(decoded.error().message(), Not(HasSubstr("me!")));
  }
}

}  // namespace
}  // namespace alertstream::dispatch

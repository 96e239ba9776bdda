#include "schemas/json.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/schemas/allocation_count.h"

namespace alertstream::schemas {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::string_literals;

// The text of `bytes` after one reading, or the message of the refusal.
std::string Reread(std::string_view bytes) {
  JsonDocument document;
  const auto status = document.Parse(bytes);
  if (!status.ok()) {
    EXPECT_EQ(status.error().code(), ErrorCode::kInvalid) << bytes;
    return status.error().message();
  }
  std::string text;
  AppendJson(document.root(), &text);
  return text;
}

std::string Repeat(std::string_view unit, std::size_t times) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i) {
    text += unit;
  }
  return text;
}

std::string Members(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    text += "\"m" + std::to_string(i) + "\":0,";
  }
  return text;
}

struct TextCase {
  std::string bytes;
  std::string expected;
};

TEST(JsonTest, AcceptsWhatTheProfileAllows) {
  const std::vector<TextCase> cases = {
      // Values and white space.
      {"null", "null"},
      {"true", "true"},
      {"false", "false"},
      {" \t\r\n1 \t\r\n", "1"},
      {"[]", "[]"},
      {"{}", "{}"},
      {" [ ] ", "[]"},
      {" { } ", "{}"},
      {"[1,\n2 ,3]", "[1,2,3]"},
      {R"([[],{},[[]],{"a":[]}])", R"([[],{},[[]],{"a":[]}])"},
      {R"({ "a" : 1 , "b" : { "c" : null } })", R"({"a":1,"b":{"c":null}})"},
      {R"({"z":1,"a":2,"m":3})", R"({"z":1,"a":2,"m":3})"},
      {R"({"":0})", R"({"":0})"},
      {R"({"a":{"a":{"a":1}}})", R"({"a":{"a":{"a":1}}})"},
      {R"([{"a":1},{"a":1}])", R"([{"a":1},{"a":1}])"},
      // Integers: every literal without fraction and exponent within int64.
      {"0", "0"},
      {"-0", "0"},
      {"-1", "-1"},
      {"9223372036854775807", "9223372036854775807"},
      {"-9223372036854775808", "-9223372036854775808"},
      // Doubles: all other numbers.
      {"9223372036854775808", "9223372036854775808.0"},
      {"-9223372036854775809", "-9223372036854775808.0"},
      {"18446744073709551616", "18446744073709551616.0"},
      {"100000000000000000000000", "1e+23"},
      {"1.0", "1.0"},
      {"-0.0", "-0.0"},
      {"0.1", "0.1"},
      {"1e2", "100.0"},
      {"1E+2", "100.0"},
      {"123.456e-2", "1.23456"},
      {"0e0", "0.0"},
      {"0e999999999999999999999", "0.0"},
      {"0.0e-99999999999999999999", "0.0"},
      {"1.7976931348623157e308", "1.7976931348623157e+308"},
      {"4.9e-324", "5e-324"},
      {"2.2250738585072011e-308", "2.225073858507201e-308"},
      {"1e-400", "0.0"},
      {"-1e-400", "-0.0"},
      {"123e-99999999999999999999999", "0.0"},
      {"0." + Repeat("0", 400) + "1", "0.0"},
      {"0." + Repeat("0", 400) + "1e401", "1.0"},
      {"1" + Repeat("0", 400) + "e-400", "1.0"},
      {"0.3333333333333333333333333333333333333333", "0.3333333333333333"},
      // Strings.
      {R"("")", R"("")"},
      {R"("\"\\\/\b\f\n\r\t")", R"("\"\\/\b\f\n\r\t")"},
      {R"("\u0001\u001F\u007f")", "\"\\u0001\\u001f\x7f\""},
      {R"("\u000b")", R"("\u000b")"},
      {R"("\u00e9\u20AC\uD834\udd1e")", "\"\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e\""},
      {R"("\u0061\u0022\u005c")", R"("a\"\\")"},
      {"\"\xc3\xa9\xf4\x8f\xbf\xbf\xef\xbf\xbf\x7f\"",
       "\"\xc3\xa9\xf4\x8f\xbf\xbf\xef\xbf\xbf\x7f\""},
      {R"("\ud800\udc00\udbff\udfff")", "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""},
      {R"("\\u0000")", R"("\\u0000")"},
      {R"(["\\","\\\\","\\\""])", R"(["\\","\\\\","\\\""])"},
      {R"("a long plain run, then \n and another long plain run")",
       R"("a long plain run, then \n and another long plain run")"},
      {R"("[1,2]{}:,")", R"("[1,2]{}:,")"},
      {R"({"\u0061\n":1})", R"({"a\n":1})"},
      // Limits, just kept.
      {Repeat("[", 32) + Repeat("]", 32), Repeat("[", 32) + Repeat("]", 32)},
      {Repeat("{\"a\":", 31) + "{}" + Repeat("}", 31),
       Repeat("{\"a\":", 31) + "{}" + Repeat("}", 31)},
  };
  for (const auto& item : cases) {
    const std::string text = Reread(item.bytes);
    EXPECT_EQ(text, item.expected) << item.bytes;
    EXPECT_EQ(Reread(text), text) << item.bytes;
  }
}

struct RefusalCase {
  std::string bytes;
  std::string message;  // After "json: ".
};

void ExpectRefusals(const std::vector<RefusalCase>& cases) {
  for (const auto& item : cases) {
    EXPECT_EQ(Reread(item.bytes), "json: " + item.message) << item.bytes.substr(0, 200);
  }
}

TEST(JsonTest, RefusesMalformedStructure) {
  ExpectRefusals({
      {"", "a value is expected at byte 0"},
      {" \n", "a value is expected at byte 2"},
      {"\xef\xbb\xbf{}", "a byte order mark is not allowed at byte 0"},
      {"\xef\xbb\xbf", "a byte order mark is not allowed at byte 0"},
      {"\xff\xfe{\0}\0"s, "invalid UTF-8 at byte 0"},
      {"\f[]", "a value is expected at byte 0"},
      {"[", "a value is expected at byte 1, in /0"},
      {"[1", "',' or ']' is expected at byte 2"},
      {"[1,", "a value is expected at byte 3, in /1"},
      {"[1,]", "a value is expected at byte 3, in /1"},
      {"[,1]", "a value is expected at byte 1, in /0"},
      {"[1,,2]", "a value is expected at byte 3, in /1"},
      {"[1 2]", "',' or ']' is expected at byte 3"},
      {"[1}", "',' or ']' is expected at byte 2"},
      {"[1:2]", "',' or ']' is expected at byte 2"},
      {R"(["a":1])", "',' or ']' is expected at byte 4"},
      {R"(["a" "b"])", "',' or ']' is expected at byte 5"},
      {R"(["a"b])", "',' or ']' is expected at byte 4"},
      {"[[1]2]", "',' or ']' is expected at byte 4"},
      {"[[1]", "',' or ']' is expected at byte 4"},
      {"[[1],[2]", "',' or ']' is expected at byte 8"},
      {"[1]]", "bytes follow the value at byte 3"},
      {"[1],", "bytes follow the value at byte 3"},
      {"[1] x", "bytes follow the value at byte 4"},
      {"[1]\0"s, "bytes follow the value at byte 3"},
      {"{}{}", "bytes follow the value at byte 2"},
      {"1 2", "bytes follow the value at byte 2"},
      {"1,", "bytes follow the value at byte 1"},
      {"1]", "bytes follow the value at byte 1"},
      {R"("a""b")", "bytes follow the value at byte 3"},
      {"true false", "bytes follow the value at byte 5"},
      {"]", "a value is expected at byte 0"},
      {",", "a value is expected at byte 0"},
      {":", "a value is expected at byte 0"},
      {"{", "a member name is expected at byte 1"},
      {"{]", "a member name is expected at byte 1"},
      {"{,}", "a member name is expected at byte 1"},
      {"{1:1}", "a member name is expected at byte 1"},
      {"{a:1}", "a member name is expected at byte 1"},
      {"{'a':1}", "a member name is expected at byte 1"},
      {R"({"a")", "':' is expected at byte 4"},
      {R"({"a"})", "':' is expected at byte 4"},
      {R"({"a" 1})", "':' is expected at byte 5"},
      {R"({"a\"b",1})", "':' is expected at byte 7"},
      {R"({"a":)", "a value is expected at byte 5, in /a"},
      {R"({"a":})", "a value is expected at byte 5, in /a"},
      {R"({"a"::1})", "a value is expected at byte 5, in /a"},
      {R"({"a":1)", "',' or '}' is expected at byte 6"},
      {R"({"a":1])", "',' or '}' is expected at byte 6"},
      {R"({"a":1 "b":2})", "',' or '}' is expected at byte 7"},
      {R"({"a":"b":"c"})", "',' or '}' is expected at byte 8"},
      {R"({"a":[1]"b":2})", "',' or '}' is expected at byte 8"},
      {R"({"a":1,})", "a member name is expected at byte 7"},
      {R"({"a":1,,"b":2})", "a member name is expected at byte 7"},
      {R"({"a":1, "b" 2})", "':' is expected at byte 12"},
      {R"({"a":{"b":[0,{"c" 1}]}})", "':' is expected at byte 18, in /a/b/1"},
      {"[1,/* no */2]", "a value is expected at byte 3, in /1"},
      {"[\xc3\xa9]", "a value is expected at byte 1, in /0"},
      {"[\\n]", "a backslash outside a string at byte 1"},
      {"\\u005b1]", "a backslash outside a string at byte 0"},
      {R"([\"a"])", "a backslash outside a string at byte 1"},
      {R"({"a":1 "b\"":"c" \})", "a backslash outside a string at byte 17"},
  });
}

TEST(JsonTest, RefusesMalformedLiteralsAndNumbers) {
  std::vector<RefusalCase> cases;
  for (const auto* text : {"nul", "nulll", "Null", "NULL", "tru", "truee", "True", "fals", "falsey",
                           "true\"a\"", "undefined", "NaN", "Infinity", "+1", ".5", "'a'", "#"}) {
    cases.push_back({text, "a value is expected at byte 0"});
    cases.push_back({"["s + text + "]", "a value is expected at byte 1, in /0"});
  }
  for (const auto* text : {"-",      "--1",   "-a",    "01",   "-01",        "00",           "1.",
                           "1.e1",   "-.5",   "1e",    "1e+",  "1E-",        "1e1.5",        "0x1",
                           "1a",     "1_000", "1.2.3", "1-",   "1+1",        "-Infinity",    "-NaN",
                           "1\"a\"", "0e",    "1ee2",  "1.5f", "12\xc3\xa9", "1\xef\xbc\x91"}) {
    cases.push_back({text, "malformed number at byte 0"});
    cases.push_back({"["s + text + "]", "malformed number at byte 1, in /0"});
  }
  cases.push_back({"1\0"s, "malformed number at byte 0"});
  cases.push_back({"true\0"s, "a value is expected at byte 0"});
  cases.push_back({"[1\f]", "malformed number at byte 1, in /0"});
  ExpectRefusals(cases);
}

TEST(JsonTest, RefusesNumbersBeyondDouble) {
  const std::string rule = "the number is too large for a double at byte 5, in /a";
  for (const auto& literal :
       {"1e309"s, "-1e309"s, "1.8e308"s, "1e99999999999999999999"s, "0.01e400"s,
        "9e9223372036854775807"s, "1" + Repeat("0", 309), "123" + Repeat("0", 400) + ".5e-10"}) {
    EXPECT_EQ(Reread("{\"a\":" + literal + "}"), "json: " + rule) << literal;
  }
}

TEST(JsonTest, RefusesMalformedStrings) {
  ExpectRefusals({
      {R"(")", "the string does not end at byte 0"},
      {R"(["abc)", "the string does not end at byte 1"},
      {R"(["abc\"])", "the string does not end at byte 1"},
      {R"(["a","b)", "the string does not end at byte 5"},
      {"[\"a\x01z\"]", "a control character in a string must be escaped at byte 3"},
      {"[\"\n\"]", "a control character in a string must be escaped at byte 2"},
      {"[\"\\\\\t\"]", "a control character in a string must be escaped at byte 4"},
      {"\"\0\""s, "a control character in a string must be escaped at byte 1"},
      {"{\"a\x1f\":1}", "a control character in a string must be escaped at byte 3"},
      {R"(["a\x"])", "unknown escape at byte 3, in /0"},
      {R"(["\'"])", "unknown escape at byte 2, in /0"},
      {R"(["\U0041"])", "unknown escape at byte 2, in /0"},
      {"[\"\\\xc3\xa9\"]", "unknown escape at byte 2, in /0"},
      {"[\"\\\0\"]"s, "a control character in a string must be escaped at byte 3"},
      {R"(["\u"])", "malformed \\u escape at byte 2, in /0"},
      {R"(["\u12"])", "malformed \\u escape at byte 2, in /0"},
      {R"(["\u12G4"])", "malformed \\u escape at byte 2, in /0"},
      {R"(["\u-123"])", "malformed \\u escape at byte 2, in /0"},
      {R"(["\u+123"])", "malformed \\u escape at byte 2, in /0"},
      {R"(["\u 123"])", "malformed \\u escape at byte 2, in /0"},
      {R"(["\u0x1F"])", "malformed \\u escape at byte 2, in /0"},
      {R"(["\u0000"])", "U+0000 is not allowed at byte 2, in /0"},
      {R"({"a\u0000":1})", "U+0000 is not allowed at byte 3"},
      {R"({"o":{"a":1,"\q":2}})", "unknown escape at byte 13, in /o"},
      {R"(["\ud800"])", "a lone surrogate is not allowed at byte 2, in /0"},
      {R"(["\udc00"])", "a lone surrogate is not allowed at byte 2, in /0"},
      {R"(["\udc00\ud800"])", "a lone surrogate is not allowed at byte 2, in /0"},
      {R"(["\ud800\ud800"])", "a lone surrogate is not allowed at byte 2, in /0"},
      {R"(["\ud800\u0041"])", "a lone surrogate is not allowed at byte 2, in /0"},
      {R"(["\ud800\u00"])", "a lone surrogate is not allowed at byte 2, in /0"},
      {R"(["\ud800\n"])", "a lone surrogate is not allowed at byte 2, in /0"},
      {R"(["x\ud834\udd1e\uDBFFz"])", "a lone surrogate is not allowed at byte 15, in /0"},
      {"[\"\\u0041\",\"\\ud800\"]", "a lone surrogate is not allowed at byte 11, in /1"},
  });
}

TEST(JsonTest, RefusesInvalidUtf8WhereItStands) {
  for (const auto* bad :
       {"\x80", "\xff", "\xfe", "\xc0\x80", "\xc1\xbf", "\xc3", "\xc3(", "\xe0\x80\x80",
        "\xe0\x9f\xbf", "\xe2\x82", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf",
        "\xf0\x9d\x84", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80"}) {
    const std::string bytes = "{\"\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e\":\""s + bad + "\"}";
    EXPECT_EQ(Reread(bytes), "json: invalid UTF-8 at byte 14") << bytes;
  }
  EXPECT_EQ(Reread("[1] \x80"), "json: invalid UTF-8 at byte 4");
}

TEST(JsonTest, RefusesDuplicateMembers) {
  const std::string few = Members(15);
  const std::string many = Members(10'000);
  ExpectRefusals({
      {R"({"a":1,"a":1})", "duplicate member name at byte 7, in /a"},
      {R"({"":1,"":2})", "duplicate member name at byte 6, in /"},
      {R"({"a":1,"b":2,"\u0061":3})", "duplicate member name at byte 13, in /a"},
      {R"({"x":[{"a":{},"b":[1],"a":2}]})", "duplicate member name at byte 22, in /x/0/a"},
      {"{" + few + R"("m0":1})", "duplicate member name at byte 111, in /m0"},
      {"{" + many + R"("m77":1})",
       "duplicate member name at byte " + std::to_string(1 + many.size()) + ", in /m77"},
      {"{" + many + R"("y":1,"y":1,"y":1,"m0":1,"z":1})",
       "duplicate member name at byte " + std::to_string(7 + many.size()) + ", in /y"},
  });
  const std::string text = "{" + many + "\"m\":{" + few + "\"m\":0}}";
  EXPECT_EQ(Reread(text), text);
}

TEST(JsonTest, RefusesWhatExceedsALimit) {
  ExpectRefusals({
      {Repeat("[", 33) + Repeat("]", 33),
       "deeper than 32 levels at byte 32, in " + Repeat("/0", 32)},
      {Repeat("[", 100'000), "deeper than 32 levels at byte 32, in " + Repeat("/0", 32)},
      {Repeat("{\"a\":", 33), "deeper than 32 levels at byte 160, in " + Repeat("/a", 32)},
      {"[" + Repeat("0,", kJsonNodesMax - 1) + "0]", "more than 200000 values at byte 399999"},
      {"[" + Repeat("0,", kJsonNodesMax - 2) + "[]," + "0]",
       "more than 200000 values at byte 400000"},
      {"[" + Repeat("0,", kJsonNodesMax - 2) + "[0]]",
       "more than 200000 values at byte 399998, in /199998"},
      {"\"" + Repeat("a", kJsonBytesMax - 1) + "\"", "more than 4 MiB at byte 4194304"},
  });
  const std::string most = "[" + Repeat("0,", kJsonNodesMax - 2) + "0]";
  EXPECT_EQ(Reread(most), most);
  const std::string longest = "\"" + Repeat("a", kJsonBytesMax - 2) + "\"";
  EXPECT_EQ(Reread(longest), longest);
}

TEST(JsonTest, NamesThePlaceByAnEscapedAndBoundedPointer) {
  EXPECT_EQ(Reread(R"({"a/b":{"c~d":{"\n\u007f":x}}})"),
            "json: a value is expected at byte 26, in /a~1b/c~0d/??");
  const std::string euros = Repeat("\xe2\x82\xac", 100);
  EXPECT_THAT(Reread("{\"" + euros + "\":{\"b\":x}}"),
              testing::EndsWith("in /" + Repeat("\xe2\x82\xac", 66) + "..."));
}

TEST(JsonTest, MessagesHoldNoValue) {
  for (const auto* bytes : {R"({"phone":"secret\x"})", R"({"phone":"secret","phone":1})",
                            R"({"phone":secret})", R"(["secret" 1])", "[\"secret\x01\"]"}) {
    EXPECT_THAT(Reread(bytes), Not(HasSubstr("secret"))) << bytes;
  }
}

TEST(JsonTest, TypesNumbersByTheirLiteral) {
  JsonDocument document;
  ASSERT_TRUE(document
                  .Parse("[9223372036854775807,9223372036854775808,-9223372036854775808,1.0,1e0,-0,"
                         "-0.0,1e-999,123456789012345678,1234567890123456789]")
                  .ok());
  std::vector<JsonType> types;
  std::vector<JsonValue> values;
  for (auto child = document.root().first_child(); child; child = child->next_sibling()) {
    types.push_back(child->type());
    values.push_back(*child);
  }
  using enum JsonType;
  EXPECT_THAT(types, testing::ElementsAre(kInt, kDouble, kInt, kDouble, kDouble, kInt, kDouble,
                                          kDouble, kInt, kInt));
  EXPECT_EQ(values[0].AsInt(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(values[1].AsDouble(), 9223372036854775808.0);
  EXPECT_EQ(values[2].AsInt(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(values[5].AsInt(), 0);
  EXPECT_TRUE(std::signbit(values[6].AsDouble()));
  EXPECT_EQ(values[8].AsInt(), 123456789012345678);
}

TEST(JsonTest, FindsMembersByNameAndByPath) {
  JsonDocument document;
  ASSERT_TRUE(document
                  .Parse(R"({"id":7,"data":{"customer":{"phone":"x","":[true]},"a.b":1},)"
                         R"("list":[{"id":8}]})")
                  .ok());
  const JsonValue root = document.root();
  EXPECT_EQ(root.size(), 3u);
  EXPECT_EQ(root.Find("id")->AsInt(), 7);
  EXPECT_EQ(root.FindPath("data.customer.phone")->AsString(), "x");
  EXPECT_TRUE(root.FindPath("data.customer.")->first_child()->AsBool());
  EXPECT_EQ(root.Find("data")->Find("a.b")->AsInt(), 1);
  EXPECT_EQ(root.Find("list")->size(), 1u);
  for (const auto* absent :
       {"", "ID", "i", "idd", "id.x", "data.", "data.a.b", "list.id", "list.0", ".id", "phone"}) {
    EXPECT_FALSE(root.FindPath(absent)) << absent;
  }
  EXPECT_FALSE(root.Find("list")->Find("id"));
  EXPECT_FALSE(root.Find("id")->Find("id"));
}

TEST(JsonTest, IteratesInDocumentOrderWithNames) {
  JsonDocument document;
  ASSERT_TRUE(document.Parse(R"({"b":[1,[2,3],{}],"a":{"x":null},"c":""})").ok());
  std::string names;
  for (auto child = document.root().first_child(); child; child = child->next_sibling()) {
    names += std::string(child->name()) + std::to_string(child->size()) + " ";
  }
  EXPECT_EQ(names, "b3 a1 c0 ");
  const auto list = document.root().Find("b");
  EXPECT_EQ(list->first_child()->name(), "");
  EXPECT_EQ(list->first_child()->next_sibling()->size(), 2u);
  EXPECT_FALSE(document.root().next_sibling());
  EXPECT_FALSE(document.root().Find("c")->first_child());
  EXPECT_FALSE(document.root().Find("c")->next_sibling());
}

TEST(JsonTest, ADocumentIsReusableAfterSuccessAndFailure) {
  JsonDocument document;
  const std::string large = "[" + Repeat("\"0123456789\",", 1000) + "0]";
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(document.Parse(large).ok());
    EXPECT_EQ(document.root().size(), 1001u);
    EXPECT_FALSE(document.Parse("[1,[2,{\"a\":").ok());
    EXPECT_FALSE(document.Parse("").ok());
    ASSERT_TRUE(document.Parse(R"({"a":1})").ok());
    EXPECT_EQ(document.root().Find("a")->AsInt(), 1);
  }
  JsonDocument moved = std::move(document);
  EXPECT_EQ(moved.root().Find("a")->AsInt(), 1);
}

TEST(JsonTest, AReusedDocumentAllocatesNothing) {
  const std::string event = R"({"id":"e-1","n":[1,2.5,true,null],"text":"a \u20ac\n","o":{)" +
                            Members(40) + R"("last":{}}})";
  JsonDocument document;
  std::string text;
  ASSERT_TRUE(document.Parse(event).ok());
  AppendJson(document.root(), &text);
  text.clear();
  const std::size_t before = AllocationCount();
  const bool ok = document.Parse(event).ok();
  AppendJson(document.root(), &text);
  const std::size_t after = AllocationCount();
  EXPECT_TRUE(ok);
  EXPECT_EQ(after, before);
}

TEST(JsonTest, QuotesAnyText) {
  std::string text;
  AppendJsonString("a\"\\/\b\f\n\r\t\v\x01\x1f\x7f\xe2\x82\xac\0z"s, &text);
  EXPECT_EQ(text, "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u000b\\u0001\\u001f\x7f\xe2\x82\xac\\u0000z\"");
}

// Every prefix and every changed byte of a document is either refused or means what it says: the
// text of what was read reads as itself.
TEST(JsonTest, DamagedDocumentsAreRefusedOrReadAsThemselves) {
  const std::string whole =
      "{\"a\":[1,-2.5e3,\"x\\u00e9\\ud834\\udd1e\",true,null,{}],\"b\":{\"c\":\"\xc3\xa9\"}}";
  for (std::size_t at = 0; at < whole.size(); ++at) {
    EXPECT_THAT(Reread(whole.substr(0, at)), testing::StartsWith("json: ")) << at;
    for (int byte = 0; byte < 256; ++byte) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(byte);
      const std::string text = Reread(damaged);
      if (!text.starts_with("json: ")) {
        EXPECT_EQ(Reread(text), text);
      }
    }
  }
}

}  // namespace
}  // namespace alertstream::schemas

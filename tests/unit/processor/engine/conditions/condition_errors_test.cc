// What does not compile: where the error points, and what it says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "processor/engine/conditions/condition.h"

namespace alertstream::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Case {
  std::string source;
  std::string message;  // The start of it.
};

void ExpectErrors(const std::vector<Case>& cases) {
  for (const auto& c : cases) {
    const auto condition = Condition::Compile(c.source);
    ASSERT_FALSE(condition.ok()) << c.source;
    EXPECT_EQ(condition.error().code(), ErrorCode::kInvalid) << c.source;
    EXPECT_EQ(condition.error().message().substr(0, c.message.size()), c.message) << c.source;
  }
}

TEST(ConditionErrorsTest, SyntaxErrorsSayWhatWasExpectedAndFound) {
  ExpectErrors({
      {"", "line 1, column 1: expected an expression, found the end"},
      {"   // nothing", "line 1, column 14: expected an expression, found the end"},
      {"event.data.amount >=", "line 1, column 21: expected an expression, found the end"},
      {"event.data.amount >= 1 and true",
       "line 1, column 24: expected an operator or the end, found 'and'"},
      {"event.", "line 1, column 7: expected a name after '.', found the end"},
      {"event.in == 1", "line 1, column 7: expected a name after '.', found 'in'"},
      {"event.data.x = 1", "line 1, column 14: expected '==', found '='"},
      {"true & true", "line 1, column 6: expected '&&', found '&'"},
      {"true | true", "line 1, column 6: expected '||', found '|'"},
      {"(true", "line 1, column 6: expected ')', found the end"},
      {"true)", "line 1, column 5: expected an operator or the end, found ')'"},
      {"event.data[1", "line 1, column 13: expected ']', found the end"},
      {"1 in [1 2]", "line 1, column 9: expected ',' or ']', found a number"},
      {"1 in [,]", "line 1, column 7: expected an expression, found ','"},
      {"size('a' 'b') == 1", "line 1, column 10: expected ',' or ')', found a string"},
      {"size('a',) == 1", "line 1, column 10: expected an argument, found ')'"},
      {"true ? true", "line 1, column 12: expected ':', found the end"},
      {"true ? : true", "line 1, column 8: expected an expression, found ':'"},
      {"!-1 == 1", "line 1, column 2: expected an expression, found '-'"},
      {"true\n&&\n  == 1", "line 3, column 3: expected an expression, found '=='"},
      {"'\xc3\xab\xf0\x9f\x98\x80' == #", "line 1, column 9: expected an expression, found '#'"},
      {"true \xc3\xab", "line 1, column 6: expected an expression, found U+00EB"},
      {std::string("true \0", 6), "line 1, column 6: expected an expression, found U+0000"},
      {"true && '\xff'", "line 1, column 10: expected UTF-8 text"},
      {"event.data.`a-b` == 1", "line 1, column 12: quoted names are not supported"},
  });
}

TEST(ConditionErrorsTest, MalformedLiteralsAreNamed) {
  ExpectErrors({
      {"event.id == 'abc", "line 1, column 13: expected a string that ends with ', found the end"},
      {"event.id == '''abc'", "line 1, column 13: expected a string that ends with '''"},
      {"event.id == 'abc\n'", "line 1, column 17: expected ' before the end of the line"},
      {R"(event.id == '\q')", "line 1, column 14: expected an escape sequence"},
      {R"(event.id == '\x4')", "line 1, column 14: expected 2 hexadecimal digits"},
      {R"(event.id == '\u00g0')", "line 1, column 14: expected 4 hexadecimal digits"},
      {R"(event.id == '\18')", "line 1, column 14: expected 3 octal digits"},
      {R"(event.id == '\477')", "line 1, column 14: expected an escape sequence"},
      {R"(event.id == '\uD83D')", "line 1, column 14: expected a Unicode code point"},
      {R"(event.id == '\U00110000')", "line 1, column 14: expected a Unicode code point"},
      {"event.id == '\\", "line 1, column 14: expected an escape sequence"},
      {"1 == 9223372036854775808", "line 1, column 6: expected an int of 64 bits"},
      {"1 == -9223372036854775809", "line 1, column 7: expected an int of 64 bits"},
      {"1 == 0x10000000000000000", "line 1, column 6: expected an int of 64 bits"},
      {"1.0 == 1e999", "line 1, column 8: expected a double, found a number outside its range"},
      {"1 == 12ab", "line 1, column 8: expected the end of the number, found 'a'"},
      {"1 == 0x", "line 1, column 7: expected the end of the number, found 'x'"},
      {"1 == 1.5.5", "line 1, column 9: expected an operator or the end, found a number"},
      {"1 == 1u", "line 1, column 7: unsigned ints are not supported"},
      {"1 == 0xfFU", "line 1, column 10: unsigned ints are not supported"},
      {"event.id == b'x'", "line 1, column 13: bytes literals are not supported"},
      {"event.id == rb'x'", "line 1, column 13: bytes literals are not supported"},
      {"{'a': 1} == event.data", "line 1, column 1: map literals are not supported"},
  });
}

TEST(ConditionErrorsTest, WhatTheSubsetLacksIsNamed) {
  ExpectErrors({
      {"event.data.a + 1 == 2", "line 1, column 14: operator + is not supported"},
      {"1 -1 == 0", "line 1, column 3: operator - is not supported"},
      {"event.data.a * 2 > 1", "line 1, column 14: operator * is not supported"},
      {"event.data.a / 2 > 1", "line 1, column 14: operator / is not supported"},
      {"event.data.a % 2 == 1", "line 1, column 14: operator % is not supported"},
      {"event.data.a.all(i, i > 1)", "line 1, column 14: macro 'all' is not supported"},
      {"event.data.a.exists(i, i > 1)", "line 1, column 14: macro 'exists' is not supported"},
      {"event.data.a.exists_one(i, i > 1)",
       "line 1, column 14: macro 'exists_one' is not supported"},
      {"event.data.a.map(i, i)[0]", "line 1, column 14: macro 'map' is not supported"},
      {"event.data.a.filter(i, i)[0]", "line 1, column 14: macro 'filter' is not supported"},
      {"event.id.matches('a')",
       "line 1, column 10: function 'matches' is not supported, expected has, size, startsWith, "
       "endsWith, contains, dyn or timestamp"},
      {"int(event.data.a) == 1", "line 1, column 1: function 'int' is not supported"},
      {"now() < event.time", "line 1, column 1: function 'now' is not supported"},
      {"data.amount == 1", "line 1, column 1: expected 'event', found 'data'"},
      {"type == 'x'", "line 1, column 1: expected 'event', found 'type'"},
      {"event.amount == 1",
       "line 1, column 7: expected a field of event (id, type, source, time, data), found "
       "'amount'"},
  });
}

TEST(ConditionErrorsTest, KnownTypesMustFit) {
  ExpectErrors({
      {"event.type == 3",
       "line 1, column 12: expected two values of one type around ==, found string and int"},
      {"event.type != null",
       "line 1, column 12: expected two values of one type around !=, found string and null"},
      {"1 == 1.0",
       "line 1, column 3: expected two values of one type around ==, found int and "
       "double"},
      {"event.time == '2026-01-01T00:00:00Z'",
       "line 1, column 12: expected two values of one type around ==, found timestamp and string"},
      {"[1] == ['a']",
       "line 1, column 5: expected two values of one type around ==, found "
       "list(int) and list(string)"},
      {"event.type < 3", "line 1, column 12: expected two numbers, strings, bools or timestamps"},
      {"event.data.x < null", "line 1, column 14: expected two numbers, strings, bools or "},
      {"[1] < [2]", "line 1, column 5: expected two numbers, strings, bools or timestamps"},
      {"event.type", "line 1, column 1: expected a condition of type bool, found string"},
      {" [[event.data]]",
       "line 1, column 2: expected a condition of type bool, found "
       "list(list(dyn))"},
      {"event", "line 1, column 1: expected a field of event"},
      {"event == event", "line 1, column 1: expected a field of event"},
      {"event['type'] == 'x'", "line 1, column 1: expected a field of event"},
      {"event.size() == 1", "line 1, column 1: expected a field of event"},
      {"event.type.x == 1", "line 1, column 12: expected a map before '.x', found string"},
      {"event.type[0] == 'x'",
       "line 1, column 11: expected a list or map before '[', found string"},
      {"[1]['a'] == 1", "line 1, column 4: expected an int as index, found string"},
      {"event.data[null] == 1", "line 1, column 11: expected a string or an int as index"},
      {"true && 1", "line 1, column 9: expected a bool as operand of &&, found int"},
      {"'a' || true", "line 1, column 1: expected a bool as operand of ||, found string"},
      {"!event.id", "line 1, column 2: expected a bool as operand of !, found string"},
      {"-event.id == 1", "line 1, column 1: expected a number after -, found string"},
      {"event.id ? true : false", "line 1, column 1: expected a bool before ?, found string"},
      {"true ? 1 : 'a'", "line 1, column 6: expected two values of one type around ':'"},
      {"1 in ['a']",
       "line 1, column 3: expected a value and a list of such values, or a map, "
       "around in, found int and list(string)"},
      {"'a' in event.type", "line 1, column 5: expected a value and a list of such values"},
      {"event.time.startsWith('2')", "line 1, column 12: expected two strings for startsWith"},
      {"event.id.contains(1)", "line 1, column 10: expected two strings for contains"},
      {"size(1) == 1", "line 1, column 1: expected the size of a string, list or map, found int"},
  });
}

TEST(ConditionErrorsTest, CallsMustHaveTheirForm) {
  ExpectErrors({
      {"size() == 0", "line 1, column 1: expected size(value) or value.size(), found"},
      {"'a'.size('b') == 0", "line 1, column 5: expected size(value) or value.size(), found"},
      {"startsWith('a', 'b')", "line 1, column 1: expected text.startsWith(\"part\"), found"},
      {"'a'.contains()", "line 1, column 5: expected text.contains(\"part\"), found"},
      {"has()", "line 1, column 1: expected has(event.data.name), found"},
      {"event.data.has()", "line 1, column 12: expected has(event.data.name), found"},
      {"has(event)", "line 1, column 5: expected a field as in has(event.data.name)"},
      {"has(event.data['x'])", "line 1, column 5: expected a field as in has(event.data.name)"},
      {"has(true)", "line 1, column 5: expected a field as in has(event.data.name)"},
      {"has(event.nothing)", "line 1, column 11: expected a field of event"},
      {"dyn() == 1", "line 1, column 1: expected dyn(value), found"},
      {"event.time < timestamp()", "line 1, column 14: expected timestamp(\"2026-"},
      {"event.time < timestamp(event.id)", "line 1, column 24: expected a string literal as in"},
      {"event.time < timestamp('2026-13-01T00:00:00Z')",
       "line 1, column 24: RFC 3339 time: the month is out of range"},
  });
}

TEST(ConditionErrorsTest, MessagesNeverQuoteLiterals) {
  const std::vector<std::string> sources = {
      "event.data.phone == '+254700000001' '+254700000001'",
      "event.data.phone == 254700000001 254700000001",
      "event.time == '+254700000001'",
      "timestamp('+254700000001') == event.time",
      "event.data.phone == '+254700000001",
  };
  for (const auto& source : sources) {
    const auto condition = Condition::Compile(source);
    ASSERT_FALSE(condition.ok()) << source;
    EXPECT_THAT(condition.error().message(), Not(HasSubstr("2547"))) << source;
  }
}

TEST(ConditionErrorsTest, LongNamesAreCut) {
  const auto condition = Condition::Compile(std::string(3000, 'n') + " == 1");
  ASSERT_FALSE(condition.ok());
  EXPECT_EQ(condition.error().message(),
            "line 1, column 1: expected 'event', found '" + std::string(40, 'n') + "'");
}

}  // namespace
}  // namespace alertstream::engine

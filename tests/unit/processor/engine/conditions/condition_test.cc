#include "processor/engine/conditions/condition.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "processor/base/rfc3339.h"

namespace alertstream::engine {
namespace {

using Outcome = Condition::Outcome;

// 't' holds, 'f' does not, 'a' absent field, 'y' type error, 'c' over cost.
char Letter(Outcome outcome) {
  switch (outcome) {
    case Outcome::kHolds:
      return 't';
    case Outcome::kDoesNotHold:
      return 'f';
    case Outcome::kFieldAbsent:
      return 'a';
    case Outcome::kTypeError:
      return 'y';
    case Outcome::kOverCost:
      return 'c';
  }
  return '?';
}

// An event whose data is `json`; without data if that is empty.
class Event {
 public:
  explicit Event(std::string_view json) {
    event_ = {.id = "evt_1", .type = "payment.failed", .source = "/shop", .time = {}, .data = {}};
    event_.time = ParseRfc3339("2026-01-31T12:00:00Z").value();
    if (!json.empty()) {
      const Status status = document_.Parse(json);
      EXPECT_TRUE(status.ok()) << json << ": " << status.error().message();
      event_.data = document_.root();
    }
  }
  const ConditionEvent& get() const { return event_; }

 private:
  schemas::JsonDocument document_;
  ConditionEvent event_;
};

// The letter of the outcome, or the error of the compilation.
std::string Verdict(std::string_view source, std::string_view json) {
  const auto condition = Condition::Compile(source);
  if (!condition.ok()) {
    return condition.error().message();
  }
  const Event event(json);
  return {Letter(condition.value().Evaluate(event.get()).outcome)};
}

struct Case {
  std::string source;
  std::string verdict;
};

void ExpectVerdicts(const std::vector<Case>& cases, std::string_view json) {
  for (const auto& c : cases) {
    EXPECT_EQ(Verdict(c.source, json), c.verdict) << c.source;
  }
}

constexpr std::string_view kPayment =
    R"({"amount":1500,"ratio":0.5,"currency":"KES","status":"failed","paid":false,"note":null,)"
    R"("customer":{"name":"Zoë","country":"KE","tags":["vip","eu"]},)"
    R"("items":[{"sku":"a","n":1},{"sku":"b","n":2}],"empty":{},"none":[],"a.b":7,"":8})";

TEST(ConditionTest, ReadsTheFieldsOfTheEvent) {
  ExpectVerdicts(
      {
          {"event.type == 'payment.failed'", "t"},
          {"event.type != 'payment.failed'", "f"},
          {"event.id == 'evt_1' && event.source == '/shop'", "t"},
          {"event.id in ['evt_1', 'evt_2']", "t"},
          {"event.time == timestamp('2026-01-31T12:00:00Z')", "t"},
          {"event.time < timestamp('2026-01-31T14:59:59.999999+03:00')", "f"},
          {"event.time < timestamp('2026-01-31T15:00:00.000001+03:00')", "t"},
          {"event.time >= timestamp('2026-01-31T12:00:00Z')", "t"},
          {"event.type.startsWith('payment.') && event.type.size() == 14", "t"},
          {"event . type // comment\n == \t'payment.failed' // end", "t"},
      },
      kPayment);
}

TEST(ConditionTest, FollowsPathsThroughMapsAndLists) {
  ExpectVerdicts(
      {
          {"event.data.customer.country == 'KE'", "t"},
          {"event.data['customer']['country'] == 'KE'", "t"},
          {"event.data['customer'].country == 'KE'", "t"},
          {"event.data['a.b'] == 7", "t"},
          {"event.data[''] == 8", "t"},
          {"event.data.items[1].sku == 'b'", "t"},
          {"event.data.items[1]['n'] == 2", "t"},
          {"event.data.items[1.0].n == 2", "t"},
          {"event.data.items[0.5].n == 2", "y"},
          {"event.data.items[2].n == 2", "a"},
          {"event.data.items[-1].n == 2", "a"},
          {"event.data.items['sku'] == 'a'", "y"},
          {"event.data.items.sku == 'a'", "y"},
          {"event.data[1] == 1", "a"},
          {"event.data[event.data.note] == 1", "y"},
          {"event.data[event.data.currency] == 1", "a"},
          {"event.data.amount.x == 1", "y"},
          {"event.data.note.x == 1", "y"},
          {"event.data.missing == 1", "a"},
          {"event.data.missing.x == 1", "a"},
          {"event.data.customer.missing == null", "a"},
          {"['x', 'y'][1] == 'y'", "t"},
          {"[[1], [2, 3]][1][0] == 2", "t"},
          {"[event.data.items][0][1].sku == 'b'", "t"},
          {"(event.data.paid ? event.data : event.data.customer).country == 'KE'", "t"},
      },
      kPayment);
}

TEST(ConditionTest, TreatsAnEventWithoutDataAsOneWithoutTheField) {
  ExpectVerdicts(
      {
          {"event.data.amount == 1", "a"},
          {"event.data == null", "a"},
          {"has(event.data.amount)", "a"},
          {"has(event.data)", "f"},
          {"has(event.data) && event.data.amount == 1", "f"},
          {"!has(event.data) || event.data.amount == 1", "t"},
          {"event.type == 'payment.failed'", "t"},
      },
      "");
}

TEST(ConditionTest, TakesDataOfAnyJsonType) {
  EXPECT_EQ(Verdict("event.data", "true"), "t");
  EXPECT_EQ(Verdict("event.data", "false"), "f");
  EXPECT_EQ(Verdict("event.data", "1"), "y");
  EXPECT_EQ(Verdict("event.data == null", "null"), "t");
  EXPECT_EQ(Verdict("event.data.x", "null"), "y");
  EXPECT_EQ(Verdict("event.data[1] == 2", "[1,2]"), "t");
  EXPECT_EQ(Verdict("2 in event.data", "[1,2]"), "t");
}

TEST(ConditionTest, HasAsksForAMemberAndNothingElse) {
  ExpectVerdicts(
      {
          {"has(event.data.amount)", "t"},
          {"has(event.data.note)", "t"},  // A member that is null is there.
          {"has(event.data.missing)", "f"},
          {"!has(event.data.missing)", "t"},
          {"has(event.data.customer.country)", "t"},
          {"has(event.data.customer.missing)", "f"},
          {"has(event.data.missing.x)", "a"},
          {"has(event.data.missing) && has(event.data.missing.x)", "f"},
          {"has(event.data.amount.x)", "y"},
          {"has(event.data.note.x)", "y"},
          {"has(event.data.items.x)", "y"},
          {"has(event.data['customer'].country)", "t"},
          {"has(event.data.items[0].sku)", "t"},
          {"has(event.data.items[0].missing)", "f"},
          {"has(event.data.items[9].sku)", "a"},
          {"has(event.id) && has(event.time) && has(event.data)", "t"},
          {"has(event.data.missing) ? event.data.missing == 1 : true", "t"},
          {"[has(event.data.amount), has(event.data.missing)] == [true, false]", "t"},
          {"has(event.data.amount) == true", "t"},
          {"has(event.data.missing) in [true]", "f"},
      },
      kPayment);
}

TEST(ConditionTest, ComparesNumbersByTheirExactValue) {
  ExpectVerdicts(
      {
          {"event.data.i == 1.0", "t"},
          {"event.data.i == 1", "t"},
          {"event.data.d == 1", "t"},
          {"event.data.i == event.data.d", "t"},
          {"event.data.i in [1.0]", "t"},
          {"1 < 1.5 && 1.5 < 2 && -1.5 < -1 && -2 < -1.5", "t"},
          {"event.data.big == 9007199254740992.0", "f"},  // 2^53 + 1 is no double.
          {"event.data.big > 9007199254740992.0", "t"},
          {"9007199254740992.0 < event.data.big", "t"},
          {"event.data.big < 9007199254740994.0", "t"},
          {"event.data.max < 9223372036854775808.0", "t"},
          {"event.data.max == 9223372036854775808.0", "f"},
          {"event.data.max >= 1e300 || event.data.max <= -1e300", "f"},
          {"event.data.min == -9223372036854775808.0", "t"},
          {"event.data.min == -9223372036854775808", "t"},
          {"event.data.min > -9223372036854777856.0", "t"},
          {"event.data.zero == 0.0 && event.data.zero == -0.0", "t"},
          {"event.data.huge > event.data.max", "t"},  // Beyond int64 JSON is a double.
          {"0x10 == 16 && -0x10 == -16 && 0XfF == 255", "t"},
          {"1e3 == 1000.0 && .5 == 0.5 && 1.5e-1 == 0.15", "t"},
          {"-event.data.i == -1 && --event.data.i == 1 && -event.data.d == -1.0", "t"},
          {"-event.data.min == 0", "y"},
          {"-event.data.text == 0", "y"},
      },
      R"({"i":1,"d":1.0,"big":9007199254740993,"max":9223372036854775807,"zero":0,"text":"1",)"
      R"("min":-9223372036854775808,"huge":9223372036854775808})");
}

TEST(ConditionTest, FindsValuesOfDifferentTypesUnequal) {
  ExpectVerdicts(
      {
          {"event.data.amount == '1500'", "f"},
          {"event.data.amount != '1500'", "t"},
          {"event.data.paid == 0", "f"},
          {"event.data.note == false", "f"},
          {"event.data.note == null", "t"},
          {"event.data.amount == null", "f"},
          {"event.data.items == 'a'", "f"},
          {"event.data.customer == event.data.items", "f"},
          {"event.time == event.data.amount", "f"},
          {"'1500' in [event.data.amount, event.data.currency]", "f"},
      },
      kPayment);
}

TEST(ConditionTest, OrdersOnlyWhatHasAnOrder) {
  ExpectVerdicts(
      {
          {"event.data.amount > 1000 && event.data.amount <= 1500", "t"},
          {"event.data.ratio < 1", "t"},
          {"event.data.currency < 'KET' && event.data.currency >= 'KE'", "t"},
          {"'a' < 'b' && 'a' < 'aa' && 'Z' < 'a' && '' < 'a'", "t"},
          {"false < true && event.data.paid < true", "t"},
          {"true < false", "f"},
          {"event.data.currency > 1", "y"},
          {"event.data.note < 1", "y"},
          {"event.data.note <= event.data.note", "y"},
          {"event.data.items < event.data.items", "y"},
          {"event.time > event.data.amount", "y"},
          {"event.data.paid < 1", "y"},
      },
      kPayment);
  // By code point: U+FF5E comes before U+1F600, although UTF-16 would have it otherwise.
  EXPECT_EQ(
      Verdict("event.data.a < event.data.b", "{\"a\":\"\xef\xbd\x9e\",\"b\":\"\xf0\x9f\x98\x80\"}"),
      "t");
}

TEST(ConditionTest, ComparesListsAndMapsByTheirElements) {
  ExpectVerdicts(
      {
          {"event.data.customer.tags == ['vip', 'eu']", "t"},
          {"event.data.customer.tags == ['eu', 'vip']", "f"},
          {"event.data.customer.tags == ['vip']", "f"},
          {"['vip', event.data.customer.tags[1]] == event.data.customer.tags", "t"},
          {"event.data.none == []", "t"},
          {"event.data.empty == event.data.empty", "t"},
          {"event.data.empty == event.data.none", "f"},
          {"event.data.items[0] == event.data.items[0]", "t"},
          {"event.data.items[0] == event.data.items[1]", "f"},
          {"event.data.items[1] in event.data.items", "t"},
          {"[1, 2] == [1, 2] && [1, 2] != [2, 1] && [[1], []] == [[1], []]", "t"},
          {"dyn([1, 2.0]) == [1.0, 2]", "t"},
          {"[event.data.amount, 2] == [1500.0, 2.0]", "t"},
      },
      kPayment);
  EXPECT_EQ(Verdict("event.data.a == event.data.b",
                    R"({"a":{"x":1,"y":[{"z":null}]},"b":{"y":[{"z":null}],"x":1.0}})"),
            "t");
  EXPECT_EQ(Verdict("event.data.a == event.data.b", R"({"a":{"x":1},"b":{"y":1}})"), "f");
}

TEST(ConditionTest, SearchesListsAndTheKeysOfMaps) {
  ExpectVerdicts(
      {
          {"event.data.currency in ['KES', 'NGN']", "t"},
          {"event.data.currency in ['GHS', 'NGN']", "f"},
          {"event.data.currency in []", "f"},
          {"'vip' in event.data.customer.tags", "t"},
          {"'VIP' in event.data.customer.tags", "f"},
          {"'country' in event.data.customer", "t"},
          {"'missing' in event.data.customer", "f"},
          {"1 in event.data.customer", "f"},
          {"event.data.note in [1, null]", "t"},
          {"event.data.amount in event.data.currency", "y"},
          {"event.data.missing in [1]", "a"},
          {"1 in [event.data.missing, 1]", "a"},  // A list with an error is an error.
          {"1 in event.data.missing", "a"},
          {"[1] in [[2], [1]]", "t"},
      },
      kPayment);
}

TEST(ConditionTest, LooksIntoStrings) {
  ExpectVerdicts(
      {
          {"event.data.status.startsWith('fail')", "t"},
          {"event.data.status.startsWith('ail')", "f"},
          {"event.data.status.endsWith('led')", "t"},
          {"event.data.status.endsWith('le')", "f"},
          {"event.data.status.contains('ile')", "t"},
          {"event.data.status.contains('lie')", "f"},
          {"event.data.status.contains('') && event.data.status.startsWith('') && ''.contains('')",
           "t"},
          {"'ab'.contains(event.data.status)", "f"},
          {"'a'.endsWith('ba')", "f"},
          {"event.data.amount.contains('1')", "y"},
          {"'1'.contains(event.data.amount)", "y"},
          {"event.data.missing.contains('1')", "a"},
          {"size(event.data.status) == 6 && event.data.status.size() == 6", "t"},
          {"size(event.data.customer.name) == 3", "t"},  // Code points, not bytes.
          {"size(event.data.customer) == 3 && size(event.data.items) == 2", "t"},
          {"size([]) == 0 && size([1, 2]) == 2 && [event.data.amount].size() == 1", "t"},
          {"size('') == 0 && ''.size() == 0", "t"},
          {"size(event.data.amount) == 0", "y"},
          {"size(event.data.note) == 0", "y"},
          {"size(event.data.missing) == 0", "a"},
      },
      kPayment);
}

TEST(ConditionTest, ReadsEveryFormOfString) {
  ExpectVerdicts(
      {
          {R"('a' == "a" && '''a''' == """a""")", "t"},
          {R"('it\'s' == "it's" && "say \"x\"" == 'say "x"')", "t"},
          {R"("\a\b\f\n\r\t\v\\\?\`" == "\x07\x08\x0C\x0a\x0D\x09\X0b\x5c?\x60")", "t"},
          {R"("\101\303" == "A\u00c3" && '\xe9' == '\u00E9')", "t"},
          {R"(size("\000") == 1 && "\u0000" == "\000")", "t"},
          {R"("\U0001F600" == event.data.smile && size(event.data.smile) == 1)", "t"},
          {R"(r"\n" == "\\n" && R'\' == "\\" && r'''\''' == "\\")", "t"},
          {"'''a\n'b' ''' == \"a\\n'b' \"", "t"},
          {"\"\"\"a \" \"\" b\"\"\" == 'a \" \"\" b'", "t"},
          {"'Zo\xc3\xab' == event.data.name && event.data.name == 'Zo\\u00eb'", "t"},
          // Precomposed and combining forms are different strings: no normalisation.
          {"event.data.name == 'Zoe\\u0308'", "f"},
          {"event.data['n\\u0061me'] == event.data.name", "t"},
      },
      "{\"smile\":\"\xf0\x9f\x98\x80\",\"name\":\"Zo\xc3\xab\"}");
}

TEST(ConditionTest, AbsorbsErrorsInLogicalOperators) {
  const std::string absent = "event.data.missing";
  const std::string wrong = "event.data.amount";  // An int where a bool is needed.
  ExpectVerdicts(
      {
          {"false && " + absent, "f"},
          {absent + " && false", "f"},
          {"true && " + absent, "a"},
          {absent + " && true", "a"},
          {"true || " + absent, "t"},
          {absent + " || true", "t"},
          {"false || " + absent, "a"},
          {absent + " || false", "a"},
          {"false && " + wrong, "f"},
          {wrong + " && false", "f"},
          {wrong + " && true", "y"},
          {wrong + " || true", "t"},
          {wrong + " || false", "y"},
          {absent + " && " + wrong, "a"},  // Of several errors the first.
          {wrong + " && " + absent, "y"},
          {wrong + " || " + absent, "y"},
          {absent + " && true && false", "f"},
          {absent + " || false || true", "t"},
          {"(" + absent + " || true) && (false || " + wrong + " || true)", "t"},
          {"!" + absent, "a"},
          {"!" + wrong, "y"},
          {"!(" + absent + " && false)", "t"},
          {"(" + absent + " ? true : true) || true", "t"},
          {absent + " ? true : true", "a"},
          {wrong + " ? true : true", "y"},
          {"true ? true : " + absent, "t"},
          {"false ? " + absent + " : false", "f"},
          {"true ? " + absent + " : true", "a"},
      },
      kPayment);
}

TEST(ConditionTest, BindsOperatorsAsCelDoes) {
  ExpectVerdicts(
      {
          {"true || false && false", "t"},
          {"(true || false) && false", "f"},
          {"false && false || true", "t"},
          {"!false && false", "f"},
          {"!(false && false)", "t"},
          {"!!true && !!!false", "t"},
          {"!event.data.t == false", "t"},
          {"1 < 2 == true", "t"},  // Relations associate to the left.
          {"1 == 1 == event.data.t", "t"},
          {"2 > 1 in [true]", "t"},
          {"true ? false : true ? true : true", "f"},
          {"(true ? false : true) ? true : true", "t"},
          {"false ? true : false ? false : true", "t"},
          {"true ? false || true : false", "t"},
          {"false || true ? true : false", "t"},
          {"-1 < 0 && - 1 < 0", "t"},
          {"((((true))))", "t"},
          {"[1, 2,][1] == 2", "t"},
      },
      R"({"t":true})");
}

TEST(ConditionTest, RefusesToHoldForAnOutcomeThatIsNoBool) {
  EXPECT_EQ(Verdict("event.data.amount", kPayment), "y");
  EXPECT_EQ(Verdict("event.data.note", kPayment), "y");
  EXPECT_EQ(Verdict("event.data.paid", kPayment), "f");
  EXPECT_EQ(Verdict("event.data.paid ? 1 : event.data.status", kPayment), "y");
}

TEST(ConditionTest, PointsAtTheErrorInTheSource) {
  struct ErrorCase {
    std::string source;
    Outcome outcome;
    std::string at;  // What the source goes on with at the error.
  };
  const std::vector<ErrorCase> cases = {
      {"event.data.missing.x == 1", Outcome::kFieldAbsent, "missing.x"},
      {"event.data.amount == 1500 && event.data.b.c", Outcome::kFieldAbsent, "b.c"},
      {"event.data.items[7] == 1", Outcome::kFieldAbsent, "[7]"},
      {"event.data.amount.x == 1", Outcome::kTypeError, "x == 1"},
      {"event.data.note < 1", Outcome::kTypeError, "< 1"},
      {"true && event.data.amount", Outcome::kTypeError, "amount"},
      {"event.data.amount", Outcome::kTypeError, "amount"},
      {"event.data.amount == 1500", Outcome::kHolds, "event.data.amount == 1500"},
  };
  const Event event(kPayment);
  for (const auto& c : cases) {
    const auto condition = Condition::Compile(c.source);
    ASSERT_TRUE(condition.ok()) << condition.error().message();
    const auto verdict = condition.value().Evaluate(event.get());
    EXPECT_EQ(verdict.outcome, c.outcome) << c.source;
    EXPECT_TRUE(c.source.substr(verdict.error_offset).starts_with(c.at))
        << c.source << " at " << verdict.error_offset;
  }
}

std::string RequiredEqualities(std::string_view source) {
  const auto condition = Condition::Compile(source);
  if (!condition.ok()) {
    return condition.error().message();
  }
  std::string text;
  for (const auto& equality : condition.value().required_equalities()) {
    text += equality.path;
    std::visit(
        [&text](const auto& literal) {
          using Literal = std::decay_t<decltype(literal)>;
          if constexpr (std::is_same_v<Literal, std::string>) {
            text += "=s:" + literal;
          } else if constexpr (std::is_same_v<Literal, bool>) {
            text += literal ? "=b:true" : "=b:false";
          } else if constexpr (std::is_same_v<Literal, double>) {
            text += "=d:" + std::to_string(literal);
          } else {
            text += "=i:" + std::to_string(literal);
          }
        },
        equality.literal);
    text += ' ';
  }
  return text;
}

TEST(ConditionTest, NamesTheEqualitiesThatMustHold) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"event.data.a == 'x'", "a=s:x "},
      {"'x' == event.data.a", "a=s:x "},
      {"event.data.a.b['c'] == -1 && 2.5 == event.data.d && event.data.e == true",
       "a.b.c=i:-1 d=d:2.500000 e=b:true "},
      {"event.data.a == 1 && (event.data.b == 2 && event.data.c == 3)", "a=i:1 b=i:2 c=i:3 "},
      {"event.data.a == 1 && event.data.b > 2", "a=i:1 "},
      {"event.data.a == 1 || event.data.b == 2", ""},
      {"event.type == 'x' && event.data.a == null", ""},
      {"!(event.data.a == 1)", ""},
      {"event.data.a != 1", ""},
      {"event.data.a == event.data.b", ""},
      {"event.data['a.b'] == 1 && event.data[''] == 1", ""},
      {"event.data.items[0].a == 1", ""},
      {"event.data == 1", ""},
      {"true ? event.data.a == 1 : false", ""},
  };
  for (const auto& [source, equalities] : cases) {
    EXPECT_EQ(RequiredEqualities(source), equalities) << source;
  }
}

TEST(ConditionTest, ExplainsEveryConjunct) {
  const auto condition = Condition::Compile(
      "event.data.amount >= 1000 // enough\n  && (event.data.currency == 'NGN' || false)\n"
      "&& (event.data.missing == 1 && has(event.data.note))&&event.data.note>1");
  ASSERT_TRUE(condition.ok()) << condition.error().message();
  const Event event(kPayment);
  std::string text;
  for (const auto& conjunct : condition.value().Explain(event.get())) {
    text += conjunct.source_text + ": " + Letter(conjunct.outcome) + "\n";
  }
  EXPECT_EQ(text,
            "event.data.amount >= 1000: t\n"
            "(event.data.currency == 'NGN' || false): f\n"
            "event.data.missing == 1: a\n"
            "has(event.data.note): t\n"
            "event.data.note>1: y\n");
  EXPECT_EQ(condition.value().Evaluate(event.get()).outcome, Outcome::kDoesNotHold);
}

TEST(ConditionTest, ExplainsAConditionOfOnePartAsAWhole) {
  const auto condition = Condition::Compile(" (event.data.paid || event.type == 'x') ");
  ASSERT_TRUE(condition.ok());
  const Event event(kPayment);
  const auto verdicts = condition.value().Explain(event.get());
  ASSERT_EQ(verdicts.size(), 1U);
  EXPECT_EQ(verdicts[0].source_text, "(event.data.paid || event.type == 'x')");
  EXPECT_EQ(verdicts[0].outcome, Outcome::kDoesNotHold);
}

TEST(ConditionTest, OutlivesItsSourceAndMoves) {
  std::string source = "event.data.status in ['failed', event.data.currency]";
  auto compiled = Condition::Compile(source);
  ASSERT_TRUE(compiled.ok());
  source.assign(source.size(), '#');
  Condition moved = std::move(compiled).value();
  Condition condition = std::move(moved);
  const Event event(kPayment);
  EXPECT_EQ(condition.Evaluate(event.get()).outcome, Outcome::kHolds);
  EXPECT_EQ(condition.source(), "event.data.status in ['failed', event.data.currency]");
}

}  // namespace
}  // namespace alertstream::engine

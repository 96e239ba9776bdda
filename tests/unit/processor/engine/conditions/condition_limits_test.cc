// Limits of a condition, and what evaluations cost. The costs are stored behaviour of engine
// version 1: a number below that has to change is a decision that changes in history.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "processor/engine/conditions/condition.h"

namespace alertstream::engine {
namespace {

using ::testing::HasSubstr;
using Outcome = Condition::Outcome;

std::string Repeat(std::string_view part, std::size_t times) {
  std::string text;
  for (std::size_t i = 0; i < times; ++i) {
    text += part;
  }
  return text;
}

// The error message, "" if it compiles.
std::string ErrorOf(std::string_view source) {
  const auto condition = Condition::Compile(source);
  return condition.ok() ? "" : condition.error().message();
}

Condition::Verdict Evaluate(std::string_view source, std::string_view json) {
  const auto condition = Condition::Compile(source);
  EXPECT_TRUE(condition.ok()) << source << ": " << condition.error().message();
  schemas::JsonDocument document;
  EXPECT_TRUE(document.Parse(json).ok()) << json;
  return condition.value().Evaluate({.id = "evt_1",
                                     .type = "payment.failed",
                                     .source = "/shop",
                                     .time = {},
                                     .data = document.root()});
}

TEST(ConditionLimitsTest, SourceIsLimited) {
  const std::string longest = "true" + std::string(kConditionBytesMax - 4, ' ');
  EXPECT_EQ(ErrorOf(longest), "");
  EXPECT_EQ(ErrorOf(longest + " "),
            "line 1, column 1: expected a condition of at most 4096 bytes, found 4097");
}

TEST(ConditionLimitsTest, NodesAreLimited) {
  // Every literal and the chain itself are nodes.
  EXPECT_EQ(ErrorOf("true" + Repeat("||true", kConditionNodesMax - 2)), "");
  EXPECT_THAT(ErrorOf("true" + Repeat("||true", kConditionNodesMax - 1)),
              HasSubstr("expected at most 512 operators, names and literals, found more"));
}

TEST(ConditionLimitsTest, NestingIsLimitedWhateverItsKind) {
  struct Case {
    std::string open;
    std::string inner;
    std::string close;
    std::size_t levels;  // How many still compile.
  };
  const std::vector<Case> cases = {
      {"(", "true", ")", 31},
      {"!", "true", "", 31},
      {"!(", "true", ")", 31},
      {"dyn(", "true", ")", 31},
      {"true?true:", "true", "", 31},
      {"true==(", "true", ")", 31},
      {"true==", "true", "", 31},
      {"-", "event.data>0", "", 29},
      {"dyn([", "event.data==0", "])", 14},
      {"[", "event.data", "][0]", 15},
      {"event.data[", "1", "]", 30},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(ErrorOf(Repeat(c.open, c.levels) + c.inner + Repeat(c.close, c.levels)), "")
        << c.open;
    for (const std::size_t levels : {c.levels + 1, std::size_t{300}}) {
      EXPECT_THAT(ErrorOf(Repeat(c.open, levels) + c.inner + Repeat(c.close, levels)),
                  HasSubstr("expected at most 32 levels, found more"))
          << c.open << " " << levels;
    }
  }
  EXPECT_EQ(ErrorOf("event.data" + Repeat(".a", 30)), "");
  EXPECT_THAT(ErrorOf("event.data" + Repeat(".a", 31)), HasSubstr("at most 32 levels"));
}

TEST(ConditionLimitsTest, ListsAreLimited) {
  EXPECT_EQ(ErrorOf("1 in [" + Repeat("1,", kConditionListElementsMax) + "]"), "");
  EXPECT_THAT(ErrorOf("1 in [" + Repeat("1,", kConditionListElementsMax + 1) + "]"),
              HasSubstr("expected at most 256 elements in a list, found more"));
}

TEST(ConditionLimitsTest, ManyComputedElementsAreEvaluated) {
  EXPECT_EQ(Evaluate("7 in [" + Repeat("event.data.a,", 60) + "7]", R"({"a":1})").outcome,
            Outcome::kHolds);
  EXPECT_EQ(
      Evaluate("[event.data.a, [event.data.a, 2]] == [[event.data.a][0], [1, 2]]", R"({"a":1})")
          .outcome,
      Outcome::kHolds);
}

TEST(ConditionLimitsTest, EvaluationsCostWhatEngineVersionOneSays) {
  struct Case {
    std::string source;
    std::uint32_t cost;
  };
  const std::string json = R"({"s":")" + std::string(64, 's') + R"(","t":")" +
                           std::string(100, 't') + R"(","l":[1,2,3,4],"m":{"a":1,"b":[1]}})";
  const std::vector<Case> cases = {
      {"true", 1},
      {"(true)", 1},
      {"dyn(true)", 1},
      {"!true", 2},
      {"-1 == -(1)", 4},
      {"event.type == 'x'", 3},
      {"event.time == timestamp('2026-01-01T00:00:00Z')", 3},
      {"event.data", 1},
      {"event.data.m", 2},
      {"event.data.m.a == 1", 5},
      {"event.data['m']['a'] == 1", 5},
      {"dyn(event.data).m.a == 1", 5},
      {"event.data.m.b[0] == 1", 7},  // The index is a literal evaluated.
      {"event.data.m['b'][0] == 1", 7},
      {"has(event.data.m)", 2},
      {"has(event.data.m.a)", 3},
      {"has(event.data)", 1},
      {"has(event.id)", 1},
      {"true && true && true", 4},
      {"false && event.data.m.a == 1", 2},
      {"event.data.none && true", 4},  // && goes on after an error.
      {"true || event.data.m.a == 1", 2},
      {"true ? true : event.data.m.a == 1", 3},
      {"event.data.none == event.data.m", 3},                     // Others end at the first error.
      {"event.data.s == 'sssssssssssssssssssssssssssssss'", 4},   // 31 bytes.
      {"event.data.s == 'ssssssssssssssssssssssssssssssss'", 5},  // 32 bytes.
      {"event.data.s != event.data.t", 7},
      {"event.data.s < event.data.t", 7},
      {"event.data.t.startsWith(event.data.s)", 7},
      {"event.data.s.endsWith('s')", 4},
      {"event.data.s.contains(event.data.t)", 10},
      {"size(event.data.t) == 1", 8},
      {"size(event.data.l) == 4", 5},
      {"1 in [1, 2, 3]", 4},
      {"3 in [1, 2, 3]", 6},
      {"4 in event.data.l", 8},
      {"'a' in event.data.m", 5},
      {"1 in [event.data.m.a, 2]", 8},  // Computed lists also cost their elements.
      {"[1, 2] == [1, 2]", 5},
      {"[1, 2] == [1, 3]", 5},
      {"[1, 2] == [1]", 3},
      {"event.data.l == [1, 2, 3, 4]", 8},
      {"event.data.m == event.data.m", 10},
  };
  for (const auto& c : cases) {
    const auto verdict = Evaluate(c.source, json);
    EXPECT_EQ(verdict.cost, c.cost) << c.source;
  }
}

TEST(ConditionLimitsTest, LookupsCostByTheSizeOfTheMap) {
  std::string json = R"({"m":{"k0":0)";
  for (int i = 1; i < 64; ++i) {
    json += ",\"k" + std::to_string(i) + "\":" + std::to_string(i);
  }
  json += R"(},"l":[)" + Repeat("0,", 64) + "1]}";
  EXPECT_EQ(Evaluate("event.data.m.k0 == 0", json).cost, 7U);
  EXPECT_EQ(Evaluate("dyn(event.data).m.k0 == 0", json).cost, 7U);
  EXPECT_EQ(Evaluate("has(event.data.m.zz)", json).cost, 5U);
  EXPECT_EQ(Evaluate("'zz' in event.data.m", json).cost, 7U);
  EXPECT_EQ(Evaluate("event.data.l[31] == 0", json).cost, 6U);
  EXPECT_EQ(Evaluate("event.data.l[64] == 1", json).cost, 8U);
  EXPECT_EQ(Evaluate("event.data.l.x == 1", json).cost, 4U);
  EXPECT_EQ(Evaluate("dyn(event.data.l).x == 1", json).cost, 4U);
}

TEST(ConditionLimitsTest, EvaluationEndsAtTheLimit) {
  const std::string list = R"({"l":[)" + Repeat("0,", 9'994) + R"(1],"x":"y"})";
  // event.data, .l, 1 and in, and 9,995 elements.
  const auto within = Evaluate("1 in event.data.l", list);
  EXPECT_EQ(within.outcome, Outcome::kHolds);
  EXPECT_EQ(within.cost, 9'999U);
  const auto at = Evaluate("!(1 in event.data.l)", list);
  EXPECT_EQ(at.outcome, Outcome::kDoesNotHold);
  EXPECT_EQ(at.cost, kConditionCostMax);
  const auto over = Evaluate("!!(1 in event.data.l)", list);
  EXPECT_EQ(over.outcome, Outcome::kOverCost);
  EXPECT_EQ(over.cost, kConditionCostMax + 1);
}

TEST(ConditionLimitsTest, NothingAbsorbsTheLimit) {
  const std::string json =
      R"({"l":[)" + Repeat("0,", 20'000) + R"(1],"t":")" + std::string(400'000, 't') + R"("})";
  const std::vector<std::string> sources = {
      "1 in event.data.l || true",     "1 in event.data.l && false",
      "!(1 in event.data.l)",          "(1 in event.data.l) ? true : true",
      "[1 in event.data.l] == [true]", "event.data.l == event.data.l",
      "event.data.l != event.data.l",  "event.data in [event.data]",
      "event.data.t == event.data.t",  "event.data.t <= event.data.t",
      "event.data.t.contains('x')",    "event.data.t.startsWith(event.data.t)",
      "size(event.data.t) == 0",       "event.data == event.data",
  };
  for (const auto& source : sources) {
    const auto verdict = Evaluate(source, json);
    EXPECT_EQ(verdict.outcome, Outcome::kOverCost) << source;
    EXPECT_EQ(verdict.cost, kConditionCostMax + 1) << source;
  }
  EXPECT_EQ(Evaluate("false && 1 in event.data.l", json).outcome, Outcome::kDoesNotHold);
  EXPECT_EQ(Evaluate("true || 1 in event.data.l", json).outcome, Outcome::kHolds);
}

TEST(ConditionLimitsTest, AWideMapIsOverTheLimitBeforeItIsSearched) {
  std::string json = R"({"m":{"k":0)";
  for (int i = 0; i < 60'000; ++i) {
    json += ",\"" + std::to_string(i) + "\":0";
  }
  json += "}}";
  EXPECT_EQ(Evaluate("event.data.m.k == 0", json).outcome, Outcome::kHolds);
  EXPECT_EQ(Evaluate("event.data.m == event.data.m", json).outcome, Outcome::kOverCost);
  EXPECT_EQ(
      Evaluate("event.data.m.a==0 || " + Repeat("event.data.m.k==1 || ", 6) + "true", json).outcome,
      Outcome::kOverCost);
}

}  // namespace
}  // namespace alertstream::engine

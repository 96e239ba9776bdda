// The conformance cases of the CEL specification that lie in our subset.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "processor/engine/conditions/condition.h"

namespace alertstream::engine {
namespace {

using Outcome = Condition::Outcome;

std::string Result(std::string_view source, std::string_view json) {
  const auto condition = Condition::Compile(source);
  if (!condition.ok()) {
    return condition.error().message();
  }
  schemas::JsonDocument document;
  EXPECT_TRUE(document.Parse(json).ok()) << json;
  const auto verdict = condition.value().Evaluate(
      {.id = "", .type = "", .source = "", .time = {}, .data = document.root()});
  if (verdict.outcome == Outcome::kHolds) {
    return "true";
  }
  return verdict.outcome == Outcome::kDoesNotHold ? "false" : "error";
}

TEST(CelConformanceTest, GivesTheResultsOfTheSpecification) {
  std::ifstream file(ALERTSTREAM_SOURCE_DIR
                     "/tests/unit/processor/engine/conditions/cel_conformance_cases.json");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  schemas::JsonDocument document;
  const Status status = document.Parse(text);
  ASSERT_TRUE(status.ok()) << status.error().message();
  const auto cases = document.root().Find("cases");
  ASSERT_TRUE(cases.has_value());
  EXPECT_GT(cases->size(), 300U);
  for (auto row = cases->first_child(); row; row = row->next_sibling()) {
    ASSERT_EQ(row->size(), 4U);
    const auto name = *row->first_child();
    const auto source = *name.next_sibling();
    const auto data = *source.next_sibling();
    const auto result = *data.next_sibling();
    EXPECT_EQ(Result(source.AsString(), data.AsString()), result.AsString())
        << name.AsString() << ": " << source.AsString();
  }
}

// The suite also has implementations round the largest int to a double before they compare
// (lt_literal/not_lt_dyn_int_big_lossy_double and three like it). The specification's text compares
// on one number line, and so do we.
TEST(CelConformanceTest, NeverRoundsAnIntToCompareIt) {
  EXPECT_EQ(Result("dyn(9223372036854775807) < 9223372036854775808.0", "{}"), "true");
  EXPECT_EQ(Result("dyn(9223372036854775808.0) > 9223372036854775807", "{}"), "true");
  EXPECT_EQ(Result("dyn(9223372036854775808.0) <= 9223372036854775807", "{}"), "false");
  EXPECT_EQ(Result("dyn(9223372036854775807) >= 9223372036854775808.0", "{}"), "false");
}

}  // namespace
}  // namespace alertstream::engine

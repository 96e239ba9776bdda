// The examples that the documentation runs: rules that apply, events that can be appended.
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ops/cli/rules_file.h"
#include "schemas/envelope_check.h"
#include "schemas/event_line.h"
#include "schemas/topics.h"

namespace alertstream::cli {
namespace {

struct Example {
  const char* name;
  std::size_t triggers;
  std::size_t events;
};

std::string PathOf(const Example& example, const char* file) {
  return std::string(ALERTSTREAM_SOURCE_DIR "/ops/examples/") + example.name + "/" + file;
}

class ExamplesTest : public ::testing::TestWithParam<Example> {};

TEST_P(ExamplesTest, RulesAreValidAndEventsAreAccepted) {
  std::vector<RuleProblem> problems;
  const auto set = LoadRules(PathOf(GetParam(), "rules"), "", &problems);
  ASSERT_TRUE(set.ok()) << set.error().message();
  ASSERT_EQ(set.value().changes.front().kind, "tenant");
  const std::string tenant = set.value().changes.front().tenant;
  std::set<std::string> wanted;
  std::size_t triggers = 0;
  for (const RuleChange& change : set.value().changes) {
    if (change.kind == "trigger") {
      ++triggers;
      wanted.insert(change.envelope.account_change().trigger().event_type());
    }
  }
  EXPECT_EQ(triggers, GetParam().triggers);

  std::ifstream file(PathOf(GetParam(), "events.jsonl"));
  std::set<std::string> seen;
  std::size_t events = 0;
  for (std::string line; std::getline(file, line);) {
    ++events;
    const auto event = schemas::DecodeEventLine(line, tenant);
    ASSERT_TRUE(event.ok()) << events << ": " << event.error().message();
    EXPECT_EQ(event.value().key, tenant);
    const auto fault =
        schemas::CheckEnvelope(schemas::Topic::kSiteEvents, tenant, event.value().envelope);
    EXPECT_FALSE(fault.has_value()) << events << ": " << fault->detail;
    seen.insert(event.value().envelope.type());
  }
  EXPECT_EQ(events, GetParam().events);
  for (const std::string& type : wanted) {
    EXPECT_TRUE(seen.contains(type)) << type;
  }
}

INSTANTIATE_TEST_SUITE_P(All, ExamplesTest,
                         ::testing::Values(Example{"payments", 4, 40}, Example{"github", 3, 7},
                                           Example{"monitoring", 2, 5}),
                         [](const auto& example) { return std::string(example.param.name); });

}  // namespace
}  // namespace alertstream::cli

#include "ops/seed/demo_rules.h"

#include <vector>

#include "ops/seed/demo_rules_text.h"

namespace alertstream::seed {

Result<cli::RuleSet> DemoRules() {
  std::vector<cli::RuleSource> sources;
  for (const auto& file : kDemoRuleFiles) {
    sources.push_back({.file = file.name, .text = file.text});
  }
  std::vector<cli::RuleProblem> problems;
  auto rules = cli::ReadRules(sources, "", &problems);
  if (!rules.ok() && !problems.empty()) {
    return Error(ErrorCode::kInvalid, cli::FormatRuleProblem(problems.front()));
  }
  return rules;
}

}  // namespace alertstream::seed

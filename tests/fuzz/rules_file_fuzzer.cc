// Bytes as a rule file, as YAML and as JSON: refused with places, or read into valid records.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ops/cli/rules_file.h"
#include "processor/base/check.h"
#include "schemas/envelope_check.h"
#include "schemas/topics.h"

namespace alertstream::cli {
namespace {

void CheckOne(std::string_view bytes, std::string_view file) {
  std::vector<RuleProblem> problems;
  const auto set =
      ReadRules({{.file = std::string(file), .text = std::string(bytes)}}, "acme", &problems);
  ALERTSTREAM_CHECK(set.ok() == problems.empty());
  ALERTSTREAM_CHECK(problems.size() <= api::kRuleProblemsMax);
  for (const RuleProblem& problem : problems) {
    ALERTSTREAM_CHECK(problem.line >= 0 && problem.column >= 0 && !problem.message.empty());
  }
  if (!set.ok()) {
    return;
  }
  for (const RuleChange& change : set.value().changes) {
    ALERTSTREAM_CHECK(
        !schemas::CheckEnvelope(schemas::Topic::kAccountChanges, change.tenant, change.envelope));
  }
}

}  // namespace
}  // namespace alertstream::cli

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  alertstream::cli::CheckOne(bytes, "fuzz.yaml");
  alertstream::cli::CheckOne(bytes, "fuzz.json");
  return 0;
}

// The rules of the demo: ops/examples/demo/rules, built into the program. Pure.
#pragma once

#include "ops/cli/rules_file.h"
#include "processor/base/result.h"

namespace alertstream::seed {

// kInvalid: the files are wrong; the message says where.
Result<cli::RuleSet> DemoRules();

}  // namespace alertstream::seed

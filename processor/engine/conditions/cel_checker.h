// The type-checker of CEL: gives every name and call its meaning and every node its static type.
// Pure. Used by Condition::Compile only.
#pragma once

#include <string_view>

#include "processor/base/result.h"
#include "processor/engine/conditions/cel_ast.h"

namespace alertstream::engine {

// Replaces timestamp("...") by its value. kInvalid with line and column: unknown names, functions
// and macros, operands whose types are known and do not fit, and a whole that is neither bool nor
// dyn. What depends on data is dyn and is left to the evaluation.
Status CheckCel(std::string_view source, CelAst* ast);

}  // namespace alertstream::engine

// The parser of CEL: source text to a syntax tree. Pure. Used by Condition::Compile only.
#pragma once

#include <string_view>

#include "processor/base/result.h"
#include "processor/engine/conditions/cel_ast.h"

namespace alertstream::engine {

// kInvalid with line and column: everything that is not an expression of the subset's grammar, and
// one with too many nodes or levels (condition.h).
// REQUIRES: `source` is UTF-8 of at most kConditionBytesMax.
Result<CelAst> ParseCel(std::string_view source);

}  // namespace alertstream::engine

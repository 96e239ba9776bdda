// The syntax tree of a condition, as the parser leaves it and the checker completes it. A value
// type that lives during compilation only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "processor/base/time.h"
#include "processor/engine/conditions/cel_source.h"

namespace alertstream::engine {

// A static type. `list_depth` 2 with kInt is list(list(int)); what is not known is dyn.
struct CelType {
  enum class Base : std::uint8_t { kDyn, kNull, kBool, kInt, kDouble, kString, kTimestamp, kEvent };
  Base base = Base::kDyn;
  std::uint8_t list_depth = 0;

  bool operator==(const CelType&) const = default;
  bool IsDyn() const { return base == Base::kDyn && list_depth == 0; }
  bool IsList() const { return list_depth > 0; }
  bool Is(Base other) const { return base == other && list_depth == 0; }
};

// "list(string)", as messages name it.
std::string CelTypeName(CelType type);

// The kinds are syntax: what a name or a call means is decided by the checker, so a function of CEL
// that is added later needs nothing new here.
enum class CelNodeKind : std::uint8_t {
  kNull,
  kBool,
  kInt,
  kDouble,
  kString,
  kTimestamp,   // Put by the checker in place of timestamp("...").
  kIdentifier,  // text
  kSelect,      // operands[0] . text
  kIndex,       // operands[0] [ operands[1] ]
  kCall,        // text ( operands ), or operands[0] . text ( the rest ) if has_target
  kList,
  kNot,
  kNegate,
  kAnd,  // Two or more operands, none of them a kAnd.
  kOr,   // Two or more operands, none of them a kOr.
  kConditional,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
};

using CelNodeId = std::uint32_t;

struct CelNode {
  CelNodeKind kind = CelNodeKind::kNull;
  bool has_target = false;
  bool bool_value = false;
  std::uint32_t offset = 0;  // Of the operator or the name: where errors point to.
  CelSpan span;              // All of it, with the parentheses around it.
  std::uint32_t depth = 1;   // Of the tree below, itself included.
  CelType type;              // Set by the checker.
  std::int64_t int_value = 0;
  double double_value = 0;
  LogTime time_value{};
  std::string text;
  std::vector<CelNodeId> operands;
};

struct CelAst {
  std::vector<CelNode> nodes;
  CelNodeId root = 0;
};

}  // namespace alertstream::engine

// RuleTree: a rule document as a flat tree, whatever it was written in: YAML files (ops/cli) or
// JSON over the API. Values without behaviour.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace alertstream::api {

enum class RuleNodeKind : std::uint8_t { kNull, kScalar, kSequence, kMap };

struct RuleNode {
  RuleNodeKind kind = RuleNodeKind::kNull;
  bool quoted = false;  // A scalar that is text, whatever it looks like.
  std::string text;
  int line = 0;  // From 1; 0: it was not written in lines.
  int column = 0;
  // Of a sequence its elements; of a map key, value, key, value. A node may be named more than
  // once, so nothing is copied, and reading is bounded by what the reader asks for.
  std::vector<std::uint32_t> children;
};

struct RuleTree {
  std::vector<RuleNode> nodes;
  std::uint32_t root = 0;  // REQUIRES: nodes is not empty.
};

}  // namespace alertstream::api

// YAML (and so JSON) text as a flat tree with positions: the one place that knows the YAML library.
// Pure; used by rules_file.cc. Everything is bounded before it is built: depth, nodes, documents.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "api/control/rule_tree.h"

namespace alertstream::cli {

// A rule is five levels deep; the library itself would recurse 500.
inline constexpr std::size_t kYamlDepthMax = 16;
// A file of the largest size holds about half as many when it is not made to hurt.
inline constexpr std::size_t kRuleNodesMax = 200'000;

using api::RuleNode;
using api::RuleNodeKind;
using api::RuleTree;

struct YamlProblem {
  int line = 0;
  int column = 0;
  std::string message;
};

// The documents of `text`, empty ones left out; false with the first problem. Explicit tags are
// refused: a rule has no type that needs one.
// REQUIRES: `text` is UTF-8 without U+0000.
bool ParseYaml(std::string_view text, std::size_t documents_max, std::vector<RuleTree>* documents,
               YamlProblem* problem);

}  // namespace alertstream::cli

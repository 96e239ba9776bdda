// YAML (and so JSON) text as a flat tree with positions: the one place that knows the YAML library.
// Pure; used by rules_file.cc. Everything is bounded before it is built: depth, nodes, documents.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "processor/base/result.h"

namespace alertstream::cli {

// A rule is five levels deep; the library itself would recurse 500.
inline constexpr std::size_t kYamlDepthMax = 16;
// A file of the largest size holds about half as many when it is not made to hurt.
inline constexpr std::size_t kYamlNodesMax = 200'000;

enum class YamlKind : std::uint8_t { kNull, kScalar, kSequence, kMap };

struct YamlNode {
  YamlKind kind = YamlKind::kNull;
  bool quoted = false;  // A scalar in quotes or in block style: text, whatever it looks like.
  std::string text;
  int line = 0;  // From 1.
  int column = 0;
  // Of a sequence its elements; of a map key, value, key, value. An alias is the index of the node
  // it names, so nothing is copied, and reading is bounded by what the reader asks for.
  std::vector<std::uint32_t> children;
};

struct YamlDocument {
  std::vector<YamlNode> nodes;
  std::uint32_t root = 0;  // REQUIRES: nodes is not empty.
};

struct YamlProblem {
  int line = 0;
  int column = 0;
  std::string message;
};

// The documents of `text`, empty ones left out; false with the first problem. Explicit tags are
// refused: a rule has no type that needs one.
// REQUIRES: `text` is UTF-8 without U+0000.
bool ParseYaml(std::string_view text, std::size_t documents_max,
               std::vector<YamlDocument>* documents, YamlProblem* problem);

}  // namespace alertstream::cli

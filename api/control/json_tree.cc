#include "api/control/json_tree.h"

#include <algorithm>
#include <utility>

#include "api/http/problem.h"

namespace alertstream::api {
namespace {

using schemas::JsonType;
using schemas::JsonValue;

// How much of `field` names its first step below `at`. Members may have names with a dot or a
// bracket: the longest member that is there wins; of one that is missing the name is a word.
std::size_t StepOf(std::string_view field, std::optional<JsonValue> at) {
  std::size_t length = std::min(field.find_first_of(".["), field.size());
  if (!at || at->type() != JsonType::kObject) {
    return length;
  }
  for (auto member = at->first_child(); member; member = member->next_sibling()) {
    const std::string_view name = member->name();
    const bool ends =
        name.size() == field.size() ||
        (name.size() < field.size() && (field[name.size()] == '.' || field[name.size()] == '['));
    if (name.size() > length && ends && field.starts_with(name)) {
      length = name.size();
    }
  }
  return length;
}

}  // namespace

std::uint32_t AddJson(JsonValue value, RuleTree* tree) {
  const auto index = static_cast<std::uint32_t>(tree->nodes.size());
  tree->nodes.emplace_back();
  RuleNode node;
  switch (value.type()) {
    case JsonType::kNull:
      break;
    case JsonType::kString:
      node = {.kind = RuleNodeKind::kScalar, .quoted = true, .text = std::string(value.AsString())};
      break;
    case JsonType::kBool:
    case JsonType::kInt:
    case JsonType::kDouble:
      node.kind = RuleNodeKind::kScalar;
      schemas::AppendJson(value, &node.text);
      break;
    case JsonType::kArray:
    case JsonType::kObject:
      node.kind = value.type() == JsonType::kArray ? RuleNodeKind::kSequence : RuleNodeKind::kMap;
      // Depth is bounded by the JSON profile.
      for (auto child = value.first_child(); child; child = child->next_sibling()) {
        if (value.type() == JsonType::kObject) {
          node.children.push_back(static_cast<std::uint32_t>(tree->nodes.size()));
          tree->nodes.push_back(
              {.kind = RuleNodeKind::kScalar, .quoted = true, .text = std::string(child->name())});
        }
        const std::uint32_t added = AddJson(*child, tree);
        node.children.push_back(added);
      }
      break;
  }
  tree->nodes[index] = std::move(node);
  return index;
}

std::string FieldPointer(std::optional<JsonValue> base, std::string_view field) {
  std::string pointer;
  std::optional<JsonValue> at = base;
  while (!field.empty()) {
    const std::size_t end = StepOf(field, at);
    std::string_view segment = field.substr(0, end);
    const bool object = at && at->type() == JsonType::kObject;
    if (!object && !segment.empty() && segment.back() == ']') {
      segment.remove_suffix(1);
    }
    pointer += http::PointerTo(segment).substr(1);
    at = object ? at->Find(segment) : std::nullopt;
    field.remove_prefix(std::min(end + 1, field.size()));
  }
  return pointer;
}

}  // namespace alertstream::api

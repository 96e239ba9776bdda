#include "processor/engine/conditions/cel_checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>

#include "processor/base/rfc3339.h"

namespace alertstream::engine {
namespace {

using Base = CelType::Base;

constexpr CelType kDyn{.base = Base::kDyn};
constexpr CelType kBool{.base = Base::kBool};

struct EventField {
  std::string_view name;
  CelType type;
};
constexpr EventField kEventFields[] = {
    {"id", {.base = Base::kString}},
    {"type", {.base = Base::kString}},
    {"source", {.base = Base::kString}},
    {"time", {.base = Base::kTimestamp}},
    {"data", kDyn},
};

constexpr std::string_view kFunctions =
    "has, size, startsWith, endsWith, contains, dyn or timestamp";
constexpr std::array<std::string_view, 5> kMacros = {"all", "exists", "exists_one", "filter",
                                                     "map"};
constexpr std::array<std::string_view, 3> kStringFunctions = {"startsWith", "endsWith", "contains"};

template <std::size_t kSize>
bool Contains(const std::array<std::string_view, kSize>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

CelType ElementOf(CelType list) {
  return {.base = list.base, .list_depth = static_cast<std::uint8_t>(list.list_depth - 1)};
}

CelType ListOf(CelType element) {
  return {.base = element.base, .list_depth = static_cast<std::uint8_t>(element.list_depth + 1)};
}

// Whether a value can be of both types.
bool Compatible(CelType a, CelType b) {
  while (a.IsList() && b.IsList()) {
    a = ElementOf(a);
    b = ElementOf(b);
  }
  return a.IsDyn() || b.IsDyn() || a == b;
}

// The type of a value that is of either type.
// REQUIRES: Compatible(a, b)
CelType Join(CelType a, CelType b) {
  if (a == b) {
    return a;
  }
  return {.base = Base::kDyn, .list_depth = std::min(a.list_depth, b.list_depth)};
}

bool IsNumber(CelType type) { return type.Is(Base::kInt) || type.Is(Base::kDouble); }

bool IsOrdered(CelType type) {
  return type.IsDyn() || IsNumber(type) || type.Is(Base::kString) || type.Is(Base::kBool) ||
         type.Is(Base::kTimestamp);
}

bool CanBe(CelType type, Base base) { return type.IsDyn() || type.Is(base); }

class Checker {
 public:
  Checker(std::string_view source, CelAst* ast) : source_(source), ast_(*ast) {}

  Status CheckRoot() {
    ALERTSTREAM_RETURN_IF_ERROR(CheckValue(ast_.root));
    const CelNode& root = ast_.nodes[ast_.root];
    if (!CanBe(root.type, Base::kBool)) {
      return ErrorAt(root.span.begin, fmt::format("expected a condition of type bool, found {}",
                                                  CelTypeName(root.type)));
    }
    return Status::Ok();
  }

 private:
  Error ErrorAt(std::size_t offset, std::string_view what) const {
    return CelErrorAt(source_, offset, what);
  }
  CelType TypeOf(CelNodeId id) const { return ast_.nodes[id].type; }

  Status Check(CelNodeId id);
  // Check, and `event` by itself is no value.
  Status CheckValue(CelNodeId id);
  Status CheckOperands(const CelNode& node);
  Status CheckIdentifier(CelNode& node);
  Status CheckSelect(CelNode& node);
  Status CheckIndex(CelNode& node);
  Status CheckList(CelNode& node);
  Status CheckLogical(CelNode& node, std::string_view symbol);
  Status CheckNegate(CelNode& node);
  Status CheckConditional(CelNode& node);
  Status CheckEquality(CelNode& node);
  Status CheckOrdering(CelNode& node);
  Status CheckIn(CelNode& node);
  Status CheckCall(CelNode& node);
  Status CheckHas(CelNode& node);
  Status CheckSize(CelNode& node);
  Status CheckDyn(CelNode& node);
  Status CheckStringFunction(CelNode& node);
  Status CheckTimestamp(CelNode& node);
  Status CheckForm(const CelNode& node, bool target, std::size_t arguments,
                   std::string_view example) const;
  Error Mismatch(const CelNode& node, std::string_view expected) const;

  std::string_view source_;
  CelAst& ast_;
};

// Recursive at most kConditionDepthMax deep: the parser has seen to it.
Status Checker::Check(CelNodeId id) {
  CelNode& node = ast_.nodes[id];
  switch (node.kind) {
    case CelNodeKind::kNull:
      node.type = {.base = Base::kNull};
      return Status::Ok();
    case CelNodeKind::kBool:
      node.type = kBool;
      return Status::Ok();
    case CelNodeKind::kInt:
      node.type = {.base = Base::kInt};
      return Status::Ok();
    case CelNodeKind::kDouble:
      node.type = {.base = Base::kDouble};
      return Status::Ok();
    case CelNodeKind::kString:
      node.type = {.base = Base::kString};
      return Status::Ok();
    case CelNodeKind::kTimestamp:
      node.type = {.base = Base::kTimestamp};
      return Status::Ok();
    case CelNodeKind::kIdentifier:
      return CheckIdentifier(node);
    case CelNodeKind::kSelect:
      return CheckSelect(node);
    case CelNodeKind::kIndex:
      return CheckIndex(node);
    case CelNodeKind::kCall:
      return CheckCall(node);
    case CelNodeKind::kList:
      return CheckList(node);
    case CelNodeKind::kNot:
      return CheckLogical(node, "!");
    case CelNodeKind::kNegate:
      return CheckNegate(node);
    case CelNodeKind::kAnd:
      return CheckLogical(node, "&&");
    case CelNodeKind::kOr:
      return CheckLogical(node, "||");
    case CelNodeKind::kConditional:
      return CheckConditional(node);
    case CelNodeKind::kEqual:
    case CelNodeKind::kNotEqual:
      return CheckEquality(node);
    case CelNodeKind::kLess:
    case CelNodeKind::kLessEqual:
    case CelNodeKind::kGreater:
    case CelNodeKind::kGreaterEqual:
      return CheckOrdering(node);
    case CelNodeKind::kIn:
      return CheckIn(node);
  }
  ALERTSTREAM_CHECK(false);
  return Status::Ok();
}

Status Checker::CheckValue(CelNodeId id) {
  ALERTSTREAM_RETURN_IF_ERROR(Check(id));
  const CelNode& node = ast_.nodes[id];
  if (node.type.Is(Base::kEvent)) {
    return ErrorAt(node.offset,
                   "expected a field of event (event.id, .type, .source, .time, .data), found "
                   "'event' by itself");
  }
  return Status::Ok();
}

Status Checker::CheckOperands(const CelNode& node) {
  for (const CelNodeId operand : node.operands) {
    ALERTSTREAM_RETURN_IF_ERROR(CheckValue(operand));
  }
  return Status::Ok();
}

Error Checker::Mismatch(const CelNode& node, std::string_view expected) const {
  return ErrorAt(node.offset, fmt::format("expected {}, found {} and {}", expected,
                                          CelTypeName(TypeOf(node.operands[0])),
                                          CelTypeName(TypeOf(node.operands[1]))));
}

Status Checker::CheckIdentifier(CelNode& node) {
  if (node.text != "event") {
    return ErrorAt(node.offset, fmt::format("expected 'event', found '{:.40}'", node.text));
  }
  node.type = {.base = Base::kEvent};
  return Status::Ok();
}

Status Checker::CheckSelect(CelNode& node) {
  ALERTSTREAM_RETURN_IF_ERROR(Check(node.operands[0]));
  const CelType type = TypeOf(node.operands[0]);
  if (type.Is(Base::kEvent)) {
    for (const auto& field : kEventFields) {
      if (node.text == field.name) {
        node.type = field.type;
        return Status::Ok();
      }
    }
    return ErrorAt(node.offset,
                   fmt::format("expected a field of event (id, type, source, time, data), found "
                               "'{:.40}'",
                               node.text));
  }
  if (!type.IsDyn()) {
    return ErrorAt(node.offset, fmt::format("expected a map before '.{:.40}', found {}", node.text,
                                            CelTypeName(type)));
  }
  node.type = kDyn;
  return Status::Ok();
}

Status Checker::CheckIndex(CelNode& node) {
  ALERTSTREAM_RETURN_IF_ERROR(CheckOperands(node));
  const CelType target = TypeOf(node.operands[0]);
  const CelType key = TypeOf(node.operands[1]);
  if (target.IsList()) {
    if (!CanBe(key, Base::kInt)) {
      return ErrorAt(node.offset,
                     fmt::format("expected an int as index, found {}", CelTypeName(key)));
    }
    node.type = ElementOf(target);
    return Status::Ok();
  }
  if (!target.IsDyn()) {
    return ErrorAt(node.offset,
                   fmt::format("expected a list or map before '[', found {}", CelTypeName(target)));
  }
  if (!CanBe(key, Base::kString) && !IsNumber(key) && !key.Is(Base::kBool)) {
    return ErrorAt(node.offset,
                   fmt::format("expected a string or an int as index, found {}", CelTypeName(key)));
  }
  node.type = kDyn;
  return Status::Ok();
}

Status Checker::CheckList(CelNode& node) {
  ALERTSTREAM_RETURN_IF_ERROR(CheckOperands(node));
  CelType element = node.operands.empty() ? kDyn : TypeOf(node.operands[0]);
  for (const CelNodeId operand : node.operands) {
    if (TypeOf(operand) != element) {
      element = kDyn;
    }
  }
  node.type = ListOf(element);
  return Status::Ok();
}

Status Checker::CheckLogical(CelNode& node, std::string_view symbol) {
  ALERTSTREAM_RETURN_IF_ERROR(CheckOperands(node));
  for (const CelNodeId operand : node.operands) {
    if (!CanBe(TypeOf(operand), Base::kBool)) {
      return ErrorAt(ast_.nodes[operand].span.begin,
                     fmt::format("expected a bool as operand of {}, found {}", symbol,
                                 CelTypeName(TypeOf(operand))));
    }
  }
  node.type = kBool;
  return Status::Ok();
}

Status Checker::CheckNegate(CelNode& node) {
  ALERTSTREAM_RETURN_IF_ERROR(CheckOperands(node));
  const CelType type = TypeOf(node.operands[0]);
  if (!type.IsDyn() && !IsNumber(type)) {
    return ErrorAt(node.offset,
                   fmt::format("expected a number after -, found {}", CelTypeName(type)));
  }
  node.type = type;
  return Status::Ok();
}

Status Checker::CheckConditional(CelNode& node) {
  ALERTSTREAM_RETURN_IF_ERROR(CheckOperands(node));
  const CelNode& condition = ast_.nodes[node.operands[0]];
  if (!CanBe(condition.type, Base::kBool)) {
    return ErrorAt(condition.span.begin,
                   fmt::format("expected a bool before ?, found {}", CelTypeName(condition.type)));
  }
  const CelType then = TypeOf(node.operands[1]);
  const CelType otherwise = TypeOf(node.operands[2]);
  if (!Compatible(then, otherwise)) {
    return ErrorAt(node.offset,
                   fmt::format("expected two values of one type around ':', found {} and {}",
                               CelTypeName(then), CelTypeName(otherwise)));
  }
  node.type = Join(then, otherwise);
  return Status::Ok();
}

Status Checker::CheckEquality(CelNode& node) {
  ALERTSTREAM_RETURN_IF_ERROR(CheckOperands(node));
  if (!Compatible(TypeOf(node.operands[0]), TypeOf(node.operands[1]))) {
    return Mismatch(node, fmt::format("two values of one type around {}",
                                      node.kind == CelNodeKind::kEqual ? "==" : "!="));
  }
  node.type = kBool;
  return Status::Ok();
}

Status Checker::CheckOrdering(CelNode& node) {
  ALERTSTREAM_RETURN_IF_ERROR(CheckOperands(node));
  const CelType left = TypeOf(node.operands[0]);
  const CelType right = TypeOf(node.operands[1]);
  const bool comparable = Compatible(left, right) || (IsNumber(left) && IsNumber(right));
  if (!comparable || !IsOrdered(left) || !IsOrdered(right)) {
    return Mismatch(node, "two numbers, strings, bools or timestamps to compare");
  }
  node.type = kBool;
  return Status::Ok();
}

Status Checker::CheckIn(CelNode& node) {
  ALERTSTREAM_RETURN_IF_ERROR(CheckOperands(node));
  const CelType element = TypeOf(node.operands[0]);
  const CelType container = TypeOf(node.operands[1]);
  const bool fits =
      container.IsList() ? Compatible(element, ElementOf(container)) : container.IsDyn();
  if (!fits) {
    return Mismatch(node, "a value and a list of such values, or a map, around in");
  }
  node.type = kBool;
  return Status::Ok();
}

Status Checker::CheckCall(CelNode& node) {
  if (Contains(kMacros, node.text)) {
    return ErrorAt(node.offset,
                   fmt::format("macro '{}' is not supported, expected {}", node.text, kFunctions));
  }
  if (node.text == "has") {
    return CheckHas(node);
  }
  if (node.text == "size") {
    return CheckSize(node);
  }
  if (node.text == "dyn") {
    return CheckDyn(node);
  }
  if (node.text == "timestamp") {
    return CheckTimestamp(node);
  }
  if (Contains(kStringFunctions, node.text)) {
    return CheckStringFunction(node);
  }
  return ErrorAt(node.offset, fmt::format("function '{:.40}' is not supported, expected {}",
                                          node.text, kFunctions));
}

// `arguments` counts the target.
Status Checker::CheckForm(const CelNode& node, bool target, std::size_t arguments,
                          std::string_view example) const {
  if (node.has_target != target || node.operands.size() != arguments) {
    return ErrorAt(node.offset, fmt::format("expected {}, found a call of '{}' in another form",
                                            example, node.text));
  }
  return Status::Ok();
}

Status Checker::CheckHas(CelNode& node) {
  constexpr std::string_view kExample = "has(event.data.name)";
  ALERTSTREAM_RETURN_IF_ERROR(CheckForm(node, /*target=*/false, 1, kExample));
  const CelNode& field = ast_.nodes[node.operands[0]];
  if (field.kind != CelNodeKind::kSelect) {
    return ErrorAt(field.span.begin,
                   fmt::format("expected a field as in {}, found another expression", kExample));
  }
  ALERTSTREAM_RETURN_IF_ERROR(CheckOperands(node));
  node.type = kBool;
  return Status::Ok();
}

Status Checker::CheckSize(CelNode& node) {
  ALERTSTREAM_RETURN_IF_ERROR(CheckForm(node, node.has_target, 1, "size(value) or value.size()"));
  ALERTSTREAM_RETURN_IF_ERROR(CheckOperands(node));
  const CelType type = TypeOf(node.operands[0]);
  if (!CanBe(type, Base::kString) && !type.IsList()) {
    return ErrorAt(node.offset, fmt::format("expected the size of a string, list or map, found {}",
                                            CelTypeName(type)));
  }
  node.type = {.base = Base::kInt};
  return Status::Ok();
}

Status Checker::CheckDyn(CelNode& node) {
  ALERTSTREAM_RETURN_IF_ERROR(CheckForm(node, /*target=*/false, 1, "dyn(value)"));
  ALERTSTREAM_RETURN_IF_ERROR(CheckOperands(node));
  node.type = kDyn;
  return Status::Ok();
}

Status Checker::CheckStringFunction(CelNode& node) {
  ALERTSTREAM_RETURN_IF_ERROR(
      CheckForm(node, /*target=*/true, 2, fmt::format("text.{}(\"part\")", node.text)));
  ALERTSTREAM_RETURN_IF_ERROR(CheckOperands(node));
  if (!CanBe(TypeOf(node.operands[0]), Base::kString) ||
      !CanBe(TypeOf(node.operands[1]), Base::kString)) {
    return Mismatch(node, fmt::format("two strings for {}", node.text));
  }
  node.type = kBool;
  return Status::Ok();
}

Status Checker::CheckTimestamp(CelNode& node) {
  constexpr std::string_view kExample = "timestamp(\"2026-01-31T23:59:59Z\")";
  ALERTSTREAM_RETURN_IF_ERROR(CheckForm(node, /*target=*/false, 1, kExample));
  const CelNode& text = ast_.nodes[node.operands[0]];
  if (text.kind != CelNodeKind::kString) {
    return ErrorAt(
        text.span.begin,
        fmt::format("expected a string literal as in {}, found another expression", kExample));
  }
  const auto time = ParseRfc3339(text.text);
  if (!time.ok()) {
    return ErrorAt(text.span.begin, time.error().message());
  }
  node.kind = CelNodeKind::kTimestamp;
  node.time_value = time.value();
  node.type = {.base = Base::kTimestamp};
  node.operands.clear();
  return Status::Ok();
}

}  // namespace

std::string CelTypeName(CelType type) {
  constexpr std::string_view kNames[] = {"dyn",    "null",   "bool",      "int",
                                         "double", "string", "timestamp", "event"};
  if (type.IsList()) {
    return fmt::format("list({})", CelTypeName(ElementOf(type)));
  }
  return std::string(kNames[static_cast<std::size_t>(type.base)]);
}

Status CheckCel(std::string_view source, CelAst* ast) { return Checker(source, ast).CheckRoot(); }

}  // namespace alertstream::engine

#include "processor/engine/conditions/cel_program.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "processor/base/check.h"

namespace alertstream::engine {
namespace {

// The operation of an operator or call whose operands are evaluated in order.
CelOpKind OpOf(const CelNode& node) {
  switch (node.kind) {
    case CelNodeKind::kNot:
      return CelOpKind::kNot;
    case CelNodeKind::kNegate:
      return CelOpKind::kNegate;
    case CelNodeKind::kAnd:
      return CelOpKind::kAnd;
    case CelNodeKind::kOr:
      return CelOpKind::kOr;
    case CelNodeKind::kConditional:
      return CelOpKind::kConditional;
    case CelNodeKind::kEqual:
      return CelOpKind::kEqual;
    case CelNodeKind::kNotEqual:
      return CelOpKind::kNotEqual;
    case CelNodeKind::kLess:
      return CelOpKind::kLess;
    case CelNodeKind::kLessEqual:
      return CelOpKind::kLessEqual;
    case CelNodeKind::kGreater:
      return CelOpKind::kGreater;
    case CelNodeKind::kGreaterEqual:
      return CelOpKind::kGreaterEqual;
    case CelNodeKind::kIn:
      return CelOpKind::kIn;
    case CelNodeKind::kIndex:
      return CelOpKind::kIndex;
    case CelNodeKind::kList:
      return CelOpKind::kList;
    case CelNodeKind::kCall:
      if (node.text == "size") {
        return CelOpKind::kSize;
      }
      if (node.text == "startsWith") {
        return CelOpKind::kStartsWith;
      }
      if (node.text == "endsWith") {
        return CelOpKind::kEndsWith;
      }
      ALERTSTREAM_CHECK(node.text == "contains");
      return CelOpKind::kContains;
    case CelNodeKind::kNull:
    case CelNodeKind::kBool:
    case CelNodeKind::kInt:
    case CelNodeKind::kDouble:
    case CelNodeKind::kString:
    case CelNodeKind::kTimestamp:
    case CelNodeKind::kIdentifier:
    case CelNodeKind::kSelect:
      break;
  }
  ALERTSTREAM_CHECK(false);
  return CelOpKind::kConstant;
}

// A program while its parts are still being collected.
struct Draft {
  std::vector<CelOp> ops;
  std::vector<std::uint32_t> operands;
  std::vector<CelStep> steps;
  std::vector<CelValue> constants;
  std::size_t scratch_values = 0;
  std::vector<CelConjunct> conjuncts;
  std::vector<Condition::RequiredEquality> required_equalities;
  std::deque<std::string> strings;          // What steps and constants point to: a deque, because
  std::deque<std::vector<CelValue>> lists;  // its elements never move.
};

// Recursion is at most kConditionDepthMax deep: the parser has seen to it.
class Builder {
 public:
  Builder(const CelAst& ast, Draft* draft) : ast_(ast), draft_(*draft) {}

  std::uint32_t Build(CelNodeId id);
  void AddConjuncts();

 private:
  const CelNode& At(CelNodeId id) const { return ast_.nodes[id]; }

  // `.name`, or an index by a string literal, which means the same.
  bool IsMember(const CelNode& node) const {
    return node.kind == CelNodeKind::kSelect ||
           (node.kind == CelNodeKind::kIndex && At(node.operands[1]).kind == CelNodeKind::kString);
  }
  const std::string& MemberName(const CelNode& member) const {
    return member.kind == CelNodeKind::kSelect ? member.text : At(member.operands[1]).text;
  }
  // The value of a literal, or of a list of them.
  std::optional<CelValue> Constant(const CelNode& node);
  // The members below event.data that lead to the node, outermost first; nothing if it is no path.
  std::optional<std::vector<CelStep>> Path(CelNodeId id);
  bool IsEvent(CelNodeId id) const { return At(id).kind == CelNodeKind::kIdentifier; }
  std::uint32_t BuildSelect(CelNodeId id);
  std::uint32_t BuildHas(const CelNode& node);
  std::uint32_t BuildLookup(CelOpKind kind, const CelNode& member);
  std::uint32_t BuildOperator(const CelNode& node);
  std::uint32_t Add(CelOp op);
  std::uint32_t AddConstant(CelValue value, std::uint32_t offset);
  std::uint32_t AddStep(CelStep step);
  std::string_view Own(const std::string& text) { return draft_.strings.emplace_back(text); }
  void AddRequiredEquality(const CelNode& node);

  const CelAst& ast_;
  Draft& draft_;
};

std::uint32_t Builder::Add(CelOp op) {
  draft_.ops.push_back(op);
  return static_cast<std::uint32_t>(draft_.ops.size() - 1);
}

std::uint32_t Builder::AddConstant(CelValue value, std::uint32_t offset) {
  draft_.constants.push_back(value);
  return Add({.kind = CelOpKind::kConstant,
              .offset = offset,
              .first = static_cast<std::uint32_t>(draft_.constants.size() - 1)});
}

std::uint32_t Builder::AddStep(CelStep step) {
  draft_.steps.push_back(step);
  return static_cast<std::uint32_t>(draft_.steps.size() - 1);
}

std::uint32_t Builder::Build(CelNodeId id) {
  const CelNode& node = At(id);
  if (const auto constant = Constant(node)) {
    return AddConstant(*constant, node.offset);
  }
  if (IsMember(node)) {
    return BuildSelect(id);
  }
  if (node.kind == CelNodeKind::kCall && node.text == "dyn") {
    return Build(node.operands[0]);
  }
  if (node.kind == CelNodeKind::kCall && node.text == "has") {
    return BuildHas(node);
  }
  return BuildOperator(node);
}

std::optional<CelValue> Builder::Constant(const CelNode& node) {
  switch (node.kind) {
    case CelNodeKind::kNull:
      return CelValue();
    case CelNodeKind::kBool:
      return CelValue::Bool(node.bool_value);
    case CelNodeKind::kInt:
      return CelValue::Int(node.int_value);
    case CelNodeKind::kDouble:
      return CelValue::Double(node.double_value);
    case CelNodeKind::kString:
      return CelValue::String(Own(node.text));
    case CelNodeKind::kTimestamp:
      return CelValue::Timestamp(node.time_value);
    case CelNodeKind::kList:
      break;
    case CelNodeKind::kIdentifier:
    case CelNodeKind::kSelect:
    case CelNodeKind::kIndex:
    case CelNodeKind::kCall:
    case CelNodeKind::kNot:
    case CelNodeKind::kNegate:
    case CelNodeKind::kAnd:
    case CelNodeKind::kOr:
    case CelNodeKind::kConditional:
    case CelNodeKind::kEqual:
    case CelNodeKind::kNotEqual:
    case CelNodeKind::kLess:
    case CelNodeKind::kLessEqual:
    case CelNodeKind::kGreater:
    case CelNodeKind::kGreaterEqual:
    case CelNodeKind::kIn:
      return std::nullopt;
  }
  std::vector<CelValue> elements;
  for (const CelNodeId operand : node.operands) {
    const auto element = Constant(At(operand));
    if (!element) {
      return std::nullopt;
    }
    elements.push_back(*element);
  }
  const auto& list = draft_.lists.emplace_back(std::move(elements));
  return CelValue::List(list.data(), list.size());
}

std::optional<std::vector<CelStep>> Builder::Path(CelNodeId id) {
  const CelNode& node = At(id);
  if (node.kind == CelNodeKind::kSelect && IsEvent(node.operands[0])) {
    return node.text == "data" ? std::optional(std::vector<CelStep>()) : std::nullopt;
  }
  if (!IsMember(node)) {
    return std::nullopt;
  }
  auto path = Path(node.operands[0]);
  if (path) {
    path->push_back({.name = MemberName(node), .offset = node.offset});
  }
  return path;
}

std::uint32_t Builder::BuildSelect(CelNodeId id) {
  const CelNode& node = At(id);
  if (const auto path = Path(id)) {
    const auto first = static_cast<std::uint32_t>(draft_.steps.size());
    for (const CelStep& step : *path) {
      AddStep({.name = Own(std::string(step.name)), .offset = step.offset});
    }
    return Add({.kind = CelOpKind::kData,
                .offset = node.offset,
                .first = first,
                .count = static_cast<std::uint32_t>(path->size())});
  }
  if (IsEvent(node.operands[0])) {
    const CelOpKind kind = node.text == "id"       ? CelOpKind::kEventId
                           : node.text == "type"   ? CelOpKind::kEventType
                           : node.text == "source" ? CelOpKind::kEventSource
                                                   : CelOpKind::kEventTime;
    return Add({.kind = kind, .offset = node.offset});
  }
  return BuildLookup(CelOpKind::kSelect, node);
}

std::uint32_t Builder::BuildLookup(CelOpKind kind, const CelNode& member) {
  const std::uint32_t operand = Build(member.operands[0]);
  draft_.operands.push_back(operand);
  return Add({.kind = kind,
              .offset = member.offset,
              .first = static_cast<std::uint32_t>(draft_.operands.size() - 1),
              .count = 1,
              .step = AddStep({.name = Own(MemberName(member)), .offset = member.offset})});
}

std::uint32_t Builder::BuildHas(const CelNode& node) {
  const CelNode& field = At(node.operands[0]);
  if (IsEvent(field.operands[0])) {
    return field.text == "data" ? Add({.kind = CelOpKind::kHasData, .offset = node.offset})
                                : AddConstant(CelValue::Bool(true), node.offset);
  }
  return BuildLookup(CelOpKind::kHas, field);
}

std::uint32_t Builder::BuildOperator(const CelNode& node) {
  std::vector<std::uint32_t> operands;
  for (const CelNodeId operand : node.operands) {
    operands.push_back(Build(operand));
  }
  const CelOp op{
      .kind = OpOf(node),
      .offset = node.offset,
      .first = static_cast<std::uint32_t>(draft_.operands.size()),
      .count = static_cast<std::uint32_t>(operands.size()),
  };
  draft_.operands.insert(draft_.operands.end(), operands.begin(), operands.end());
  if (op.kind == CelOpKind::kList) {
    draft_.scratch_values += operands.size();
  }
  return Add(op);
}

void Builder::AddConjuncts() {
  const CelNode& root = At(ast_.root);
  const auto whole = static_cast<std::uint32_t>(draft_.ops.size() - 1);
  if (root.kind != CelNodeKind::kAnd) {
    draft_.conjuncts.push_back({.op = whole, .span = root.span});
    AddRequiredEquality(root);
    return;
  }
  const CelOp& all = draft_.ops[whole];
  for (std::uint32_t i = 0; i < all.count; ++i) {
    const CelNode& conjunct = At(root.operands[i]);
    draft_.conjuncts.push_back({.op = draft_.operands[all.first + i], .span = conjunct.span});
    AddRequiredEquality(conjunct);
  }
}

void Builder::AddRequiredEquality(const CelNode& node) {
  if (node.kind != CelNodeKind::kEqual) {
    return;
  }
  auto path = Path(node.operands[0]);
  const CelNode& literal = At(node.operands[path ? 1 : 0]);
  if (!path) {
    path = Path(node.operands[1]);
  }
  if (!path || path->empty()) {
    return;
  }
  Condition::RequiredEquality equality;
  for (const CelStep& step : *path) {
    if (step.name.empty() || step.name.find('.') != std::string_view::npos) {
      return;
    }
    equality.path += equality.path.empty() ? "" : ".";
    equality.path += step.name;
  }
  if (literal.kind == CelNodeKind::kString) {
    equality.literal = literal.text;
  } else if (literal.kind == CelNodeKind::kInt) {
    equality.literal = literal.int_value;
  } else if (literal.kind == CelNodeKind::kDouble) {
    equality.literal = literal.double_value;
  } else if (literal.kind == CelNodeKind::kBool) {
    equality.literal = literal.bool_value;
  } else {
    return;
  }
  draft_.required_equalities.push_back(std::move(equality));
}

}  // namespace

CelValue CelValue::Error(Condition::Outcome error, std::uint32_t offset) {
  CelValue value;
  value.kind = Kind::kError;
  value.error = error;
  value.size = offset;
  return value;
}

CelValue CelValue::Bool(bool value) {
  CelValue result;
  result.kind = Kind::kBool;
  result.bool_value = value;
  return result;
}

CelValue CelValue::Int(std::int64_t value) {
  CelValue result;
  result.kind = Kind::kInt;
  result.int_value = value;
  return result;
}

CelValue CelValue::Double(double value) {
  CelValue result;
  result.kind = Kind::kDouble;
  result.double_value = value;
  return result;
}

CelValue CelValue::String(std::string_view value) {
  CelValue result;
  result.kind = Kind::kString;
  result.string_value = value;
  return result;
}

CelValue CelValue::Timestamp(LogTime value) {
  CelValue result;
  result.kind = Kind::kTimestamp;
  result.int_value = ToMicros(value);
  return result;
}

CelValue CelValue::List(const CelValue* elements, std::size_t size) {
  CelValue result;
  result.kind = Kind::kList;
  result.size = static_cast<std::uint32_t>(size);
  result.elements = elements;
  return result;
}

CelValue CelValue::Json(schemas::JsonValue value) {
  switch (value.type()) {
    case schemas::JsonType::kNull:
      return {};
    case schemas::JsonType::kBool:
      return Bool(value.AsBool());
    case schemas::JsonType::kInt:
      return Int(value.AsInt());
    case schemas::JsonType::kDouble:
      return Double(value.AsDouble());
    case schemas::JsonType::kString:
      return String(value.AsString());
    case schemas::JsonType::kArray:
    case schemas::JsonType::kObject:
      break;
  }
  CelValue result;
  result.kind = value.type() == schemas::JsonType::kArray ? Kind::kJsonList : Kind::kJsonMap;
  result.json = value;
  return result;
}

namespace {

// Copies the parts of a draft behind a program, and makes them point at the copies.
class Packer {
 public:
  Packer(std::string_view source, const Draft& draft) : source_(source), draft_(draft) {}
  std::unique_ptr<const CelProgram> Pack();

 private:
  // In this order no part needs padding before it.
  static_assert(alignof(CelStep) == alignof(CelValue) && alignof(CelValue) <= alignof(CelProgram) &&
                alignof(CelOp) == alignof(std::uint32_t) &&
                alignof(CelConjunct) == alignof(std::uint32_t));
  static_assert(std::is_trivially_copyable_v<CelStep> && std::is_trivially_copyable_v<CelValue> &&
                std::is_trivially_copyable_v<CelOp> && std::is_trivially_copyable_v<CelConjunct>);

  template <typename T>
  T* Take(std::size_t count) {
    T* taken = reinterpret_cast<T*>(at_);
    at_ += count * sizeof(T);
    return taken;
  }
  template <typename T>
  std::span<const T> Copy(const std::vector<T>& values) {
    T* copies = Take<T>(values.size());
    std::uninitialized_copy(values.begin(), values.end(), copies);
    return {copies, values.size()};
  }
  std::string_view CopyText(std::string_view text);
  CelValue CopyValue(CelValue value);

  const std::string_view source_;
  const Draft& draft_;
  char* at_ = nullptr;
  CelValue* elements_ = nullptr;
  char* text_ = nullptr;
};

std::string_view Packer::CopyText(std::string_view text) {
  char* copy = text_;
  text_ = std::copy(text.begin(), text.end(), text_);
  return {copy, text.size()};
}

CelValue Packer::CopyValue(CelValue value) {
  if (value.kind == CelValue::Kind::kString) {
    value.string_value = CopyText(value.string_value);
  } else if (value.kind == CelValue::Kind::kList) {
    CelValue* elements = elements_;
    elements_ += value.size;
    for (std::uint32_t i = 0; i < value.size; ++i) {
      new (elements + i) CelValue(CopyValue(value.elements[i]));
    }
    value.elements = elements;
  }
  return value;
}

std::unique_ptr<const CelProgram> Packer::Pack() {
  std::size_t elements = 0;
  for (const auto& list : draft_.lists) {
    elements += list.size();
  }
  std::size_t text = source_.size();
  for (const auto& string : draft_.strings) {
    text += string.size();
  }
  const CelProgram::Behind behind{draft_.steps.size() * sizeof(CelStep) +
                                  (draft_.constants.size() + elements) * sizeof(CelValue) +
                                  draft_.ops.size() * sizeof(CelOp) +
                                  draft_.operands.size() * sizeof(std::uint32_t) +
                                  draft_.conjuncts.size() * sizeof(CelConjunct) + text};
  std::unique_ptr<CelProgram> program(new (behind) CelProgram());
  at_ = reinterpret_cast<char*>(program.get() + 1);
  auto* steps = Take<CelStep>(draft_.steps.size());
  auto* constants = Take<CelValue>(draft_.constants.size());
  elements_ = Take<CelValue>(elements);
  program->ops = Copy(draft_.ops);
  program->operands = Copy(draft_.operands);
  program->conjuncts = Copy(draft_.conjuncts);
  text_ = at_;
  for (std::size_t i = 0; i < draft_.steps.size(); ++i) {
    const CelStep& step = draft_.steps[i];
    new (steps + i) CelStep{.name = CopyText(step.name), .offset = step.offset};
  }
  for (std::size_t i = 0; i < draft_.constants.size(); ++i) {
    new (constants + i) CelValue(CopyValue(draft_.constants[i]));
  }
  program->steps = {steps, draft_.steps.size()};
  program->constants = {constants, draft_.constants.size()};
  program->source = CopyText(source_);
  program->scratch_values = draft_.scratch_values;
  program->required_equalities = draft_.required_equalities;
  return program;
}

}  // namespace

std::unique_ptr<const CelProgram> BuildCelProgram(std::string_view source, const CelAst& ast) {
  Draft draft;
  Builder builder(ast, &draft);
  builder.Build(ast.root);
  builder.AddConjuncts();
  return Packer(source, draft).Pack();
}

}  // namespace alertstream::engine

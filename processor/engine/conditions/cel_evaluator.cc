#include "processor/engine/conditions/cel_evaluator.h"

#include <string.h>

#include <algorithm>
#include <compare>
#include <limits>
#include <optional>

namespace alertstream::engine {
namespace {

using Kind = CelValue::Kind;
using Outcome = Condition::Outcome;

CelValue OverCost(std::uint32_t offset) { return CelValue::Error(Outcome::kOverCost, offset); }
CelValue TypeError(const CelOp& op) { return CelValue::Error(Outcome::kTypeError, op.offset); }
CelValue Absent(std::uint32_t offset) { return CelValue::Error(Outcome::kFieldAbsent, offset); }

bool IsList(const CelValue& value) {
  return value.kind == Kind::kList || value.kind == Kind::kJsonList;
}

std::size_t ListSize(const CelValue& list) {
  return list.kind == Kind::kList ? list.size : list.json.size();
}

// Walks a list of either kind from its start.
class ListCursor {
 public:
  explicit ListCursor(const CelValue& list) : list_(list) {
    if (list.kind == Kind::kJsonList) {
      child_ = list.json.first_child();
    }
  }
  bool AtEnd() const { return list_.kind == Kind::kList ? at_ == list_.size : !child_.has_value(); }
  // REQUIRES: !AtEnd()
  CelValue Next() {
    if (list_.kind == Kind::kList) {
      return list_.elements[at_++];
    }
    const CelValue value = CelValue::Json(*child_);
    child_ = child_->next_sibling();
    return value;
  }

 private:
  const CelValue& list_;
  std::uint32_t at_ = 0;
  std::optional<schemas::JsonValue> child_;
};

constexpr double kTwoTo63 = 9223372036854775808.0;

// Exact: the int never becomes a double.
// REQUIRES: `right` is not NaN.
std::strong_ordering CompareNumbers(std::int64_t left, double right) {
  if (right >= kTwoTo63) {
    return std::strong_ordering::less;
  }
  if (right < -kTwoTo63) {
    return std::strong_ordering::greater;
  }
  const auto whole = static_cast<std::int64_t>(right);
  if (left != whole) {
    return left <=> whole;
  }
  const double fraction = right - static_cast<double>(whole);
  if (fraction == 0) {
    return std::strong_ordering::equal;
  }
  return fraction > 0 ? std::strong_ordering::less : std::strong_ordering::greater;
}

// Neither JSON nor a literal can be NaN or infinite.
std::strong_ordering CompareDoubles(double left, double right) {
  if (left == right) {
    return std::strong_ordering::equal;
  }
  return left < right ? std::strong_ordering::less : std::strong_ordering::greater;
}

std::strong_ordering Reverse(std::strong_ordering order) {
  if (std::is_eq(order)) {
    return order;
  }
  return std::is_lt(order) ? std::strong_ordering::greater : std::strong_ordering::less;
}

bool AreNumbers(const CelValue& left, const CelValue& right) {
  return (left.kind == Kind::kInt || left.kind == Kind::kDouble) &&
         (right.kind == Kind::kInt || right.kind == Kind::kDouble);
}

// REQUIRES: AreNumbers
std::strong_ordering CompareNumbers(const CelValue& left, const CelValue& right) {
  if (left.kind == Kind::kInt && right.kind == Kind::kInt) {
    return left.int_value <=> right.int_value;
  }
  if (left.kind == Kind::kInt) {
    return CompareNumbers(left.int_value, right.double_value);
  }
  if (right.kind == Kind::kInt) {
    return Reverse(CompareNumbers(right.int_value, left.double_value));
  }
  return CompareDoubles(left.double_value, right.double_value);
}

// Bytes of UTF-8 compare as the code points they stand for.
std::strong_ordering CompareStrings(std::string_view left, std::string_view right) {
  return left.compare(right) <=> 0;
}

bool Satisfies(CelOpKind kind, std::strong_ordering order) {
  if (kind == CelOpKind::kLess) {
    return std::is_lt(order);
  }
  if (kind == CelOpKind::kLessEqual) {
    return std::is_lteq(order);
  }
  if (kind == CelOpKind::kGreater) {
    return std::is_gt(order);
  }
  return std::is_gteq(order);
}

// Linear in both, unlike string_view::find.
bool HasPart(std::string_view text, std::string_view part) {
  return memmem(text.data(), text.size(), part.data(), part.size()) != nullptr;
}

std::int64_t CountCodePoints(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; });
}

// The index that `key` means; nothing if it means none. Doubles without a fraction do.
std::optional<std::int64_t> IndexOf(const CelValue& key) {
  if (key.kind == Kind::kInt) {
    return key.int_value;
  }
  if (key.kind == Kind::kDouble && key.double_value >= -kTwoTo63 && key.double_value < kTwoTo63) {
    const auto whole = static_cast<std::int64_t>(key.double_value);
    if (static_cast<double>(whole) == key.double_value) {
      return whole;
    }
  }
  return std::nullopt;
}

bool IsKey(const CelValue& value) {
  return value.kind == Kind::kString || value.kind == Kind::kInt || value.kind == Kind::kDouble ||
         value.kind == Kind::kBool;
}

}  // namespace

Condition::Verdict CelEvaluator::Run(std::uint32_t op) {
  const CelValue value = Evaluate(op);
  Condition::Verdict verdict{
      .outcome = Outcome::kDoesNotHold,
      .cost = static_cast<std::uint32_t>(std::min<std::uint64_t>(cost_, kConditionCostMax + 1)),
      .error_offset = 0,
  };
  if (value.IsError()) {
    verdict.outcome = value.error;
    verdict.error_offset = value.size;
  } else if (value.kind != Kind::kBool) {
    verdict.outcome = Outcome::kTypeError;
    verdict.error_offset = program_.ops[op].offset;
  } else if (value.bool_value) {
    verdict.outcome = Outcome::kHolds;
  }
  return verdict;
}

// Recursive at most kConditionDepthMax deep.
CelValue CelEvaluator::Evaluate(std::uint32_t index) {
  const CelOp& op = program_.ops[index];
  if (op.kind != CelOpKind::kSelect && op.kind != CelOpKind::kHas && op.kind != CelOpKind::kIndex &&
      !Charge(1)) {
    return OverCost(op.offset);
  }
  switch (op.kind) {
    case CelOpKind::kConstant:
      return program_.constants[op.first];
    case CelOpKind::kList:
      return EvaluateList(op);
    case CelOpKind::kEventId:
      return CelValue::String(event_.id);
    case CelOpKind::kEventType:
      return CelValue::String(event_.type);
    case CelOpKind::kEventSource:
      return CelValue::String(event_.source);
    case CelOpKind::kEventTime:
      return CelValue::Timestamp(event_.time);
    case CelOpKind::kHasData:
      return CelValue::Bool(event_.data.has_value());
    case CelOpKind::kData:
      return EvaluateData(op);
    case CelOpKind::kSelect:
      return EvaluateSelect(op);
    case CelOpKind::kHas:
      return EvaluateHas(op);
    case CelOpKind::kIndex:
      return EvaluateIndex(op);
    case CelOpKind::kNot:
      return EvaluateNot(op);
    case CelOpKind::kNegate:
      return EvaluateNegate(op);
    case CelOpKind::kAnd:
      return EvaluateLogical(op, /*decisive=*/false);
    case CelOpKind::kOr:
      return EvaluateLogical(op, /*decisive=*/true);
    case CelOpKind::kConditional:
      return EvaluateConditional(op);
    case CelOpKind::kEqual:
    case CelOpKind::kNotEqual:
    case CelOpKind::kLess:
    case CelOpKind::kLessEqual:
    case CelOpKind::kGreater:
    case CelOpKind::kGreaterEqual:
    case CelOpKind::kIn:
    case CelOpKind::kStartsWith:
    case CelOpKind::kEndsWith:
    case CelOpKind::kContains:
      return EvaluateBinary(op);
    case CelOpKind::kSize:
      return EvaluateSize(op);
  }
  ALERTSTREAM_CHECK(false);
  return {};
}

CelValue CelEvaluator::Checked(const CelOp& op, bool value) const {
  return over_cost_ ? OverCost(op.offset) : CelValue::Bool(value);
}

CelValue CelEvaluator::EvaluateList(const CelOp& op) {
  CelValue* elements = scratch_;
  scratch_ += op.count;  // Each operation runs at most once, so this is within scratch_values.
  for (std::uint32_t i = 0; i < op.count; ++i) {
    elements[i] = Evaluate(OperandAt(op, i));
    if (elements[i].IsError()) {
      return elements[i];
    }
  }
  return CelValue::List(elements, op.count);
}

CelValue CelEvaluator::EvaluateData(const CelOp& op) {
  if (!event_.data) {
    return Absent(op.offset);
  }
  schemas::JsonValue value = *event_.data;
  for (std::uint32_t i = 0; i < op.count; ++i) {
    const CelStep& step = program_.steps[op.first + i];
    if (!ChargeLookup(value)) {
      return OverCost(step.offset);
    }
    const auto member = value.Find(step.name);
    if (!member) {
      return value.type() == schemas::JsonType::kObject
                 ? Absent(step.offset)
                 : CelValue::Error(Outcome::kTypeError, step.offset);
    }
    value = *member;
  }
  return CelValue::Json(value);
}

CelValue CelEvaluator::EvaluateSelect(const CelOp& op) {
  const CelValue map = Evaluate(OperandAt(op, 0));
  if (map.IsError()) {
    return map;
  }
  if (!(map.kind == Kind::kJsonMap ? ChargeLookup(map.json) : Charge(1))) {
    return OverCost(op.offset);
  }
  if (map.kind != Kind::kJsonMap) {
    return TypeError(op);
  }
  const auto member = map.json.Find(program_.steps[op.step].name);
  return member ? CelValue::Json(*member) : Absent(op.offset);
}

CelValue CelEvaluator::EvaluateHas(const CelOp& op) {
  const CelValue map = Evaluate(OperandAt(op, 0));
  if (map.IsError()) {
    return map;
  }
  if (!(map.kind == Kind::kJsonMap ? ChargeLookup(map.json) : Charge(1))) {
    return OverCost(op.offset);
  }
  if (map.kind != Kind::kJsonMap) {
    return TypeError(op);
  }
  return CelValue::Bool(map.json.Find(program_.steps[op.step].name).has_value());
}

CelValue CelEvaluator::EvaluateIndex(const CelOp& op) {
  const CelValue target = Evaluate(OperandAt(op, 0));
  if (target.IsError()) {
    return target;
  }
  const CelValue key = Evaluate(OperandAt(op, 1));
  if (key.IsError()) {
    return key;
  }
  if (target.kind == Kind::kJsonMap) {
    if (!ChargeLookup(target.json)) {
      return OverCost(op.offset);
    }
    if (!IsKey(key)) {
      return TypeError(op);
    }
    const auto member = key.kind == Kind::kString ? target.json.Find(key.string_value)
                                                  : std::optional<schemas::JsonValue>();
    return member ? CelValue::Json(*member) : Absent(op.offset);
  }
  const auto index = IndexOf(key);
  if (!IsList(target) || !index) {
    return Charge(1) ? TypeError(op) : OverCost(op.offset);
  }
  if (*index < 0 || static_cast<std::uint64_t>(*index) >= ListSize(target)) {
    return Charge(1) ? Absent(op.offset) : OverCost(op.offset);
  }
  return ElementAt(op, target, static_cast<std::uint64_t>(*index));
}

CelValue CelEvaluator::ElementAt(const CelOp& op, const CelValue& list, std::uint64_t index) {
  if (!Charge(1 + index / 32)) {
    return OverCost(op.offset);
  }
  if (list.kind == Kind::kList) {
    return list.elements[index];
  }
  auto element = list.json.first_child();
  for (; index > 0; --index) {
    element = element->next_sibling();
  }
  return CelValue::Json(*element);
}

CelValue CelEvaluator::EvaluateNot(const CelOp& op) {
  const CelValue value = Evaluate(OperandAt(op, 0));
  if (value.IsError()) {
    return value;
  }
  return value.kind == Kind::kBool ? CelValue::Bool(!value.bool_value) : TypeError(op);
}

CelValue CelEvaluator::EvaluateNegate(const CelOp& op) {
  const CelValue value = Evaluate(OperandAt(op, 0));
  if (value.IsError()) {
    return value;
  }
  if (value.kind == Kind::kDouble) {
    return CelValue::Double(-value.double_value);
  }
  // The smallest int has no positive counterpart.
  if (value.kind != Kind::kInt || value.int_value == std::numeric_limits<std::int64_t>::min()) {
    return TypeError(op);
  }
  return CelValue::Int(-value.int_value);
}

CelValue CelEvaluator::EvaluateLogical(const CelOp& op, bool decisive) {
  CelValue result = CelValue::Bool(!decisive);
  for (std::uint32_t i = 0; i < op.count; ++i) {
    const std::uint32_t operand = OperandAt(op, i);
    CelValue value = Evaluate(operand);
    if (over_cost_) {
      return value;
    }
    if (value.kind == Kind::kBool) {
      if (value.bool_value == decisive) {
        return value;
      }
      continue;
    }
    if (!value.IsError()) {
      value = TypeError(program_.ops[operand]);
    }
    if (!result.IsError()) {
      result = value;
    }
  }
  return result;
}

CelValue CelEvaluator::EvaluateConditional(const CelOp& op) {
  const CelValue condition = Evaluate(OperandAt(op, 0));
  if (condition.IsError()) {
    return condition;
  }
  if (condition.kind != Kind::kBool) {
    return TypeError(op);
  }
  return Evaluate(OperandAt(op, condition.bool_value ? 1 : 2));
}

CelValue CelEvaluator::EvaluateBinary(const CelOp& op) {
  const CelValue left = Evaluate(OperandAt(op, 0));
  if (left.IsError()) {
    return left;
  }
  const CelValue right = Evaluate(OperandAt(op, 1));
  if (right.IsError()) {
    return right;
  }
  if (op.kind == CelOpKind::kEqual || op.kind == CelOpKind::kNotEqual) {
    return Checked(op, Equal(left, right) == (op.kind == CelOpKind::kEqual));
  }
  if (op.kind == CelOpKind::kIn) {
    return In(op, left, right);
  }
  if (op.kind == CelOpKind::kStartsWith || op.kind == CelOpKind::kEndsWith ||
      op.kind == CelOpKind::kContains) {
    return StringFunction(op, left, right);
  }
  return Order(op, left, right);
}

CelValue CelEvaluator::Order(const CelOp& op, const CelValue& left, const CelValue& right) {
  if (AreNumbers(left, right)) {
    return CelValue::Bool(Satisfies(op.kind, CompareNumbers(left, right)));
  }
  if (left.kind != right.kind) {
    return TypeError(op);
  }
  if (left.kind == Kind::kString) {
    if (!ChargeBytes(std::min(left.string_value.size(), right.string_value.size()))) {
      return OverCost(op.offset);
    }
    return CelValue::Bool(
        Satisfies(op.kind, CompareStrings(left.string_value, right.string_value)));
  }
  if (left.kind == Kind::kTimestamp) {
    return CelValue::Bool(Satisfies(op.kind, left.int_value <=> right.int_value));
  }
  if (left.kind == Kind::kBool) {
    return CelValue::Bool(Satisfies(op.kind, int{left.bool_value} <=> int{right.bool_value}));
  }
  return TypeError(op);
}

CelValue CelEvaluator::In(const CelOp& op, const CelValue& left, const CelValue& right) {
  if (right.kind == Kind::kJsonMap) {
    if (!ChargeLookup(right.json)) {
      return OverCost(op.offset);
    }
    return CelValue::Bool(left.kind == Kind::kString &&
                          right.json.Find(left.string_value).has_value());
  }
  if (!IsList(right)) {
    return TypeError(op);
  }
  bool found = false;
  for (ListCursor cursor(right); !found && !cursor.AtEnd();) {
    if (!Charge(1)) {
      return OverCost(op.offset);
    }
    found = Equal(left, cursor.Next());
  }
  return Checked(op, found);
}

CelValue CelEvaluator::StringFunction(const CelOp& op, const CelValue& left,
                                      const CelValue& right) {
  if (left.kind != Kind::kString || right.kind != Kind::kString) {
    return TypeError(op);
  }
  const std::string_view text = left.string_value;
  const std::string_view part = right.string_value;
  const bool search = op.kind == CelOpKind::kContains;
  if (!ChargeBytes(search ? text.size() + part.size() : part.size())) {
    return OverCost(op.offset);
  }
  if (search) {
    return CelValue::Bool(HasPart(text, part));
  }
  return CelValue::Bool(op.kind == CelOpKind::kStartsWith ? text.starts_with(part)
                                                          : text.ends_with(part));
}

CelValue CelEvaluator::EvaluateSize(const CelOp& op) {
  const CelValue value = Evaluate(OperandAt(op, 0));
  if (value.IsError()) {
    return value;
  }
  if (value.kind == Kind::kString) {
    if (!ChargeBytes(value.string_value.size())) {
      return OverCost(op.offset);
    }
    return CelValue::Int(CountCodePoints(value.string_value));
  }
  if (IsList(value)) {
    return CelValue::Int(static_cast<std::int64_t>(ListSize(value)));
  }
  if (value.kind == Kind::kJsonMap) {
    return CelValue::Int(static_cast<std::int64_t>(value.json.size()));
  }
  return TypeError(op);
}

bool CelEvaluator::Equal(const CelValue& left, const CelValue& right) {
  if (AreNumbers(left, right)) {
    return std::is_eq(CompareNumbers(left, right));
  }
  if (IsList(left) && IsList(right)) {
    return EqualLists(left, right);
  }
  if (left.kind != right.kind) {
    return false;
  }
  switch (left.kind) {
    case Kind::kNull:
      return true;
    case Kind::kBool:
      return left.bool_value == right.bool_value;
    case Kind::kString:
      return ChargeBytes(std::min(left.string_value.size(), right.string_value.size())) &&
             left.string_value == right.string_value;
    case Kind::kTimestamp:
      return left.int_value == right.int_value;
    case Kind::kJsonMap:
      return EqualMaps(left.json, right.json);
    case Kind::kInt:
    case Kind::kDouble:
    case Kind::kList:
    case Kind::kJsonList:
    case Kind::kError:
      break;  // Answered above; errors are no operands.
  }
  ALERTSTREAM_CHECK(false);
  return false;
}

bool CelEvaluator::EqualLists(const CelValue& left, const CelValue& right) {
  if (ListSize(left) != ListSize(right)) {
    return false;
  }
  ListCursor right_cursor(right);
  for (ListCursor cursor(left); !cursor.AtEnd();) {
    if (!Charge(1) || !Equal(cursor.Next(), right_cursor.Next())) {
      return false;
    }
  }
  return true;
}

bool CelEvaluator::EqualMaps(const schemas::JsonValue& left, const schemas::JsonValue& right) {
  if (left.size() != right.size()) {
    return false;
  }
  for (auto member = left.first_child(); member; member = member->next_sibling()) {
    if (!Charge(1) || !ChargeLookup(right)) {
      return false;
    }
    const auto other = right.Find(member->name());
    if (!other || !Equal(CelValue::Json(*member), CelValue::Json(*other))) {
      return false;
    }
  }
  return true;
}

}  // namespace alertstream::engine

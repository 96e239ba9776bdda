// The evaluator of compiled conditions. Pure and deterministic; an object is used for one
// evaluation on one thread. Used by Condition only.
//
// Meaning, as CEL has it: operands are evaluated from left to right, up to the first error, which
// is then the result. Only && and || and ?: leave operands out: && goes on after an error and is
// false if any operand is, else the first error; || likewise with true. Values of different types
// are unequal, never an error, but numbers compare by their exact value whatever their type.
//
// Cost, engine version 1. Stored behaviour: it may never change without a new version, and it is
// defined by the source and the event alone, not by how the program is laid out.
//   1            each literal (a list of literals is one, timestamp("...") too), each list, event
//                field, operator and call that is evaluated. Parentheses and dyn cost nothing.
//   1 + n / 32   .member, ["member"], has() and `in` on a map: n is the number of members of the
//                map; in a has() the member is the call. A literal key costs nothing of its own.
//   1 + i / 32   [i] on a list.
//   n / 32       each comparison of two strings: n bytes of the shorter one. Also startsWith and
//                endsWith: n bytes of the part; contains: of both together; size of a string.
//   1            each element that `in` compares, and each pair of elements or members that the
//                comparison of two lists or maps compares; to these come the costs of comparing
//                them, and for members of maps 1 + n / 32 for the look-up.
// Divisions round down. A cost is due before the work is done, and the evaluation ends at the first
// one that exceeds kConditionCostMax; nothing absorbs that.
#pragma once

#include <cstddef>
#include <cstdint>

#include "processor/engine/conditions/cel_program.h"

namespace alertstream::engine {

class CelEvaluator {
 public:
  // `scratch` holds at least program.scratch_values; all three outlive the evaluator.
  CelEvaluator(const CelProgram& program, const ConditionEvent& event, CelValue* scratch)
      : program_(program), event_(event), scratch_(scratch) {}

  // Evaluates the operation, and what it depends on. Called once.
  Condition::Verdict Run(std::uint32_t op);

 private:
  CelValue Evaluate(std::uint32_t index);
  CelValue EvaluateList(const CelOp& op);
  CelValue EvaluateData(const CelOp& op);
  CelValue EvaluateSelect(const CelOp& op);
  CelValue EvaluateHas(const CelOp& op);
  CelValue EvaluateIndex(const CelOp& op);
  CelValue EvaluateNot(const CelOp& op);
  CelValue EvaluateNegate(const CelOp& op);
  CelValue EvaluateLogical(const CelOp& op, bool decisive);
  CelValue EvaluateConditional(const CelOp& op);
  CelValue EvaluateBinary(const CelOp& op);
  CelValue EvaluateSize(const CelOp& op);

  CelValue Order(const CelOp& op, const CelValue& left, const CelValue& right);
  CelValue In(const CelOp& op, const CelValue& left, const CelValue& right);
  CelValue StringFunction(const CelOp& op, const CelValue& left, const CelValue& right);
  CelValue ElementAt(const CelOp& op, const CelValue& list, std::uint64_t index);
  // False too once the cost is exceeded.
  bool Equal(const CelValue& left, const CelValue& right);
  bool EqualLists(const CelValue& left, const CelValue& right);
  bool EqualMaps(const schemas::JsonValue& left, const schemas::JsonValue& right);

  // False: over the limit, and `over_cost_` is set for good.
  bool Charge(std::uint64_t units) {
    cost_ += units;
    if (cost_ > kConditionCostMax) {
      over_cost_ = true;
    }
    return !over_cost_;
  }
  bool ChargeLookup(const schemas::JsonValue& map) {
    return Charge(1 + (map.type() == schemas::JsonType::kObject ? map.size() / 32 : 0));
  }
  bool ChargeBytes(std::size_t bytes) { return Charge(bytes / 32); }
  // The result of an operation during which the cost may have been exceeded.
  CelValue Checked(const CelOp& op, bool value) const;
  std::uint32_t OperandAt(const CelOp& op, std::uint32_t i) const {
    return program_.operands[op.first + i];
  }

  const CelProgram& program_;
  const ConditionEvent& event_;
  CelValue* scratch_;
  std::uint64_t cost_ = 0;
  bool over_cost_ = false;
};

}  // namespace alertstream::engine

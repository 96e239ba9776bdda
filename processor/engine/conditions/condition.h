// Condition: whether an event concerns a trigger, written in a subset of CEL (the Common Expression
// Language, github.com/google/cel-spec). Whatever compiles here means the same to any CEL.
//
//   event.type == "payment.failed" && event.data.amount >= 1000
//     && event.data.currency in ["KES", "NGN"] && has(event.data.customer.phone)
//
// Compiling and evaluating are pure: no clock, no I/O, no order that could differ between machines.
// A compiled Condition is immutable and may be used by any number of threads. The fold evaluates
// conditions, the trigger index reads their required equalities, explain renders their conjuncts.
//
// The language: the fields event.id, .type, .source (string), .time (timestamp) and .data (dyn);
// int, double, string, bool, null and list literals; .member, ["member"], [n]; has(); == != < <= >
// >=; && || ! ?: in; unary minus; size, startsWith, endsWith, contains, dyn, timestamp("...").
//
// What every evaluation means is stored behaviour of engine version 1: outcomes decide what was
// sent, so neither a meaning nor a cost (see cel_evaluator.h) may change without a new version.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "processor/base/result.h"
#include "processor/engine/event_view.h"

namespace alertstream::engine {

struct CelProgram;

using ConditionEvent = EventView;

// Some forty comparisons of long paths; every task that loads a tenant compiles all its conditions.
inline constexpr std::size_t kConditionBytesMax = 4096;
// Far above what people write; bounds the memory of a compiled condition to some 50 KiB.
inline constexpr std::size_t kConditionNodesMax = 512;
// Operators, brackets, calls and steps of a path within each other: bounds the stack of the parser,
// the checker and the evaluator. A chain of && or of || is one level however long it is.
inline constexpr std::size_t kConditionDepthMax = 32;
// A list literal is searched from its start; longer ones belong into data.
inline constexpr std::size_t kConditionListElementsMax = 256;
// Units of cost, see cel_evaluator.h: ordinary conditions need about ten, and this many take less
// than a millisecond.
inline constexpr std::uint32_t kConditionCostMax = 10'000;

class Condition {
 public:
  enum class Outcome : std::uint8_t {
    kHolds,
    kDoesNotHold,
    kFieldAbsent,  // The outcome hung on a field or element that the event does not have.
    kTypeError,    // An operand or the outcome had a type that the operator does not take.
    kOverCost,     // More than kConditionCostMax.
  };

  struct Verdict {
    Outcome outcome;
    std::uint32_t cost;          // At most kConditionCostMax + 1.
    std::uint32_t error_offset;  // The byte of the source that the error is about; else 0.
  };

  // `event.data.PATH == literal`, an operand of the && at the top. The condition can hold only if
  // the event has a value at the path that is equal as CEL compares: the int 1 equals the double 1.
  struct RequiredEquality {
    std::string path;  // Below data, for JsonValue::FindPath: "customer.country".
    std::variant<std::string, std::int64_t, double, bool> literal;
  };

  struct ConjunctVerdict {
    std::string source_text;
    Outcome outcome;
  };

  // kInvalid: "line 1, column 17: expected ..., found ...". Lines and columns count from 1, columns
  // in code points. The message quotes names and operators, never the text of a literal.
  static Result<Condition> Compile(std::string_view source);

  Condition(Condition&&) noexcept;
  Condition& operator=(Condition&&) noexcept;
  ~Condition();

  // Asks for the memory that Evaluate reads, without waiting for it. Worth its while for conditions
  // that are evaluated one after the other and were not for a long time.
  void Prefetch() const;

  // Never allocates, unless list literals hold more than 16 elements that are not literals.
  Verdict Evaluate(const ConditionEvent& event) const;

  std::string_view source() const;

  // In the order of the source. Equalities of members whose name holds a dot are left out.
  const std::vector<RequiredEquality>& required_equalities() const;

  // The operands of the && at the top, or the whole condition if there is none, each evaluated by
  // itself with a cost limit of its own.
  std::vector<ConjunctVerdict> Explain(const ConditionEvent& event) const;

 private:
  explicit Condition(std::unique_ptr<const CelProgram> program);
  std::unique_ptr<const CelProgram> program_;
};

}  // namespace alertstream::engine

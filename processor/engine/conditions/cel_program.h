// The compiled form of a condition: a flat array of operations, operands before their operator,
// which the evaluator walks without allocating. Immutable once built. Used by Condition only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <vector>

#include "processor/base/time.h"
#include "processor/engine/conditions/cel_ast.h"
#include "processor/engine/conditions/condition.h"
#include "schemas/json.h"

namespace alertstream::engine {

// What an expression evaluates to: three words, copied freely. Strings, lists and JSON are views
// into the program, the event or the evaluator's scratch.
struct CelValue {
  enum class Kind : std::uint8_t {
    kError,  // `error` and `size`, the offset it is about.
    kNull,
    kBool,
    kInt,
    kDouble,
    kString,
    kTimestamp,  // int_value, in microseconds.
    kList,       // `size` values at `elements`.
    kJsonList,
    kJsonMap,
  };

  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): a union has one member at a time.
  CelValue() : int_value(0) {}
  static CelValue Error(Condition::Outcome error, std::uint32_t offset);
  static CelValue Bool(bool value);
  static CelValue Int(std::int64_t value);
  static CelValue Double(double value);
  static CelValue String(std::string_view value);
  static CelValue Timestamp(LogTime value);
  static CelValue List(const CelValue* elements, std::size_t size);
  static CelValue Json(schemas::JsonValue value);

  bool IsError() const { return kind == Kind::kError; }

  Kind kind = Kind::kNull;
  Condition::Outcome error = Condition::Outcome::kHolds;
  std::uint32_t size = 0;
  union {
    bool bool_value;
    std::int64_t int_value;
    double double_value;
    std::string_view string_value;
    const CelValue* elements;
    schemas::JsonValue json;
  };
};

enum class CelOpKind : std::uint8_t {
  kConstant,  // constants[first]
  kList,      // of operands that are not all constant
  kEventId,
  kEventType,
  kEventSource,
  kEventTime,
  kHasData,
  kData,    // event.data, then `count` members at steps[first]
  kSelect,  // member steps[step] of the operand
  kHas,     // whether there is one
  kIndex,
  kNot,
  kNegate,
  kAnd,
  kOr,
  kConditional,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kSize,
  kStartsWith,
  kEndsWith,
  kContains,
};

struct CelOp {
  CelOpKind kind = CelOpKind::kConstant;
  std::uint32_t offset = 0;  // In the source, for errors.
  std::uint32_t first = 0;   // Of `count` operands; or as the kind says.
  std::uint32_t count = 0;
  std::uint32_t step = 0;
};

struct CelStep {
  std::string_view name;
  std::uint32_t offset = 0;
};

struct CelConjunct {
  std::uint32_t op = 0;
  CelSpan span;
};

// Everything that an evaluation touches lies behind the program, in the same piece of memory: tens
// of thousands of conditions are kept, and each event meets a few that no cache holds any more.
struct CelProgram {
  CelProgram() = default;
  CelProgram(const CelProgram&) = delete;  // Its parts point at each other.
  CelProgram& operator=(const CelProgram&) = delete;

  struct Behind {
    std::size_t bytes;
  };
  static void* operator new(std::size_t size, Behind behind) {
    return ::operator new(size + behind.bytes);
  }
  static void operator delete(void* memory, Behind) { ::operator delete(memory); }
  static void operator delete(void* memory) { ::operator delete(memory); }

  std::span<const CelOp> ops;  // The last one is the whole condition.
  std::span<const std::uint32_t> operands;
  std::span<const CelStep> steps;
  std::span<const CelValue> constants;
  std::size_t scratch_values = 0;  // Elements of all kList operations together.
  std::span<const CelConjunct> conjuncts;
  std::string_view source;
  std::vector<Condition::RequiredEquality> required_equalities;
};

// REQUIRES: `ast` is checked and came from `source`.
std::unique_ptr<const CelProgram> BuildCelProgram(std::string_view source, const CelAst& ast);

}  // namespace alertstream::engine

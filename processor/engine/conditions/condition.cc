#include "processor/engine/conditions/condition.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "processor/engine/conditions/cel_checker.h"
#include "processor/engine/conditions/cel_evaluator.h"
#include "processor/engine/conditions/cel_parser.h"
#include "processor/engine/conditions/cel_program.h"
#include "processor/engine/conditions/cel_source.h"
#include "schemas/limits.h"

namespace alertstream::engine {
namespace {

static_assert(kConditionBytesMax == schemas::kConditionBytesMax,
              "what the edge accepts must compile, and the other way round");

constexpr std::size_t kScratchOnStack = 16;  // Lists with computed elements are rare and short.

Condition::Verdict Run(const CelProgram& program, const ConditionEvent& event, std::uint32_t op) {
  if (program.scratch_values == 0) {
    return CelEvaluator(program, event, nullptr).Run(op);
  }
  if (program.scratch_values <= kScratchOnStack) {
    std::array<CelValue, kScratchOnStack> scratch;
    return CelEvaluator(program, event, scratch.data()).Run(op);
  }
  std::vector<CelValue> scratch(program.scratch_values);
  return CelEvaluator(program, event, scratch.data()).Run(op);
}

}  // namespace

Result<Condition> Condition::Compile(std::string_view source) {
  if (source.size() > kConditionBytesMax) {
    return CelErrorAt(source, 0,
                      fmt::format("expected a condition of at most {} bytes, found {}",
                                  kConditionBytesMax, source.size()));
  }
  ALERTSTREAM_RETURN_IF_ERROR(CheckCelUtf8(source));
  ALERTSTREAM_ASSIGN_OR_RETURN(CelAst ast, ParseCel(source));
  ALERTSTREAM_RETURN_IF_ERROR(CheckCel(source, &ast));
  return Condition(BuildCelProgram(source, ast));
}

Condition::Condition(std::unique_ptr<const CelProgram> program) : program_(std::move(program)) {}
Condition::Condition(Condition&&) noexcept = default;
Condition& Condition::operator=(Condition&&) noexcept = default;
Condition::~Condition() = default;

void Condition::Prefetch() const {
  // A condition of three comparisons, its fields and literals take about this much.
  constexpr std::size_t kAheadBytes = 640;
  constexpr std::size_t kLineBytes = 64;
  const char* program = reinterpret_cast<const char*>(program_.get());
  for (std::size_t at = 0; at < kAheadBytes; at += kLineBytes) {
    __builtin_prefetch(program + at);
  }
}

Condition::Verdict Condition::Evaluate(const ConditionEvent& event) const {
  return Run(*program_, event, static_cast<std::uint32_t>(program_->ops.size() - 1));
}

std::string_view Condition::source() const { return program_->source; }

const std::vector<Condition::RequiredEquality>& Condition::required_equalities() const {
  return program_->required_equalities;
}

std::vector<Condition::ConjunctVerdict> Condition::Explain(const ConditionEvent& event) const {
  std::vector<ConjunctVerdict> verdicts;
  for (const CelConjunct& conjunct : program_->conjuncts) {
    const CelSpan span = conjunct.span;
    verdicts.push_back(
        {.source_text = std::string(program_->source.substr(span.begin, span.end - span.begin)),
         .outcome = Run(*program_, event, conjunct.op).outcome});
  }
  return verdicts;
}

}  // namespace alertstream::engine

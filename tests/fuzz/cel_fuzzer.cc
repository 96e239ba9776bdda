// A line of JSON, and a condition below it: compiles or is refused with a position, and evaluates
// to the same verdict every time, within the cost limit and in agreement with its own explanation.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "processor/base/check.h"
#include "processor/engine/conditions/condition.h"

namespace alertstream::engine {
namespace {

using Outcome = Condition::Outcome;

void CheckVerdict(const Condition& condition, const ConditionEvent& event) {
  const auto verdict = condition.Evaluate(event);
  const auto again = condition.Evaluate(event);
  ALERTSTREAM_CHECK(verdict.outcome == again.outcome && verdict.cost == again.cost &&
                    verdict.error_offset == again.error_offset);
  ALERTSTREAM_CHECK((verdict.cost > kConditionCostMax) == (verdict.outcome == Outcome::kOverCost));
  ALERTSTREAM_CHECK(verdict.cost <= kConditionCostMax + 1);
  ALERTSTREAM_CHECK(verdict.error_offset < condition.source().size());
  if (verdict.outcome == Outcome::kOverCost) {
    return;
  }
  const auto conjuncts = condition.Explain(event);
  const auto holds = [](const auto& conjunct) { return conjunct.outcome == Outcome::kHolds; };
  const auto fails = [](const auto& conjunct) { return conjunct.outcome == Outcome::kDoesNotHold; };
  ALERTSTREAM_CHECK((verdict.outcome == Outcome::kHolds) ==
                    std::all_of(conjuncts.begin(), conjuncts.end(), holds));
  ALERTSTREAM_CHECK((verdict.outcome == Outcome::kDoesNotHold) ==
                    std::any_of(conjuncts.begin(), conjuncts.end(), fails));
  if (verdict.outcome == Outcome::kHolds) {
    for (const auto& equality : condition.required_equalities()) {
      ALERTSTREAM_CHECK(event.data && event.data->FindPath(equality.path));
    }
  }
}

void CheckOne(std::string_view bytes) {
  const std::size_t newline = std::min(bytes.find('\n'), bytes.size());
  const std::string_view source = bytes.substr(std::min(newline + 1, bytes.size()));
  const auto condition = Condition::Compile(source);
  if (!condition.ok()) {
    ALERTSTREAM_CHECK(condition.error().code() == ErrorCode::kInvalid);
    ALERTSTREAM_CHECK(condition.error().message().starts_with("line "));
    ALERTSTREAM_CHECK(condition.error().message().size() < 300);
    return;
  }
  ConditionEvent event{.id = "evt_1", .type = "order.paid", .source = "/", .time = {}, .data = {}};
  schemas::JsonDocument document;
  if (document.Parse(bytes.substr(0, newline)).ok()) {
    event.data = document.root();
  }
  CheckVerdict(condition.value(), event);
}

}  // namespace
}  // namespace alertstream::engine

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  alertstream::engine::CheckOne({reinterpret_cast<const char*>(data), size});
  return 0;
}

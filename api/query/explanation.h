// Explanations of decisions as JSON: gate by gate what was compared, where the fact lies that
// decided, and which part of the trigger's condition was false. Pure. Used by the explain routes;
// the words are those of `alertstream explain`.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "processor/engine/conditions/condition.h"
#include "projections/read_model/decisions.h"
#include "projections/read_model/trigger_versions.h"

namespace alertstream::api {

// Gates as the read model holds them, with their words:
// [{"gate","verdict","observed","limit","text","source":{"topic","partition","offset"}|null}].
// What is no list of gates gives "[]".
std::string ExplainGates(std::string_view gates);

struct DecisionToExplain {
  const read_model::Decision& decision;
  // The version that decided, if the read model has it.
  const std::optional<read_model::TriggerVersion>& trigger;
  // Null: the log cannot be read now, or holds it no more.
  const engine::ConditionEvent* event = nullptr;
  // One person was told outright: the trigger's condition was not asked.
  bool is_direct = false;
};

// {"object":"decision_explanation","id","outcome","reason",...,"trigger":{...},"gates":[...],
// "not_evaluated":["consent",...],"conditions":[{"text","outcome"}]|null,...}: no
// conditions if there was none to ask, null if they cannot be evaluated again.
std::string ExplainDecision(const DecisionToExplain& what);

}  // namespace alertstream::api

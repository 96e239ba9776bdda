// What became of a part of a condition, in words for people. Pure. Used by the command line and the
// API.
#pragma once

#include <string_view>

#include "processor/engine/conditions/condition.h"

namespace alertstream::engine {

inline std::string_view OutcomeWord(Condition::Outcome outcome) {
  switch (outcome) {
    case Condition::Outcome::kHolds:
      return "holds";
    case Condition::Outcome::kDoesNotHold:
      return "does not hold";
    case Condition::Outcome::kFieldAbsent:
      return "field absent";
    case Condition::Outcome::kTypeError:
      return "wrong type";
    case Condition::Outcome::kOverCost:
      return "over cost";
  }
  return "";
}

}  // namespace alertstream::engine

// EventView: the event as conditions and templates see it. Pure; the views must outlive its use.
#pragma once

#include <optional>
#include <string_view>

#include "processor/base/time.h"
#include "schemas/json.h"

namespace alertstream::engine {

struct EventView {
  std::string_view id;
  std::string_view type;
  std::string_view source;
  LogTime time;
  std::optional<schemas::JsonValue> data;
};

}  // namespace alertstream::engine

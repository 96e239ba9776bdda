// EventAt: an event as it lies in the log, read at its position and decoded. Blocks: for workers.
// Used by the routes that show an event or explain what became of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "processor/base/result.h"
#include "processor/base/time.h"
#include "processor/engine/conditions/condition.h"
#include "processor/log/event_log.h"
#include "schemas/envelope.pb.h"
#include "schemas/json.h"

namespace alertstream::api {

struct EventAt {
  v1::Envelope envelope;
  schemas::JsonDocument data;
  bool has_data = false;
  LogTime append_time{};

  // As conditions saw it; lives as long as this.
  engine::ConditionEvent View() const;
};

struct EventPlace {
  std::string_view tenant;  // Whose it must be.
  std::int32_t partition = 0;
  std::int64_t offset = 0;
};

// kNotFound: there is no record of this tenant. kUnavailable: the log cannot be read within
// `timeout`. kCorrupt: it does not decode.
Status ReadEventAt(log::EventLog& log, const EventPlace& place, std::chrono::milliseconds timeout,
                   EventAt* event);

}  // namespace alertstream::api

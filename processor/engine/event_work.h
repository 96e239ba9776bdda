// EventFold::Work: one event on its way through the gates. Internal to processor/engine; for the
// files of EventFold (events.cc, direct.cc, fan_out.cc).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "processor/engine/event_view.h"
#include "processor/engine/events.h"

namespace alertstream::engine {

// One event on its way through the gates; what a continuation brings back.
struct EventFold::Work {
  const v1::Envelope* envelope = nullptr;
  const v1::DirectNotification* direct = nullptr;
  std::string_view tenant;
  std::int64_t offset = 0;
  LogTime append_time{};
  LogTime event_time{};
  LogTime started{};  // LogTime of the first batch.
  IdBytes id{};
  std::string retry_of;  // The dead letter whose retry it is; else empty.
  TenantRules* rules = nullptr;
  PlanLimit plan;
  EventView view;
  std::uint32_t candidates = 0;
  std::uint32_t next_trigger = 0;
  std::uint32_t next_recipient = 0;
  std::uint32_t part = 0;
  // Versions that are no longer the present one, compiled for a continuation.
  std::vector<std::unique_ptr<CompiledTrigger>> pinned;
};

}  // namespace alertstream::engine

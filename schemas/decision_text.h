// What a decision is made of, in words for people: places in the log and what gates compared. Pure.
// Used by the command line and by the API, so that both explain alike.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "schemas/common.pb.h"
#include "schemas/decision.pb.h"

namespace alertstream::schemas {

// "site-events@3:88213"; "" for a position that names no topic.
std::string PositionText(const v1::Position& position);
std::string PositionText(std::uint32_t topic, std::uint32_t partition, std::int64_t offset);

// What the gate compared: "2 of 3 in 24 h"; "" for gates that compare nothing.
std::string GateText(const v1::GateResult& gate);

// Gates of a (trigger, recipient, channel) in their order; those after the one that stopped were
// not evaluated.
inline constexpr std::array kPairGates = {v1::GATE_EXPIRY,  v1::GATE_CONDITION, v1::GATE_RECIPIENT,
                                          v1::GATE_CHANNEL, v1::GATE_COOLDOWN,  v1::GATE_CONSENT,
                                          v1::GATE_OPT_OUT, v1::GATE_DAILY_CAP, v1::GATE_PLAN_QUOTA,
                                          v1::GATE_TEMPLATE};

}  // namespace alertstream::schemas

#include "processor/engine/gates/gates.h"

#include <array>

namespace alertstream::engine {
namespace {

constexpr std::array<GateStep, 8> kPairGates = {{
    {v1::GATE_RECIPIENT, [](PairContext& pair) { return pair.recipient_outcome; }},
    {v1::GATE_CHANNEL,
     [](PairContext& pair) {
       return pair.sender_needed && pair.sender == nullptr ? Failed(v1::REASON_SENDER_MISSING)
                                                           : Passed();
     }},
    {v1::GATE_COOLDOWN,
     [](PairContext& pair) {
       return CooldownGate(pair.scratch.sends, pair.trigger.cooldown, pair.now);
     }},
    {v1::GATE_CONSENT,
     [](PairContext& pair) {
       return ConsentGate(pair.scratch.recipient, pair.trigger.channel, pair.trigger.message_class);
     }},
    {v1::GATE_OPT_OUT,
     [](PairContext& pair) { return OptOutGate(pair.scratch.recipient, pair.trigger.channel); }},
    {v1::GATE_DAILY_CAP,
     [](PairContext& pair) {
       return DailyCapGate(pair.scratch.sends, pair.trigger.daily_cap, pair.now);
     }},
    {v1::GATE_PLAN_QUOTA,
     [](PairContext& pair) { return PlanQuotaGate(pair.plan, pair.sends_this_month); }},
    {v1::GATE_TEMPLATE,
     [](PairContext& pair) {
       if (pair.trigger.text) {
         pair.scratch.message.body = *pair.trigger.text;
         return TextGate(pair.trigger.channel, &pair.scratch.message);
       }
       return TemplateGate(*pair.trigger.body, pair.event, pair.trigger.channel,
                           &pair.scratch.message);
     }},
}};

}  // namespace

std::span<const GateStep> PairGates() { return kPairGates; }

}  // namespace alertstream::engine

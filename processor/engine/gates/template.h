// Gate template: the text is rendered last, when everything else allows it. Pure.
#pragma once

#include <string>

#include "processor/engine/gates/gate.h"
#include "processor/engine/templates/sms_length.h"
#include "processor/engine/templates/template.h"

namespace alertstream::engine {

struct RenderedMessage {
  std::string body;
  std::uint32_t segments = 0;  // SMS only.
};

// A message that is rendered already; observed and limit as below.
inline GateOutcome TextGate(v1::Channel channel, RenderedMessage* message) {
  message->segments = 0;
  if (channel != v1::CHANNEL_SMS) {
    return Passed(static_cast<std::int64_t>(message->body.size()), kRenderedBytesMax);
  }
  const auto length = MeasureSms(message->body);
  if (!length.ok()) {
    return Failed(v1::REASON_TEMPLATE_FAILED);
  }
  message->segments = length.value().segments;
  if (message->segments > kSmsSegmentsMax) {
    return Failed(v1::REASON_TEMPLATE_TOO_LONG, message->segments, kSmsSegmentsMax);
  }
  return Passed(message->segments, kSmsSegmentsMax);
}

// Observed: segments for SMS, else bytes; limit: the most allowed.
inline GateOutcome TemplateGate(const Template& body, const EventView& event, v1::Channel channel,
                                RenderedMessage* message) {
  if (!body.Render(event, &message->body).ok()) {
    return Failed(v1::REASON_TEMPLATE_FAILED);
  }
  return TextGate(channel, message);
}

}  // namespace alertstream::engine

// Lines of event files (`events import`, `decide --events`): one JSON object a line, either a
// structured CloudEvent or the short native form
//   {"event_type","data","id"?,"time"?,"site"?,"tenant"?,"source"?}
// Pure; used by the command line, at the edge. Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "processor/base/result.h"
#include "schemas/envelope.pb.h"

namespace alertstream::schemas {

struct EventLine {
  std::string key;  // The record's key: the tenant.
  v1::Envelope envelope;
};

// A line with the member `specversion` is a CloudEvent (cloudevents.h), every other the native
// form. Both may name their tenant in `tenant`; `default_tenant` stands in for it ("": there is
// none). Native form: unknown members are refused, a mistyped one must not vanish; trust is
// TRUST_SYSTEM; `source` is "import" unless given; without `id` the event has no id and is never a
// duplicate. kInvalid names the member and what was expected, never a value. The caller adds file
// and line.
Result<EventLine> DecodeEventLine(std::string_view line, std::string_view default_tenant);

}  // namespace alertstream::schemas

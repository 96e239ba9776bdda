// ParseControl: the body of a control request becomes records, or a list of what is wrong with it.
// Pure. Used by the control endpoint, after it has found out who calls.
//
//   {"tenant"?, "events": [{"kind", "tenant"?, ...}, ...]}
// kind      fields
//   tenant, plan, site, sender, trigger   as in rule files, and expected_version, reason
//   consent   phone | email | recipient, channel, class, status, source, evidence {kind, written,
//             disclosure_version, at}, expected_version
//   opt_out   phone | email | recipient, channel, status active|removed, reason, expected_version
//   skip      topic, partition, offset, reason
//   dead_letter   action retry|edit|drop|purge, id dlq_..., topic, partition, offset, tenant (that
//             of the dead letter, absent if it has none), forced, reason; for retry and edit also
//             record_base64, the RawRecord that is appended again
//   notification_retry   tenant, id ntf_..., to, body, sender, site, forced, reason
//   engine_activate   version
//   event     the native form of an event, or a CloudEvent
// Either everything is right or nothing is returned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/http/problem.h"
#include "api/log/log_writer.h"
#include "processor/base/time.h"

namespace alertstream::api {

inline constexpr std::size_t kControlEventsMax = 1000;  // As a batch of the ingest door.

enum class ControlKind : std::uint8_t {
  kTenant,
  kPlan,
  kSite,
  kSender,
  kTrigger,
  kConsent,
  kOptOut,
  kSkip,
  kEngineActivate,
  kEvent,
  kDeadLetter,
  kNotificationRetry,
};
std::string_view WordOf(ControlKind kind);

struct ControlContext {
  std::string_view actor;
  LogTime now;
  std::int32_t partitions = 0;
};

struct ControlItem {
  ControlKind kind = ControlKind::kTenant;
  std::string id;  // Of a rule; else "".
  // One; engine_activate has one a partition.
  std::vector<RecordToAppend> records;
};

// In the order of the request.
using ControlItems = std::vector<ControlItem>;
std::variant<ControlItems, http::ProblemDetails> ParseControl(std::string_view body,
                                                              const ControlContext& context);

}  // namespace alertstream::api

// Decisions of a tenant: for every (trigger, recipient, channel) whose condition held, what was
// decided and by which gates.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "projections/read_model/page.h"

namespace alertstream::read_model {

// Of one event, shown at once; more are read as a list.
inline constexpr std::size_t kDecisionsOfEventMax = 200;

struct Decision {
  std::string id;  // dec_…
  std::string event_id;
  std::string event_type;
  std::string trigger_id;
  std::int64_t trigger_version = 0;
  std::optional<std::string> recipient;  // rcp_…; none could be resolved.
  std::string channel;
  std::string message_class;
  std::string outcome;  // send, defer, suppress, fail.
  std::optional<std::string> reason;
  std::optional<LogTime> defer_until;
  std::optional<std::string> notification_id;
  std::string gates;  // JSON, in the order in which they were passed.
  std::int64_t segments = 0;
  std::int64_t plan_version = 0;
  LogTime decided_at{};
  std::int64_t partition = 0;  // The journal's record that decided it.
  std::int64_t seq = 0;
};

struct DecisionFilters {
  std::optional<std::string> event;
  std::optional<std::string> trigger;
  std::optional<std::string> recipient;
  std::optional<std::string> outcome;
};

Result<Page<Decision>> ListDecisions(sql::Session& session, std::string_view tenant,
                                     const DecisionFilters& filters, const PageRequest& request);
Result<std::optional<Decision>> FindDecision(sql::Session& session, std::string_view tenant,
                                             std::string_view id);
Result<std::optional<PageKey>> FindDecisionKey(sql::Session& session, std::string_view tenant,
                                               std::string_view id);

extern const ListShape kDecisionList;

}  // namespace alertstream::read_model

// Events of a tenant and what became of them. Their data is not in the database: it lies in the log
// at the event's position.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "projections/read_model/page.h"

namespace alertstream::read_model {

struct Event {
  std::string id;  // evt_…
  std::string type;
  std::string site;  // "" if it named none.
  LogTime event_time{};
  LogTime append_time{};
  LogTime decided_at{};
  std::string verdict;  // accepted, duplicate, expired, no_match.
  std::int64_t candidates = 0;
  std::string topic;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  std::int64_t engine_version = 0;
  std::string gates;  // JSON: those of the event itself.
  std::optional<std::string> duplicate_of;
};

struct EventFilters {
  std::optional<std::string> type;
};

Result<Page<Event>> ListEvents(sql::Session& session, std::string_view tenant,
                               const EventFilters& filters, const PageRequest& request);
Result<std::optional<Event>> FindEvent(sql::Session& session, std::string_view tenant,
                                       std::string_view id);
Result<std::optional<PageKey>> FindEventKey(sql::Session& session, std::string_view tenant,
                                            std::string_view id);

extern const ListShape kEventList;

}  // namespace alertstream::read_model

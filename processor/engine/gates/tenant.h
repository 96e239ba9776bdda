// Gates tenant and site: only an active tenant's active sites are served. Both stop the event
// itself, as a dead letter. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "schemas/output.pb.h"
#include "schemas/state.pb.h"

namespace alertstream::engine {

// Nothing: passed. `tenant` is null if there is no such tenant.
inline std::optional<v1::DeadLetterReason> TenantGate(const v1::TenantState* tenant) {
  if (tenant == nullptr) {
    return v1::DEAD_LETTER_REASON_UNKNOWN_TENANT;
  }
  if (tenant->tenant().status() != v1::TENANT_STATUS_ACTIVE) {
    return v1::DEAD_LETTER_REASON_TENANT_NOT_ACTIVE;
  }
  return std::nullopt;
}

// An event that names no site passes. `site` is null if the tenant has none of that id.
inline std::optional<v1::DeadLetterReason> SiteGate(std::string_view site_id,
                                                    const v1::SiteState* site) {
  if (site_id.empty()) {
    return std::nullopt;
  }
  if (site == nullptr) {
    return v1::DEAD_LETTER_REASON_UNKNOWN_SITE;
  }
  if (site->site().status() != v1::SITE_STATUS_ACTIVE) {
    return v1::DEAD_LETTER_REASON_SITE_NOT_ACTIVE;
  }
  return std::nullopt;
}

}  // namespace alertstream::engine

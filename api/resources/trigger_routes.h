// The routes of triggers: list, create, show, replace, delete, versions, check. Used by
// AddResourceRoutes.
#pragma once

#include <memory>
#include <string_view>

#include "api/resources/resource_routes.h"

namespace alertstream::api {

inline constexpr std::string_view kTriggersPath = "/api/v1/triggers";

Status AddTriggerRoutes(http::Routes* routes, const std::shared_ptr<const ResourceDeps>& deps);

}  // namespace alertstream::api

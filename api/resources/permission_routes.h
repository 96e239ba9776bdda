// The routes by which a tenant says who may be written to - consents, opt-outs - and finds a person
// by telephone number. Used by AddResourceRoutes.
#pragma once

#include <memory>

#include "api/resources/resource_routes.h"

namespace alertstream::api {

Status AddPermissionRoutes(http::Routes* routes, const std::shared_ptr<const ResourceDeps>& deps);

}  // namespace alertstream::api

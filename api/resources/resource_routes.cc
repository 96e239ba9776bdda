#include "api/resources/resource_routes.h"

#include <memory>

#include "api/resources/dead_letter_routes.h"
#include "api/resources/notification_routes.h"
#include "api/resources/permission_routes.h"
#include "api/resources/trigger_routes.h"

namespace alertstream::api {

Status AddResourceRoutes(http::Routes* routes, const ResourceDeps& deps) {
  // Shared by the handlers and the requests that are under way.
  const auto shared = std::make_shared<const ResourceDeps>(deps);
  ALERTSTREAM_RETURN_IF_ERROR(AddTriggerRoutes(routes, shared));
  ALERTSTREAM_RETURN_IF_ERROR(AddNotificationRoutes(routes, shared));
  ALERTSTREAM_RETURN_IF_ERROR(AddDeadLetterRoutes(routes, shared));
  return AddPermissionRoutes(routes, shared);
}

}  // namespace alertstream::api

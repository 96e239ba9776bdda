// The routes of websites - what the rest of the system calls a site - and of their API keys. That a
// site exists is a record of the log; its name and its keys are rows of identity. Used by the
// program's wiring.
#pragma once

#include <memory>

#include "api/http/routes.h"
#include "api/identity/identity_mirror.h"
#include "api/identity/key_store.h"
#include "api/resources/resource_routes.h"
#include "processor/base/result.h"
#include "projections/sql/database.h"

namespace alertstream::api {

// All of it outlives the routes and the workers' last task.
struct WebsiteTables {
  KeyStore& keys;
  IdentityMirror& mirror;
  sql::Pool& pool;  // Of the role alertstream_identity.
};

struct WebsiteDeps {
  ResourceDeps resources;
  const WebsiteTables* tables = nullptr;  // Null with resources.read.database.
};

// Errors as Routes::Add.
Status AddWebsiteRoutes(http::Routes* routes, const WebsiteDeps& deps);

}  // namespace alertstream::api

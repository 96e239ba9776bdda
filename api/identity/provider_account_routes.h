// The routes of a tenant's provider accounts and of the numbers it claims. Credentials go in and
// are never shown again; a number is named by its claim's id, so that it stands in no path. Used by
// the program's wiring.
#pragma once

#include "api/http/routes.h"
#include "api/identity/account_store.h"
#include "api/resources/resource_routes.h"
#include "processor/base/result.h"

namespace alertstream::api {

// All of it outlives the routes and the workers' last task.
struct ProviderAccountTables {
  AccountStore& store;
};

struct ProviderAccountDeps {
  ResourceDeps resources;
  const ProviderAccountTables* tables = nullptr;  // Null with resources.read.database.
};

// Errors as Routes::Add.
Status AddProviderAccountRoutes(http::Routes* routes, const ProviderAccountDeps& deps);

}  // namespace alertstream::api

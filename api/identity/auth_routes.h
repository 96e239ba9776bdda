// The routes by which people come in: POST /api/v1/auth/register, login, refresh, logout. README.md
// says what they promise. Used by the program's wiring.
#pragma once

#include "api/http/routes.h"
#include "api/identity/accounts.h"
#include "api/identity/identity_mirror.h"
#include "api/identity/tenant_opening.h"
#include "api/query/worker_pool.h"
#include "processor/base/clock.h"
#include "processor/base/result.h"
#include "projections/sql/database.h"

namespace alertstream::api {

// Hashing takes 20 ms and 19 MiB: two at a time, and a queue that is done in a second.
inline constexpr WorkerPoolOptions kAuthWorkers = {.threads = 2, .queue_max = 64};

// Refreshing and logging out cost a millisecond each: on threads of their own, so that a flood of
// logins does not end the sessions of those who are in.
inline constexpr WorkerPoolOptions kSessionWorkers = {.threads = 2, .queue_max = 256};

// What lives in the tables of identity. All of it outlives the routes.
struct AuthTables {
  Accounts& accounts;
  IdentityMirror& mirror;
  sql::Pool& pool;              // Of the role alertstream_identity.
  WorkerPool& workers;          // Of kAuthWorkers: what hashes, and nothing else.
  WorkerPool& session_workers;  // Of kSessionWorkers.
  const TenantOpening& opening;
};

struct AuthDeps {
  Clock& clock;
  const AuthTables* tables = nullptr;  // Null: postgres.url is not set; everything answers 503.
};

// Errors as Routes::Add.
Status AddAuthRoutes(http::Routes* routes, const AuthDeps& deps);

}  // namespace alertstream::api

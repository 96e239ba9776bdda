// A real PostgreSQL for the tests of a program: one throw-away cluster, started when it is first
// asked for (about a second) and gone with the process; every test takes a database of its own.
// Tests only; belongs to the main thread.
#pragma once

#include <memory>
#include <string>

#include "ops/postgres/cluster.h"
#include "projections/sql/database.h"

namespace alertstream::postgres {

// The cluster of this program; a test that kills it has to Restart it. Fails the test if PostgreSQL
// cannot be started (ops/install brings it).
Cluster& TestCluster();

// The URL of an empty database in it, owned by the role `alertstream`, as `dev` has it.
std::string NewTestDatabaseUrl();

// An empty database, through the adapter. Sessions have to end before the program does.
std::unique_ptr<sql::Database> NewTestDatabase();
// The same with every migration of the program applied.
std::unique_ptr<sql::Database> NewMigratedTestDatabase();
std::unique_ptr<sql::Database> OpenTestDatabase(const std::string& url);

}  // namespace alertstream::postgres

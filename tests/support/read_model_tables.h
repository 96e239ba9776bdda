// The tables of the migrations in a test's database, and rows to look for. Tests only.
#pragma once

#include <memory>
#include <string>

#include "projections/sql/database.h"

namespace alertstream::read_model {

// Runs all migrations on an empty database that the caller owns. Fails the test if one fails.
void MakeTables(sql::Database& database);

// A session that writes, as the projector does: its search_path is the read model.
std::unique_ptr<sql::Session> OpenWriter(sql::Database& database);
// A session of the API's role.
std::unique_ptr<sql::Session> OpenReader(sql::Database& database);

}  // namespace alertstream::read_model

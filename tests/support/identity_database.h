// IdentityDatabase: an empty database with the tables of identity, and what code of identity is
// made with. Tests only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "api/identity/access_tokens.h"
#include "processor/base/check.h"
#include "processor/base/redacted.h"
#include "processor/base/sealing.h"
#include "projections/migrations/migrations.h"
#include "projections/sql/database.h"
#include "tests/support/manual_clock.h"
#include "tests/support/postgres_fixture.h"

namespace alertstream::api {

class IdentityDatabase {
 public:
  IdentityDatabase() : database_(postgres::NewTestDatabase()) {
    auto session = database_->Open({});
    ALERTSTREAM_CHECK(session.ok());
    const auto made = migrations::MigrateUp(*session.value(), migrations::ProgramMigrations());
    EXPECT_TRUE(made.ok()) << made.error().message();
    pool_ = std::make_unique<sql::Pool>(*database_,
                                        sql::SessionOptions{.role = "alertstream_identity"}, 4);
  }

  sql::Database& database() { return *database_; }
  sql::Pool& pool() { return *pool_; }
  const Sealer& sealer() const { return sealer_; }
  const AccessTokens& tokens() const { return tokens_; }
  ManualClock& clock() { return clock_; }

  // The first column of the first row.
  std::string Ask(const sql::Statement& statement, const sql::Params& params = {}) {
    auto session = database_->Open({.role = "alertstream_identity"});
    ALERTSTREAM_CHECK(session.ok());
    const auto rows = session.value()->Run(statement, params);
    EXPECT_TRUE(rows.ok()) << rows.error().message();
    return rows.ok() && rows.value().size() > 0 ? std::string(rows.value().Text(0, 0)) : "";
  }

 private:
  const std::vector<Redacted<std::string>> master_ = {
      Redacted<std::string>(std::string(kMasterKeyBytes, 'm'))};
  const Sealer sealer_ = Sealer::Make(master_).value();
  const AccessTokens tokens_{master_};
  ManualClock clock_;
  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<sql::Pool> pool_;
};

}  // namespace alertstream::api

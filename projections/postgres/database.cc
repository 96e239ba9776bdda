#include "projections/postgres/database.h"

#include <utility>

#include "projections/postgres/session.h"
#include "projections/postgres/target.h"
#include "projections/postgres/watchdog.h"

namespace alertstream::postgres {
namespace {

class PostgresDatabase : public sql::Database {
 public:
  PostgresDatabase(SessionTarget target, Clock& clock)
      : target_(std::move(target)), watchdog_(clock) {}

  std::string Describe() const override { return target_.described; }
  Result<std::unique_ptr<sql::Session>> Open(const sql::SessionOptions& options) override {
    return OpenSession(target_, options, watchdog_);
  }

 private:
  const SessionTarget target_;
  Watchdog watchdog_;
};

}  // namespace

Result<std::unique_ptr<sql::Database>> MakeDatabase(DatabaseOptions options, Clock& clock) {
  SessionTarget target;
  ALERTSTREAM_ASSIGN_OR_RETURN(target.target, ParseTarget(options.url));
  target.target.try_emplace("connect_timeout", std::to_string(options.connect_timeout.count()));
  target.described = DescribeTarget(target.target);
  if (options.password) {
    target.password = options.password->Reveal();
  }
  return std::unique_ptr<sql::Database>(new PostgresDatabase(std::move(target), clock));
}

}  // namespace alertstream::postgres

// PostgreSQL behind sql::Database: libpqxx sessions that never reconnect by themselves. Only the
// program and tests include this.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "processor/base/clock.h"
#include "processor/base/redacted.h"
#include "processor/base/result.h"
#include "projections/sql/database.h"

namespace alertstream::postgres {

struct DatabaseOptions {
  // "postgres://user@host:5432/name", with a socket's directory "postgres:///name?host=/path", or
  // libpq's "host=... dbname=...". What it leaves out libpq takes from the environment (PGUSER,
  // ...).
  std::string url;
  std::optional<Redacted<std::string>> password = std::nullopt;
  // Unless the URL has connect_timeout; libpq counts whole seconds, two at least.
  std::chrono::seconds connect_timeout{5};
};

// Connects nowhere yet. kInvalid: no such URL, or it holds a password, which would end up in
// shells' histories and in `config show`. `clock` outlives the database, the database its sessions.
Result<std::unique_ptr<sql::Database>> MakeDatabase(DatabaseOptions options, Clock& clock);

}  // namespace alertstream::postgres

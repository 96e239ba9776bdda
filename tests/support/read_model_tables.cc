#include "tests/support/read_model_tables.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "processor/base/check.h"

namespace alertstream::read_model {
namespace {

constexpr const char* kRoles = R"(
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['alertstream_api', 'alertstream_projector',
    'alertstream_identity'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN', name);
    END IF;
    EXECUTE format('GRANT %I TO CURRENT_USER', name);
  END LOOP;
END $$;
CREATE SCHEMA read_model;
CREATE SCHEMA identity;
)";

std::unique_ptr<sql::Session> Open(sql::Database& database, const std::string& role) {
  auto session = database.Open({.role = role, .statement_timeout = std::chrono::seconds(120)});
  if (!session.ok()) {
    ADD_FAILURE() << session.error().message();
  }
  return std::move(session).value();
}

void RunScript(sql::Session& session, const std::string& script) {
  const Status run = session.RunScript(script);
  if (!run.ok()) {
    ADD_FAILURE() << run.error().message();
  }
  ALERTSTREAM_CHECK(run.ok());
}

}  // namespace

void MakeTables(sql::Database& database) {
  const auto session = Open(database, "");
  RunScript(*session, kRoles);
  std::vector<std::filesystem::path> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(ALERTSTREAM_SOURCE_DIR "/migrations")) {
    if (entry.path().extension() == ".sql") {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    std::ifstream in(file);
    std::string first;
    std::getline(in, first);
    std::stringstream rest;
    rest << in.rdbuf();
    const std::string schema = first.substr(first.rfind(' ') + 1);
    RunScript(*session, "SET search_path = " + schema + ";\n" + rest.str());
  }
}

std::unique_ptr<sql::Session> OpenWriter(sql::Database& database) {
  auto session = Open(database, "alertstream_projector");
  RunScript(*session, "SET search_path = read_model");
  return session;
}

std::unique_ptr<sql::Session> OpenReader(sql::Database& database) {
  return Open(database, "alertstream_api");
}

}  // namespace alertstream::read_model

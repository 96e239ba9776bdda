#include "projections/migrations/migrations.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <map>
#include <system_error>
#include <utility>

#include "processor/base/check.h"
#include "processor/base/crypto.h"
#include "projections/migrations/embedded.h"

namespace alertstream::migrations {
namespace {

constexpr std::size_t kNumberDigits = 4;
constexpr std::array<std::string_view, 2> kSchemas = {"read_model", "identity"};
constexpr std::string_view kSchemaLine = "-- schema: ";

// One key of the program's own in the database's space of advisory locks.
constexpr sql::Statement kLock{"migrations.lock", "SELECT pg_advisory_lock(4711, 20150)::text"};
constexpr sql::Statement kUnlock{"migrations.unlock", "SELECT pg_advisory_unlock(4711, 20150)"};
constexpr sql::Statement kHasTable{"migrations.has_table",
                                   "SELECT to_regclass('alertstream.migrations') IS NOT NULL"};
constexpr sql::Statement kList{
    "migrations.list",
    "SELECT number, name, sha256, applied_at FROM alertstream.migrations ORDER BY number"};
constexpr sql::Statement kRecord{
    "migrations.record",
    "INSERT INTO alertstream.migrations (number, name, sha256) VALUES ($1, $2, $3)"};
constexpr sql::Statement kSetPath{"migrations.set_path",
                                  "SELECT set_config('search_path', $1, true)"};

constexpr sql::Statement kLackingRoles{
    "migrations.lacking_roles",
    "SELECT coalesce(string_agg(r, ', '), '') FROM unnest(ARRAY['alertstream_projector', "
    "'alertstream_api', 'alertstream_identity']) AS r WHERE to_regrole(r) IS NULL OR NOT "
    "pg_has_role(current_user, to_regrole(r), 'MEMBER')"};

// Roles belong to the server, not to the database: another one may be making them right now.
constexpr const char* kMakeRoles = R"(
DO $$
DECLARE
  role text;
  needed text := CASE WHEN current_setting('server_version_num')::int >= 160000
                      THEN 'SET' ELSE 'MEMBER' END;
BEGIN
  FOREACH role IN ARRAY ARRAY['alertstream_projector', 'alertstream_api', 'alertstream_identity']
  LOOP
    IF to_regrole(role) IS NULL THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', role);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
      END;
    END IF;
    IF NOT pg_has_role(current_user, role, needed) THEN
      EXECUTE format('GRANT %I TO CURRENT_USER', role);
    END IF;
  END LOOP;
END $$;)";

constexpr const char* kMakeTable = R"(
CREATE SCHEMA IF NOT EXISTS alertstream;
CREATE TABLE IF NOT EXISTS alertstream.migrations (
  number int PRIMARY KEY,
  name text NOT NULL,
  sha256 text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);)";

constexpr const char* kRolesByHand =
    "CREATE ROLE alertstream_projector NOLOGIN; CREATE ROLE alertstream_api NOLOGIN; "
    "CREATE ROLE alertstream_identity NOLOGIN; "
    "GRANT alertstream_projector, alertstream_api, alertstream_identity TO the user of "
    "postgres.url";

Error InvalidFile(std::string_view name, std::string_view what) {
  return {ErrorCode::kInvalid, fmt::format("migrations/{}: {}", name, what)};
}

Result<Migration> ParseMigration(const MigrationFile& file) {
  constexpr std::string_view kEnding = ".sql";
  Migration migration;
  const std::string_view name = file.name;
  const auto read = std::from_chars(name.data(), name.data() + std::min(name.size(), kNumberDigits),
                                    migration.number);
  if (name.size() <= kNumberDigits + 1 + kEnding.size() || read.ec != std::errc() ||
      read.ptr != name.data() + kNumberDigits || name[kNumberDigits] != '_' ||
      !name.ends_with(kEnding) || migration.number < 1) {
    return InvalidFile(name, "expected a name such as 0001_read_model.sql");
  }
  migration.name = name.substr(kNumberDigits + 1, name.size() - kNumberDigits - 1 - kEnding.size());
  const std::string_view line = file.text.substr(0, file.text.find('\n'));
  const auto* schema = std::find_if(kSchemas.begin(), kSchemas.end(), [&](std::string_view one) {
    return line.starts_with(kSchemaLine) && line.substr(kSchemaLine.size()) == one;
  });
  if (schema == kSchemas.end()) {
    return InvalidFile(name, "expected `-- schema: read_model` or `-- schema: identity` first");
  }
  migration.schema = *schema;
  migration.sha256 = ToHex(AsView(Sha256::Of(file.text)));
  migration.text = file.text;
  return migration;
}

std::string Label(int number, std::string_view name) {
  return fmt::format("{:04}_{}", number, name);
}

// Why nothing may be applied to a database of these lines.
std::optional<Error> Refusal(const std::vector<MigrationLine>& lines) {
  for (const MigrationLine& line : lines) {
    const std::string label = Label(line.number, line.name);
    switch (line.state) {
      case MigrationState::kApplied:
      case MigrationState::kPending:
        break;
      case MigrationState::kChanged:
        return Error(ErrorCode::kConflict,
                     fmt::format("migration {} is not what was applied to this database: its file "
                                 "was changed afterwards (applied: sha256 {}). A migration is "
                                 "never edited; undo that and add a new one",
                                 label, line.sha256));
      case MigrationState::kUnknown:
        return Error(ErrorCode::kConflict,
                     fmt::format("migration {} was applied by a newer program; this one does not "
                                 "know it: use the newer one",
                                 label));
      case MigrationState::kLate:
        return Error(ErrorCode::kConflict,
                     fmt::format("migration {} is not applied, but one with a higher number is: "
                                 "give it the next free number",
                                 label));
    }
  }
  return std::nullopt;
}

// Tries of a migration that has to wait for a lock; between them others get on with their work.
constexpr int kLockTriesMax = 3;

// Applies one migration within the open transaction.
Status Apply(sql::Session& session, const Migration& migration, std::chrono::milliseconds wait) {
  const auto failed = [&](const Error& error) {
    return Error(
        error.code(),
        fmt::format("migration {}: {}", Label(migration.number, migration.name), error.message()));
  };
  // Who waits for a table's lock makes everybody wait who comes after.
  Status made = session.RunScript(fmt::format("SET LOCAL lock_timeout = '{}ms'", wait.count()));
  if (made.ok()) {
    made = session.RunScript("CREATE SCHEMA IF NOT EXISTS " + migration.schema);
  }
  if (made.ok()) {
    const auto set = session.Run(kSetPath, sql::Params().Text(migration.schema));
    made = set.ok() ? session.RunScript(std::string(migration.text)) : Status(set.error());
  }
  if (!made.ok()) {
    return failed(made.error());
  }
  const auto recorded = session.Run(
      kRecord, sql::Params().Integer(migration.number).Text(migration.name).Text(migration.sha256));
  return recorded.ok() ? Status::Ok() : Status(failed(recorded.error()));
}

// Roles and the table of what was applied, within the open transaction.
Status Prepare(sql::Session& session) {
  const Status roles = session.RunScript(kMakeRoles);
  if (!roles.ok()) {
    return session.alive()
               ? Error(roles.error().code(),
                       fmt::format("the roles of AlertStream could not be made: {}. As a "
                                   "superuser run: {}",
                                   roles.error().message(), kRolesByHand))
               : roles;
  }
  return session.RunScript(kMakeTable);
}

// Holds the lock of all who migrate this database.
class MigrationLock {
 public:
  static Result<MigrationLock> Take(sql::Session& session) {
    const auto locked = session.Run(kLock);
    ALERTSTREAM_RETURN_IF_ERROR(locked);
    return MigrationLock(&session);
  }
  MigrationLock(MigrationLock&& other) noexcept
      : session_(std::exchange(other.session_, nullptr)) {}
  MigrationLock& operator=(MigrationLock&&) = delete;
  MigrationLock(const MigrationLock&) = delete;
  MigrationLock& operator=(const MigrationLock&) = delete;
  ~MigrationLock() {
    if (session_ != nullptr) {
      session_->Rollback();
      // A session that is gone has given it back already.
      static_cast<void>(session_->Run(kUnlock));
    }
  }

 private:
  explicit MigrationLock(sql::Session* session) : session_(session) {}
  sql::Session* session_;
};

// In a transaction of its own.
Status ApplyAlone(sql::Session& session, const Migration& migration,
                  std::chrono::milliseconds wait) {
  for (int i = 1;; ++i) {
    ALERTSTREAM_RETURN_IF_ERROR(session.Begin({}));
    const Status applied = Apply(session, migration, wait);
    if (applied.ok()) {
      return session.Commit();
    }
    if (applied.error().code() != ErrorCode::kUnavailable || !session.alive() ||
        i == kLockTriesMax) {
      return applied;
    }
    session.Rollback();
  }
}

// One transaction each, or one for all that is taken back.
Result<std::size_t> ApplyPending(sql::Session& session, std::span<const Migration> migrations,
                                 const std::vector<MigrationLine>& lines,
                                 const MigrateOptions& options) {
  std::size_t applied = 0;
  for (const Migration& migration : migrations) {
    const bool is_pending = std::any_of(lines.begin(), lines.end(), [&](const auto& line) {
      return line.number == migration.number && line.state == MigrationState::kPending;
    });
    if (!is_pending) {
      continue;
    }
    ALERTSTREAM_RETURN_IF_ERROR(options.dry_run
                                    ? Apply(session, migration, options.lock_wait)
                                    : ApplyAlone(session, migration, options.lock_wait));
    ++applied;
    if (options.applied) {
      options.applied(migration);
    }
  }
  return applied;
}

}  // namespace

std::string_view MigrationStateName(MigrationState state) {
  switch (state) {
    case MigrationState::kApplied:
      return "applied";
    case MigrationState::kPending:
      return "pending";
    case MigrationState::kChanged:
      return "changed";
    case MigrationState::kUnknown:
      return "unknown";
    case MigrationState::kLate:
      return "late";
  }
  return "unknown";
}

Result<std::vector<Migration>> ParseMigrations(std::span<const MigrationFile> files) {
  std::vector<Migration> migrations;
  for (const MigrationFile& file : files) {
    ALERTSTREAM_ASSIGN_OR_RETURN(Migration migration, ParseMigration(file));
    migrations.push_back(std::move(migration));
  }
  std::sort(migrations.begin(), migrations.end(),
            [](const Migration& a, const Migration& b) { return a.number < b.number; });
  for (std::size_t i = 1; i < migrations.size(); ++i) {
    if (migrations[i].number == migrations[i - 1].number) {
      return Error(ErrorCode::kInvalid,
                   fmt::format("migrations/: {} and {} have one number",
                               Label(migrations[i - 1].number, migrations[i - 1].name),
                               Label(migrations[i].number, migrations[i].name)));
    }
  }
  return migrations;
}

const std::vector<Migration>& ProgramMigrations() {
  static const std::vector<Migration> migrations = [] {
    auto parsed = ParseMigrations(EmbeddedFiles());
    ALERTSTREAM_CHECK(parsed.ok());
    return std::move(parsed).value();
  }();
  return migrations;
}

Result<std::vector<MigrationLine>> ReadMigrations(sql::Session& session,
                                                  std::span<const Migration> migrations) {
  std::map<int, MigrationLine> lines;
  for (const Migration& migration : migrations) {
    lines[migration.number] = {.number = migration.number,
                               .name = migration.name,
                               .schema = migration.schema,
                               .state = MigrationState::kPending,
                               .applied_at = std::nullopt,
                               .sha256 = migration.sha256};
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows has_table, session.Run(kHasTable));
  int highest = 0;
  if (has_table.Boolean(0, 0)) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows, session.Run(kList));
    for (std::size_t row = 0; row < rows.size(); ++row) {
      highest = static_cast<int>(rows.Integer(row, 0));
      const std::string_view sha256 = rows.Text(row, 2);
      auto [found, is_unknown] = lines.try_emplace(highest);
      MigrationLine& line = found->second;
      line.state = is_unknown              ? MigrationState::kUnknown
                   : line.sha256 == sha256 ? MigrationState::kApplied
                                           : MigrationState::kChanged;
      line.number = highest;
      line.name = rows.Text(row, 1);
      line.applied_at = rows.Time(row, 3);
      line.sha256 = sha256;
    }
  }
  std::vector<MigrationLine> result;
  for (auto& [number, line] : lines) {
    if (line.state == MigrationState::kPending && number < highest) {
      line.state = MigrationState::kLate;
    }
    result.push_back(std::move(line));
  }
  return result;
}

Status CheckMigrated(const std::vector<MigrationLine>& lines) {
  if (auto refusal = Refusal(lines)) {
    return *std::move(refusal);
  }
  const auto pending = std::count_if(lines.begin(), lines.end(), [](const auto& line) {
    return line.state == MigrationState::kPending;
  });
  return pending == 0 ? Status::Ok()
                      : Status(Error(ErrorCode::kUnavailable,
                                     fmt::format("{} migrations of the database are pending: run "
                                                 "`alertstream migrate up`",
                                                 pending)));
}

Status CheckRoles(sql::Session& session) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const sql::Rows rows, session.Run(kLackingRoles));
  const std::string_view lacking = rows.Text(0, 0);
  return lacking.empty()
             ? Status::Ok()
             : Status(Error(ErrorCode::kUnavailable,
                            fmt::format("the user of postgres.url may not act as {}; as a "
                                        "superuser run: {}",
                                        lacking, kRolesByHand)));
}

Result<std::size_t> MigrateUp(sql::Session& session, std::span<const Migration> migrations,
                              const MigrateOptions& options) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const MigrationLock lock, MigrationLock::Take(session));
  // First whether anything may be done at all.
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto lines, ReadMigrations(session, migrations));
  if (auto refusal = Refusal(lines)) {
    return *std::move(refusal);
  }
  ALERTSTREAM_RETURN_IF_ERROR(session.Begin({}));
  ALERTSTREAM_RETURN_IF_ERROR(Prepare(session));
  if (!options.dry_run) {
    ALERTSTREAM_RETURN_IF_ERROR(session.Commit());
  }
  return ApplyPending(session, migrations, lines, options);
}

Status RunFilesInto(sql::Session& session, std::span<const Migration> migrations,
                    std::string_view schema, const std::string& target) {
  for (const Migration& migration : migrations) {
    if (migration.schema != schema) {
      continue;
    }
    // One script is one transaction, or part of the open one; set_config holds for it.
    const Status ran = session.RunScript(
        fmt::format("SELECT set_config('search_path', '{}', true);\n{}", target, migration.text));
    if (!ran.ok()) {
      return Error(ran.error().code(),
                   fmt::format("migration {}: {}", Label(migration.number, migration.name),
                               ran.error().message()));
    }
  }
  return Status::Ok();
}

}  // namespace alertstream::migrations

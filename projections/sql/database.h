// The SQL database as a port: sessions that run named statements with bound parameters, nothing
// else. There is no way to put a value into a statement's text. One adapter, projections/postgres
// (libpqxx); everything that keeps tables uses this header: migrations, the projector, the read
// model's queries, identity.
//
// A Session belongs to one thread at a time; a Database and the pools are thread-safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "processor/base/result.h"
#include "processor/base/time.h"

namespace alertstream::sql {

// A statement with parameters $1, $2, ...; prepared by each session when it is first run. Its name
// is unique in the program: "notifications.by_id". Both live for ever (constants).
struct Statement {
  const char* name;
  const char* text;
};

// The values of a statement's parameters in their order, as PostgreSQL reads them in text form: a
// statement casts where the type is not plain ($1::timestamptz, unnest($2::bytea[])).
class Params {
 public:
  // U+0000 cannot be stored: Run fails with kInvalid.
  Params& Text(std::string_view value);
  Params& Integer(std::int64_t value);
  Params& Boolean(bool value);
  Params& Bytes(std::string_view value);  // bytea
  Params& Time(LogTime value);            // timestamptz; beyond years 1 to 9999 the nearest
  Params& Null();

  // Arrays for unnest; an absent element is NULL.
  Params& Texts(std::span<const std::optional<std::string>> values);
  Params& Integers(std::span<const std::optional<std::int64_t>> values);
  Params& Booleans(std::span<const std::optional<bool>> values);
  Params& BytesList(std::span<const std::optional<std::string>> values);
  Params& Times(std::span<const std::optional<LogTime>> values);

  const std::vector<std::optional<std::string>>& values() const { return values_; }
  bool has_nul() const { return has_nul_; }

 private:
  std::vector<std::optional<std::string>> values_;
  bool has_nul_ = false;
};

// What a statement returned, as text. A column read as what it is not is an error of the caller's
// (ALERTSTREAM_CHECK), as is a NULL read as anything: ask IsNull first where it may be one.
class Rows {
 public:
  std::size_t size() const { return rows_; }
  std::size_t affected() const { return affected_; }  // Of INSERT, UPDATE, DELETE.

  bool IsNull(std::size_t row, std::size_t column) const;
  std::string_view Text(std::size_t row, std::size_t column) const;
  std::int64_t Integer(std::size_t row, std::size_t column) const;
  bool Boolean(std::size_t row, std::size_t column) const;
  std::string Bytes(std::size_t row, std::size_t column) const;  // Of bytea.
  LogTime Time(std::size_t row, std::size_t column) const;       // Of timestamptz.

  // For adapters and fakes: row by row, column by column.
  Rows() = default;
  Rows(std::size_t columns, std::size_t affected) : columns_(columns), affected_(affected) {}
  void AddValue(std::optional<std::string_view> value);

 private:
  struct Cell {
    std::size_t begin = 0;
    std::size_t size = 0;
    bool null = false;
  };
  const Cell& At(std::size_t row, std::size_t column) const;

  std::size_t columns_ = 0;
  std::size_t rows_ = 0;
  std::size_t affected_ = 0;
  std::string text_;
  std::vector<Cell> cells_;
};

struct TransactionOptions {
  bool read_only = false;
  // Every statement sees what had been committed when the first one began; otherwise each sees what
  // had been when it began itself.
  bool one_snapshot = false;
  // Not empty: row-level security shows the rows of this tenant only (SET LOCAL
  // alertstream.tenant). Empty in a session that keeps its tenant.
  std::string tenant = {};
};

// What several statements are read in that have to fit each other.
inline const TransactionOptions kSnapshot{.read_only = true, .one_snapshot = true, .tenant = {}};

struct SessionOptions {
  // Taken on with SET ROLE: "alertstream_api", "alertstream_projector", "alertstream_identity";
  // empty: whoever logs in, for migrations.
  std::string role = {};
  std::string application_name = "alertstream";
  std::chrono::milliseconds statement_timeout{10'000};
  // The session runs nothing before KeepTenant, and whatever it runs only reads. See TenantPool.
  bool keeps_tenant = false;
};

class Session {
 public:
  virtual ~Session() = default;

  // Within the open transaction; without one, as a transaction of its own. kConflict: a unique or
  // foreign key (the message names the constraint), or a serialization failure; kInvalid: a value
  // that the database refuses; kUnavailable: the connection is gone or the server has no room or no
  // time: if !alive() the session has to be dropped. An error inside a transaction ends it.
  // Messages never hold values.
  virtual Result<Rows> Run(const Statement& statement, const Params& params) = 0;
  Result<Rows> Run(const Statement& statement) { return Run(statement, Params()); }

  // From here on row-level security shows the rows of this tenant only, whatever runs, until the
  // next call: one round trip, none if it is the tenant already. After an error nobody knows whose
  // rows the session would show: it is not alive() and runs nothing any more.
  // REQUIRES: SessionOptions::keeps_tenant, and no transaction is open. kInvalid: no tenant.
  virtual Status KeepTenant(const std::string& tenant) = 0;
  // Whose rows are shown; "" unless KeepTenant has succeeded.
  virtual std::string_view tenant() const = 0;

  virtual Status Begin(const TransactionOptions& options) = 0;
  // kUnknown: the connection broke while it committed; ask the tables what became of it.
  virtual Status Commit() = 0;
  virtual void Rollback() = 0;

  // Several statements without parameters, of a file of ours: migrations.
  virtual Status RunScript(const std::string& script) = 0;

  // NOTIFY: what was sent on the channels listened to since the last call, waiting at most
  // `timeout` for the first. A channel is a constant of ours.
  virtual Status Listen(const char* channel) = 0;
  virtual Result<std::vector<std::string>> AwaitPayloads(std::chrono::milliseconds timeout) = 0;

  virtual bool alive() const = 0;
};

class Database {
 public:
  virtual ~Database() = default;
  // "unix:/path/pg" or "postgres://host:port/name": for messages, without a password.
  virtual std::string Describe() const = 0;
  // kUnavailable: cannot be reached or refuses; the message says which setting to look at.
  virtual Result<std::unique_ptr<Session>> Open(const SessionOptions& options) = 0;
};

// At most `sessions_max` sessions, kept open between uses; a dead one is replaced. Thread-safe.
class Pool {
 public:
  Pool(Database& database, SessionOptions options, std::size_t sessions_max);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Gives its session back when it ends; an open transaction is rolled back.
  class Lease {
   public:
    Lease(Lease&&) noexcept = default;
    Lease& operator=(Lease&&) noexcept = delete;
    ~Lease();
    Session& operator*() const { return *session_; }
    Session* operator->() const { return session_.get(); }

   private:
    friend class Pool;
    Lease(Pool& pool, std::unique_ptr<Session> session)
        : pool_(&pool), session_(std::move(session)) {}
    Pool* pool_;
    std::unique_ptr<Session> session_;
  };
  // kUnavailable: the database cannot be reached, or none came free within `timeout`.
  Result<Lease> Take(std::chrono::milliseconds timeout) { return Take(timeout, {}); }

 private:
  friend class TenantPool;
  // A session of `tenant`, if there is one, before any other.
  Result<Lease> Take(std::chrono::milliseconds timeout, std::string_view tenant);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Sessions for reading one tenant's rows at a time. A session keeps its tenant when it is given
// back, so that the next read of that tenant is a single round trip. Nobody else makes sessions
// that keep a tenant, and there is no other way to get one of these than to say whose rows are
// meant: none ever runs a statement under a tenant that its taker has not named.
class TenantPool {
 public:
  // `options.keeps_tenant` goes without saying.
  TenantPool(Database& database, SessionOptions options, std::size_t sessions_max);

  // As Pool::Take. The session shows the rows of `tenant`, and only reads.
  Result<Pool::Lease> Take(const std::string& tenant, std::chrono::milliseconds timeout);

 private:
  Pool pool_;
};

}  // namespace alertstream::sql

#include "projections/postgres/session.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include <pqxx/pqxx>

#include "processor/base/check.h"
#include "projections/postgres/refusal.h"

namespace alertstream::postgres {
namespace {

// How much longer than its statement_timeout a call may take before its connection is cut: the
// server ends the statement by itself if it is alive.
constexpr std::chrono::milliseconds kGrace{5000};
// BEGIN and ROLLBACK read and write nothing: a server that takes longer is not there.
constexpr std::chrono::milliseconds kBracketMax{5000};
// A script is several statements, each with the time of one.
constexpr int kScriptStatements = 10;
// Locks of a transaction that nobody goes on with; longer than any pause of ours within one.
constexpr int kIdleInTransactionMs = 60'000;

// Times in UTC, bytea in hexadecimal: what sql::Rows reads. Compiling a plan (jit) costs more than
// any of our statements.
constexpr std::string_view kServerOptions =
    " -c timezone=UTC -c datestyle=ISO -c bytea_output=hex -c client_min_messages=warning -c "
    "jit=off";

// What the API asks finds few rows by an index, whatever the values: planning it anew each time, as
// the server would for partitioned tables, takes longer than the rest.
constexpr std::string_view kApiRole = "alertstream_api";
// The one place where a session's tenant is set; policies read it with current_setting.
constexpr const char* kKeepTenant = "session.keep_tenant";
constexpr const char* kKeepTenantText = "SELECT set_config('alertstream.tenant', $1, false)";

constexpr const char* kPlanOnce = "SET plan_cache_mode = force_generic_plan";

// Payloads of one channel.
class Receiver : public pqxx::notification_receiver {
 public:
  Receiver(pqxx::connection_base& connection, const std::string& channel,
           std::vector<std::string>* payloads)
      : notification_receiver(connection, channel), payloads_(payloads) {}
  void operator()(const std::string& payload, int /*backend*/) override {
    payloads_->push_back(payload);
  }

 private:
  std::vector<std::string>* payloads_;
};

// SQLSTATE of an exception; libpqxx keeps none for the class 40 and for missing rights.
std::string_view SqlStateOf(const std::exception& exception) {
  if (dynamic_cast<const pqxx::insufficient_privilege*>(&exception) != nullptr) {
    return "42501";
  }
  if (const auto* sql = dynamic_cast<const pqxx::sql_error*>(&exception)) {
    return sql->sqlstate();
  }
  if (dynamic_cast<const pqxx::too_many_connections*>(&exception) != nullptr) {
    return "53300";
  }
  if (dynamic_cast<const pqxx::broken_connection*>(&exception) != nullptr) {
    return "";
  }
  if (dynamic_cast<const pqxx::deadlock_detected*>(&exception) != nullptr) {
    return "40P01";
  }
  if (dynamic_cast<const pqxx::serialization_failure*>(&exception) != nullptr) {
    return "40001";
  }
  if (dynamic_cast<const pqxx::transaction_rollback*>(&exception) != nullptr) {
    return "40000";
  }
  return "";  // Whatever it is: libpqxx and the server do not understand each other any more.
}

class PostgresSession : public sql::Session {
 public:
  PostgresSession(const SessionTarget& target, const std::string& connection_text,
                  const sql::SessionOptions& options, Watchdog& watchdog);
  ~PostgresSession() override;

  Status TakeOn(const std::string& role);

  Result<sql::Rows> Run(const sql::Statement& statement, const sql::Params& params) override;
  Status KeepTenant(const std::string& tenant) override;
  std::string_view tenant() const override { return tenant_; }
  Status Begin(const sql::TransactionOptions& options) override;
  Status Commit() override;
  void Rollback() override;
  Status RunScript(const std::string& script) override;
  Status Listen(const char* channel) override;
  Result<std::vector<std::string>> AwaitPayloads(std::chrono::milliseconds timeout) override;
  bool alive() const override;

 private:
  enum class Transaction { kNone, kOpen, kFailed };

  // Runs `call` against the server's time limit and turns what it throws into an Error.
  Status Guarded(std::string_view what, std::chrono::milliseconds timeout,
                 const std::function<void()>& call);
  Error Failed(std::string_view what, const std::exception& exception);
  pqxx::nontransaction& Work();
  bool ReadableWithin(std::chrono::milliseconds timeout) const;

  const std::string described_;
  const std::chrono::milliseconds timeout_;
  const bool keeps_tenant_;
  std::string tenant_;  // That the server has confirmed; "" while none is.
  pqxx::connection connection_;
  pqxx::quiet_errorhandler silence_;  // Notices quote values.
  std::optional<Watchdog::Watched> watched_;
  std::set<std::string_view> prepared_;  // Names of statements, which live for ever.
  // libpqxx runs statements through a transaction object only; ours begin and end by statements of
  // our own, so that one round trip carries BEGIN and the tenant.
  std::optional<pqxx::nontransaction> work_;
  Transaction transaction_ = Transaction::kNone;
  bool read_only_ = false;
  bool lost_ = false;
  std::string primary_message_;  // Of the last error, for scripts.
  std::vector<std::string> payloads_;
  std::map<std::string, std::unique_ptr<Receiver>> receivers_;
};

PostgresSession::PostgresSession(const SessionTarget& target, const std::string& connection_text,
                                 const sql::SessionOptions& options, Watchdog& watchdog)
    : described_(target.described),
      timeout_(options.statement_timeout),
      keeps_tenant_(options.keeps_tenant),
      connection_(connection_text),
      silence_(connection_) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  // Deprecated because libpqxx 7 does nothing else. 6 reconnects silently, without role and tenant.
  connection_.inhibit_reactivation(true);
#pragma GCC diagnostic pop
  connection_.set_verbosity(pqxx::connection_base::verbose);
  watched_.emplace(watchdog, connection_.sock());
}

PostgresSession::~PostgresSession() {
  // libpqxx says goodbye to the channels.
  watched_->Arm(kGrace);
  work_.reset();
  receivers_.clear();
  watched_.reset();
}

pqxx::nontransaction& PostgresSession::Work() {
  if (!work_) {
    work_.emplace(connection_);
  }
  return *work_;
}

Error PostgresSession::Failed(std::string_view what, const std::exception& exception) {
  const std::string_view sqlstate = SqlStateOf(exception);
  Refusal refusal = RefusalOf(what, sqlstate, exception.what());
  primary_message_ = PrimaryMessage(sqlstate, exception.what());
  lost_ = lost_ || refusal.session_lost || watched_->expired() || !connection_.is_open();
  if (transaction_ == Transaction::kOpen) {
    transaction_ = Transaction::kFailed;
  }
  if (lost_) {
    const std::string_view hint =
        watched_->expired() ? "did not answer in time" : "ended or lost the session";
    return {ErrorCode::kUnavailable,
            fmt::format("{} {}: {}", described_, hint, refusal.error.message())};
  }
  return refusal.error;
}

Status PostgresSession::Guarded(std::string_view what, std::chrono::milliseconds timeout,
                                const std::function<void()>& call) {
  if (lost_) {
    return Error(ErrorCode::kUnavailable, fmt::format("{} ended or lost the session", described_));
  }
  if (timeout.count() > 0) {
    watched_->Arm(timeout + kGrace);
  }
  std::optional<Error> error;
  try {
    call();
  } catch (const std::exception& exception) {
    error = Failed(what, exception);
  }
  watched_->Disarm();
  return error ? Status(*error) : Status::Ok();
}

Status PostgresSession::TakeOn(const std::string& role) {
  Status taken = Guarded("SET ROLE", timeout_, [&] {
    Work().exec("SET ROLE " + connection_.quote_name(role));
    if (role == kApiRole) {
      Work().exec(kPlanOnce);
    }
  });
  if (taken.ok() || lost_) {
    return taken;
  }
  return Error(ErrorCode::kUnavailable,
               fmt::format("{}: the user of postgres.url may not act as {}: run `alertstream "
                           "migrate up` as its owner",
                           described_, role));
}

sql::Rows RowsOf(const pqxx::result& result) {
  const auto columns = static_cast<std::size_t>(result.columns());
  sql::Rows rows(columns, static_cast<std::size_t>(result.affected_rows()));
  for (const pqxx::row& row : result) {
    for (const pqxx::field& field : row) {
      if (field.is_null()) {
        rows.AddValue(std::nullopt);
      } else {
        rows.AddValue(std::string_view(field.c_str(), field.size()));
      }
    }
  }
  return rows;
}

Result<sql::Rows> PostgresSession::Run(const sql::Statement& statement, const sql::Params& params) {
  if (keeps_tenant_ && tenant_.empty() && !lost_) {  // Nobody has said whose rows are meant.
    return Error(ErrorCode::kInvalid, fmt::format("{}: the session has no tenant", statement.name));
  }
  if (transaction_ == Transaction::kFailed) {
    return Error(ErrorCode::kInvalid,
                 fmt::format("{}: its transaction has ended with an error", statement.name));
  }
  sql::Rows rows;
  Status ran =
      Error(ErrorCode::kInvalid,
            fmt::format("{}: a text holds U+0000, which cannot be stored", statement.name));
  if (params.has_nul()) {
    if (transaction_ == Transaction::kOpen) {
      transaction_ = Transaction::kFailed;
    }
  } else {
    std::vector<const char*> values;
    values.reserve(params.values().size());
    for (const auto& value : params.values()) {
      values.push_back(value ? value->c_str() : nullptr);
    }
    ran = Guarded(statement.name, timeout_, [&] {
      if (prepared_.insert(statement.name).second) {
        connection_.prepare(statement.name, statement.text);
      }
      rows =
          RowsOf(Work().exec_prepared(statement.name, pqxx::prepare::make_dynamic_params(values)));
    });
  }
  ALERTSTREAM_RETURN_IF_ERROR(ran);
  return rows;
}

Status PostgresSession::KeepTenant(const std::string& tenant) {
  // A setting that is made within a transaction goes with it.
  ALERTSTREAM_CHECK(keeps_tenant_ && transaction_ == Transaction::kNone);
  if (tenant.empty() || tenant.find('\0') != std::string::npos) {
    return Error(ErrorCode::kInvalid, "a session keeps a tenant, whose name holds no U+0000");
  }
  if (!lost_ && tenant_ == tenant) {
    return Status::Ok();
  }
  tenant_.clear();
  bool is_set = false;
  Status kept = Guarded(kKeepTenant, timeout_, [&] {
    if (prepared_.insert(kKeepTenant).second) {
      connection_.prepare(kKeepTenant, kKeepTenantText);
    }
    const pqxx::result rows = Work().exec_prepared(kKeepTenant, tenant);
    is_set = rows.size() == 1 && rows[0][0].c_str() == tenant;
  });
  if (kept.ok() && is_set) {
    tenant_ = tenant;
    return kept;
  }
  lost_ = true;
  return Error(ErrorCode::kUnavailable,
               kept.ok() ? fmt::format("{}: the setting was not taken", kKeepTenant)
                         : kept.error().message());
}

Status PostgresSession::Begin(const sql::TransactionOptions& options) {
  ALERTSTREAM_CHECK(transaction_ != Transaction::kOpen);
  ALERTSTREAM_CHECK(!keeps_tenant_ || options.tenant.empty());
  if (options.tenant.find('\0') != std::string::npos) {
    return Error(ErrorCode::kInvalid, "no tenant's name holds U+0000");
  }
  Rollback();
  Status begun = Guarded("BEGIN", std::min(timeout_, kBracketMax), [&] {
    std::string text = options.one_snapshot ? "BEGIN ISOLATION LEVEL REPEATABLE READ" : "BEGIN";
    text += options.read_only ? " READ ONLY" : "";
    if (!options.tenant.empty()) {
      text += fmt::format("; SELECT set_config('alertstream.tenant', {}, true)",
                          connection_.quote(options.tenant));
    }
    Work().exec(text);
  });
  read_only_ = options.read_only;
  transaction_ = begun.ok() ? Transaction::kOpen : Transaction::kFailed;
  return begun;
}

Status PostgresSession::Commit() {
  if (transaction_ != Transaction::kOpen) {
    Rollback();
    return Error(ErrorCode::kInvalid, "COMMIT: the transaction has ended with an error");
  }
  Status committed = Guarded("COMMIT", timeout_, [&] { Work().exec("COMMIT"); });
  transaction_ = Transaction::kNone;
  if (!committed.ok() && lost_ && !read_only_) {
    return Error(ErrorCode::kUnknown,
                 "whether it was committed is not known: " + committed.error().message());
  }
  return committed;
}

void PostgresSession::Rollback() {
  if (std::exchange(transaction_, Transaction::kNone) == Transaction::kNone || lost_) {
    return;
  }
  if (!Guarded("ROLLBACK", std::min(timeout_, kBracketMax), [&] {
         Work().exec("ROLLBACK");
       }).ok()) {
    lost_ = true;  // Nobody knows what the session is in the middle of.
  }
}

Status PostgresSession::RunScript(const std::string& script) {
  if (keeps_tenant_) {  // It could set anything.
    return Error(ErrorCode::kInvalid, "script: a session that keeps a tenant runs none");
  }
  if (transaction_ == Transaction::kFailed) {
    return Error(ErrorCode::kInvalid, "script: its transaction has ended with an error");
  }
  if (script.find('\0') != std::string::npos) {
    return Error(ErrorCode::kInvalid, "script: holds U+0000");
  }
  Status ran = Guarded("script", timeout_ * kScriptStatements, [&] { Work().exec(script); });
  if (ran.ok() || primary_message_.empty() ||
      ran.error().message().find(primary_message_) != std::string::npos) {
    return ran;
  }
  return Error(ran.error().code(), fmt::format("{}: {}", ran.error().message(), primary_message_));
}

Status PostgresSession::Listen(const char* channel) {
  ALERTSTREAM_CHECK(transaction_ == Transaction::kNone);
  work_.reset();
  return Guarded("LISTEN", timeout_, [&] {
    auto& receiver = receivers_[channel];
    if (receiver == nullptr) {
      receiver = std::make_unique<Receiver>(connection_, channel, &payloads_);
    }
  });
}

bool PostgresSession::ReadableWithin(std::chrono::milliseconds timeout) const {
  constexpr std::chrono::milliseconds kLongest{24 * 3600 * 1000};
  pollfd socket{.fd = connection_.sock(), .events = POLLIN, .revents = 0};
  const auto wait = std::clamp(timeout, std::chrono::milliseconds(0), kLongest);
  return ::poll(&socket, 1, static_cast<int>(wait.count())) > 0;
}

Result<std::vector<std::string>> PostgresSession::AwaitPayloads(std::chrono::milliseconds timeout) {
  ALERTSTREAM_CHECK(transaction_ == Transaction::kNone);
  work_.reset();  // libpqxx delivers nothing while a transaction object is there.
  ALERTSTREAM_RETURN_IF_ERROR(Guarded("LISTEN", timeout_, [&] { connection_.get_notifs(); }));
  if (payloads_.empty() && ReadableWithin(timeout)) {
    ALERTSTREAM_RETURN_IF_ERROR(Guarded("LISTEN", timeout_, [&] { connection_.get_notifs(); }));
  }
  return std::exchange(payloads_, {});
}

// is_open() of libpqxx still says yes after the server has closed its end.
bool PostgresSession::alive() const {
  if (lost_ || !connection_.is_open()) {
    return false;
  }
  pollfd socket{.fd = connection_.sock(), .events = POLLRDHUP, .revents = 0};
  return ::poll(&socket, 1, 0) == 0;
}

std::string ConnectionTextOf(const SessionTarget& target, const sql::SessionOptions& options) {
  Target settings = target.target;
  settings["application_name"] = options.application_name;
  settings["client_encoding"] = "UTF8";
  settings["options"] += fmt::format(
      "{} -c statement_timeout={} -c "
      "idle_in_transaction_session_timeout={}",
      kServerOptions, options.statement_timeout.count(), kIdleInTransactionMs);
  if (options.keeps_tenant) {
    settings["options"] += " -c default_transaction_read_only=on";
  }
  // A host that has gone away is noticed within 20 s also while nothing is asked.
  settings.try_emplace("keepalives_idle", "10");
  settings.try_emplace("keepalives_interval", "5");
  settings.try_emplace("keepalives_count", "2");
  if (!target.password.empty()) {
    settings["password"] = target.password;
  }
  return ConnectionText(settings);
}

// libpq's own words name socket, host and user, never the password.
Error CannotConnect(const std::string& described, std::string_view words) {
  constexpr std::size_t kShownMax = 300;
  std::string line(words.substr(0, kShownMax));
  std::replace(line.begin(), line.end(), '\n', ' ');
  while (!line.empty() && line.back() == ' ') {
    line.pop_back();
  }
  return {ErrorCode::kUnavailable,
          fmt::format("{} cannot be reached (postgres.url): {}", described, line)};
}

}  // namespace

Result<std::unique_ptr<sql::Session>> OpenSession(const SessionTarget& target,
                                                  const sql::SessionOptions& options,
                                                  Watchdog& watchdog) {
  std::unique_ptr<PostgresSession> session;
  try {
    session = std::make_unique<PostgresSession>(target, ConnectionTextOf(target, options), options,
                                                watchdog);
  } catch (const std::exception& exception) {
    return CannotConnect(target.described, exception.what());
  }
  if (!options.role.empty()) {
    ALERTSTREAM_RETURN_IF_ERROR(session->TakeOn(options.role));
  }
  return std::unique_ptr<sql::Session>(std::move(session));
}

}  // namespace alertstream::postgres

#include "ops/cli/dev_postgres.h"

#include <utility>

#include <fmt/format.h>

#include "ops/cli/json_object.h"
#include "processor/base/log.h"
#include "projections/migrations/migrations.h"
#include "projections/postgres/database.h"

namespace alertstream::cli {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLookEvery{1000};
// What a healthy database takes for SELECT 1 under load; also the longest that a stop waits for.
constexpr milliseconds kProbeMax{2000};
// A dev's tables are small.
constexpr milliseconds kMigrateMax{20'000};

constexpr sql::Statement kProbe{"dev_postgres.probe", "SELECT 1"};

}  // namespace

DevPostgres::DevPostgres(const Settings& settings, Clock& clock)
    : settings_(settings), clock_(clock), url_(settings.Text(Setting::kPostgresUrl)) {}

std::unique_ptr<DevPostgres> DevPostgres::Start(const Settings& settings, Clock& clock) {
  std::unique_ptr<DevPostgres> dev(new DevPostgres(settings, clock));
  const auto prepare = [&]() -> Status {
    if (dev->url_.empty()) {
      ALERTSTREAM_ASSIGN_OR_RETURN(dev->directory_,
                                   postgres::ClusterDirectory(settings.Text(Setting::kDataDir)));
      ALERTSTREAM_ASSIGN_OR_RETURN(dev->url_, postgres::ClusterUrl(dev->directory_));
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(
        dev->database_,
        postgres::MakeDatabase(
            {.url = dev->url_, .password = settings.Secret(Setting::kPostgresPassword)}, clock));
    return Status::Ok();
  };
  const Status prepared = prepare();
  if (!prepared.ok()) {
    dev->url_.clear();
    dev->Set(prepared);
    return dev;
  }
  dev->thread_ = std::thread([raw = dev.get()] { raw->Run(); });
  return dev;
}

DevPostgres::~DevPostgres() { End(); }

void DevPostgres::Run() {
  for (;;) {
    Set(Step());
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, kLookEvery, [this] { return ends_; })) {
      break;
    }
  }
  session_.reset();
  cluster_.reset();  // By the thread that started it.
}

Status DevPostgres::StepCluster() {
  if (directory_.empty()) {
    return Status::Ok();
  }
  if (cluster_ == nullptr) {
    ALERTSTREAM_ASSIGN_OR_RETURN(cluster_,
                                 postgres::Cluster::Start({.directory = directory_}, clock_));
    return Status::Ok();
  }
  return cluster_->Running() ? Status::Ok() : cluster_->Restart();
}

Status DevPostgres::Step() {
  ALERTSTREAM_RETURN_IF_ERROR(StepCluster());
  if (!is_migrated_) {
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto session,
                                 database_->Open({.application_name = "alertstream-migrate",
                                                  .statement_timeout = kMigrateMax}));
    ALERTSTREAM_RETURN_IF_ERROR(migrations::MigrateUp(*session, migrations::ProgramMigrations()));
    is_migrated_ = true;
  }
  if (session_ == nullptr || !session_->alive()) {
    ALERTSTREAM_ASSIGN_OR_RETURN(session_, database_->Open({.application_name = "alertstream-dev",
                                                            .statement_timeout = kProbeMax}));
  }
  const auto probed = session_->Run(kProbe);
  return probed.ok() ? Status::Ok() : Status(probed.error());
}

void DevPostgres::Set(const Status& status) {
  const Phase phase = status.ok() ? Phase::kReady : Phase::kUnavailable;
  const std::string error = status.ok() ? "" : status.error().message();
  bool is_new = false;
  {
    const std::scoped_lock lock(mutex_);
    is_new = phase != phase_ || error != error_;
    phase_ = phase;
    error_ = error;
  }
  changed_.notify_all();
  if (is_new && !status.ok()) {
    Log(LogLevel::kWarning, "postgres_unavailable", {{"error", error}});
  }
}

bool DevPostgres::AwaitReady(milliseconds timeout) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, timeout, [this] { return phase_ != Phase::kStarting; });
  return phase_ == Phase::kReady;
}

std::string DevPostgres::Describe() const {
  const std::scoped_lock lock(mutex_);
  const std::string where = database_ == nullptr ? "" : database_->Describe();
  if (phase_ == Phase::kReady) {
    return fmt::format("{}   {}", where, directory_.empty() ? "elsewhere" : "own cluster");
  }
  return phase_ == Phase::kStarting ? where + "   still starting" : "not available: " + error_;
}

HealthState DevPostgres::Health() const {
  const std::scoped_lock lock(mutex_);
  JsonObject object;
  object.Text("status", phase_ == Phase::kReady      ? "ready"
                        : phase_ == Phase::kStarting ? "starting"
                                                     : "unavailable");
  if (!error_.empty()) {
    object.Text("error", error_);
  }
  return {.ready = true, .body = object.Take()};
}

void DevPostgres::End() {
  {
    const std::scoped_lock lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) {
    thread_.join();
  }
}

bool DevPostgres::Stop(milliseconds /*deadline*/) {
  End();
  return true;
}

}  // namespace alertstream::cli

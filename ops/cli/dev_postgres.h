// The database of a dev: a cluster of its own (ops/postgres), or the one of postgres.url; started,
// migrated and watched by a thread of its own, so that a database that is slow, stopped or not
// installed never holds up the rest of dev. Part of the wiring.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "ops/cli/commands/serve.h"
#include "ops/cli/settings.h"
#include "ops/postgres/cluster.h"
#include "processor/base/clock.h"
#include "processor/base/result.h"
#include "projections/sql/database.h"

namespace alertstream::cli {

class DevPostgres : public ServerPart {
 public:
  // Begins; waits for nothing. `settings` and `clock` outlive it.
  static std::unique_ptr<DevPostgres> Start(const Settings& settings, Clock& clock);
  ~DevPostgres() override;

  // True once the database was ready and migrated, false if that failed or took longer.
  bool AwaitReady(std::chrono::milliseconds timeout);
  // Where it is, also while it is away; "" if there can be none (not installed).
  const std::string& url() const { return url_; }
  // For the screen: "unix:/... (own cluster)", or why there is none.
  std::string Describe() const;

  std::string_view name() const override { return "postgres"; }
  // Always ready: the rest of dev does its work without. The body has the status: starting, ready
  // or unavailable, and the error.
  HealthState Health() const override;
  void Tick() override {}
  bool Stop(std::chrono::milliseconds deadline) override;

 private:
  enum class Phase { kStarting, kReady, kUnavailable };

  DevPostgres(const Settings& settings, Clock& clock);
  void Run();
  Status Step();
  Status StepCluster();
  void Set(const Status& status);
  void End();

  const Settings& settings_;
  Clock& clock_;
  std::string directory_;  // Of our own cluster; "": another's.
  std::string url_;
  std::unique_ptr<sql::Database> database_;

  // Of the thread.
  std::unique_ptr<postgres::Cluster> cluster_;
  std::unique_ptr<sql::Session> session_;
  bool is_migrated_ = false;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Phase phase_ = Phase::kStarting;  // Guarded by mutex_, as the two below.
  std::string error_;
  bool ends_ = false;
  std::thread thread_;
};

}  // namespace alertstream::cli

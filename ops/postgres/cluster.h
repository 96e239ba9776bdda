// A PostgreSQL of our own, for `dev` and for tests: a cluster in a directory, run by Debian's
// binaries as a user that is not root, reached over a Unix socket in a directory that only this
// user and root may enter; no TCP. Debian's own cluster is never touched. Belongs to one thread,
// which has to live as long: the server stops when that thread ends, however it does.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "ops/postgres/process.h"
#include "processor/base/clock.h"
#include "processor/base/result.h"

namespace alertstream::postgres {

// Where the cluster of a data directory lies: below it, or below /var/lib/alertstream if the user
// that runs PostgreSQL cannot enter it (a clone below root's home). Makes `data_dir`.
Result<std::string> ClusterDirectory(const std::string& data_dir);

// How the cluster in that directory is reached, also before it is there: the database `alertstream`
// as the role of that name.
Result<std::string> ClusterUrl(const std::string& directory);

struct ClusterOptions {
  std::string directory;  // Made if it is missing; holds data/, socket/ and server.log.
  // false: nothing waits for the disk; for tests, whose data may vanish with the machine.
  bool durable = true;
};

class Cluster {
 public:
  // Makes the cluster if there is none, with the role and the database `alertstream` (the role may
  // make roles, and owns the database), and starts it. One that was killed recovers; one that still
  // runs for a program that was killed is stopped first. kUnavailable: PostgreSQL is not installed
  // or does not start; the message has its last words. kConflict: the directory is somebody else's.
  static Result<std::unique_ptr<Cluster>> Start(const ClusterOptions& options, Clock& clock);
  ~Cluster();  // Stops.
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // "postgres://alertstream@/alertstream?host=/directory/socket"; with another database of it.
  const std::string& url() const { return url_; }
  std::string UrlOf(const std::string& database, const std::string& user = "alertstream") const;
  const std::string& directory() const { return options_.directory; }

  // False when the server has ended by itself; then Restart.
  bool Running();
  Status Restart();
  // Ends sessions, writes what has to be written; within some seconds.
  void Stop();

  // For tests: SIGKILL to the server and what it started; SIGSTOP and SIGCONT.
  void Kill();
  void Suspend();
  void Resume();

 private:
  Cluster(ClusterOptions options, ProcessUser user, Clock& clock);
  Status Prepare();
  Status Make();
  Status Launch();
  Status AwaitReady();
  bool AwaitEnd(std::chrono::milliseconds timeout);
  Error Failed(std::string_view what) const;
  std::string In(std::string_view name) const {
    return options_.directory + "/" + std::string(name);
  }

  const ClusterOptions options_;
  const ProcessUser user_;
  Clock& clock_;
  std::string programs_;  // The directory of PostgreSQL's programs.
  std::string sockets_;
  std::string url_;
  pid_t process_ = -1;
};

// Stops what may still run there and removes the directory with all it holds; nothing if there is
// none.
Status RemoveCluster(const std::string& directory, Clock& clock);

}  // namespace alertstream::postgres

// Processes of PostgreSQL: PostgreSQL refuses to run as root, so root starts them as another user.
// Used by cluster.cc. The caller's thread has to live as long as what Spawn started.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "processor/base/result.h"

namespace alertstream::postgres {

struct ProcessUser {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
};

// Whoever we are; for root: `postgres`, which Debian's package makes. kUnavailable: there is no
// such user.
Result<ProcessUser> UserOfCluster();

struct ProcessOptions {
  std::vector<std::string> arguments;  // The program's path first.
  std::string directory;               // Where it runs; the user may enter it.
  std::string output;                  // Its file that stdout and stderr go to, at the end.
};

// A child in a session of its own, so that a terminal's Ctrl-C does not reach it, that is told to
// stop (SIGINT) when the calling thread ends, however it ends.
Result<pid_t> Spawn(const ProcessUser& user, const ProcessOptions& options);

// Runs to the end and returns the exit code; a signal counts as 128 and its number.
Result<int> RunToEnd(const ProcessUser& user, const ProcessOptions& options);

// The exit code once the child has ended, as of RunToEnd.
std::optional<int> Ended(pid_t child);

// Whether the user may enter the directory, which lies there.
bool MayEnter(const ProcessUser& user, const std::string& directory);

}  // namespace alertstream::postgres

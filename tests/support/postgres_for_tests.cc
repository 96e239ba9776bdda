// A throw-away PostgreSQL for tests in other languages: prints the URL of an empty database in one
// line, then runs until its standard input ends.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>

#include "ops/postgres/cluster.h"
#include "ops/postgres/process.h"
#include "processor/base/clock.h"

namespace alertstream::postgres {
namespace {

int Serve() {
  const auto user = UserOfCluster();
  std::string directory = "/tmp/alertstream_pg_XXXXXX";
  if (!user.ok() || ::mkdtemp(directory.data()) == nullptr ||
      ::chown(directory.c_str(), user.value().uid, user.value().gid) != 0) {
    std::cerr << (user.ok() ? "no directory for PostgreSQL" : user.error().message()) << "\n";
    return 1;
  }
  int exit_code = 0;
  {
    const auto cluster = Cluster::Start({.directory = directory, .durable = false}, SystemClock());
    if (cluster.ok()) {
      std::cout << cluster.value()->url() << std::endl;
      while (std::cin.get() != std::char_traits<char>::eof()) {
      }
    } else {
      std::cerr << cluster.error().message() << "\n";
      exit_code = 1;
    }
  }
  std::error_code error;
  std::filesystem::remove_all(directory, error);
  return exit_code;
}

}  // namespace
}  // namespace alertstream::postgres

int main() { return alertstream::postgres::Serve(); }

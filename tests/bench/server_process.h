// ServerProcess: a server of a benchmark in a process of its own, so that its CPU time can be told
// from the load's. Made before this process has a second thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>

namespace alertstream::bench {

class ServerProcess {
 public:
  // `start` runs in the new process: it starts the server and returns its port; the server goes on
  // until End. Ends this program if there is none.
  explicit ServerProcess(const std::function<std::uint16_t()>& start);
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  std::uint16_t port() const { return port_; }
  std::size_t ResidentBytes() const;  // Now.
  double CpuSeconds() const;          // That it has used so far.
  // Ends it; returns the CPU seconds that it used. REQUIRES: called once.
  double End();

 private:
  pid_t pid_ = -1;
  int hold_ = -1;
  std::uint16_t port_ = 0;
};

}  // namespace alertstream::bench

#include "tests/bench/server_process.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

#include <fmt/core.h>

namespace alertstream::bench {
namespace {

[[noreturn]] void Die(std::string_view what) {
  fmt::print(stderr, "server process: {}\n", what);
  std::exit(1);
}

}  // namespace

ServerProcess::ServerProcess(const std::function<std::uint16_t()>& start) {
  std::array<int, 2> to_child{};
  std::array<int, 2> to_parent{};
  if (::pipe(to_child.data()) != 0 || ::pipe(to_parent.data()) != 0) {
    Die("no pipe");
  }
  pid_ = ::fork();
  if (pid_ < 0) {
    Die("no process");
  }
  if (pid_ == 0) {
    ::close(to_child[1]);
    ::close(to_parent[0]);
    const std::uint16_t port = start();
    if (::write(to_parent[1], &port, sizeof port) != sizeof port) {
      std::_Exit(1);
    }
    // Until the other end of the pipe closes, also by that process's death.
    char unused = 0;
    while (::read(to_child[0], &unused, 1) > 0) {
    }
    std::_Exit(0);
  }
  ::close(to_child[0]);
  ::close(to_parent[1]);
  hold_ = to_child[1];
  if (::read(to_parent[0], &port_, sizeof port_) != sizeof port_) {
    Die("it did not start");
  }
  ::close(to_parent[0]);
}

std::size_t ServerProcess::ResidentBytes() const {
  std::ifstream file(fmt::format("/proc/{}/statm", pid_));
  std::size_t total = 0;
  std::size_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

double ServerProcess::CpuSeconds() const {
  // Behind the name, which may hold anything: state and 10 more fields, then user and system time.
  constexpr int kFieldsBefore = 11;
  std::ifstream file(fmt::format("/proc/{}/stat", pid_));
  std::string field;
  std::getline(file, field, ')');
  for (int i = 0; i < kFieldsBefore; ++i) {
    file >> field;
  }
  double user = 0;
  double system = 0;
  file >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

double ServerProcess::End() {
  ::close(hold_);
  rusage usage{};
  ::wait4(pid_, nullptr, 0, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace alertstream::bench

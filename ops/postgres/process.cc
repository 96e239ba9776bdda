#include "ops/postgres/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <string_view>
#include <system_error>

namespace alertstream::postgres {
namespace {

constexpr const char* kRootsSubstitute = "postgres";
constexpr int kExecFailed = 127;

Error SystemError(std::string_view what, int code) {
  return {ErrorCode::kUnavailable,
          fmt::format("{}: {}", what, std::generic_category().message(code))};
}

int ExitCodeOf(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// True if the process is the user's from here on. Only calls that are safe after fork.
bool Become(const ProcessUser& user) {
  if (::geteuid() == user.uid) {
    return true;
  }
  return ::setgroups(user.groups.size(), user.groups.data()) == 0 && ::setgid(user.gid) == 0 &&
         ::setuid(user.uid) == 0;
}

// In the child; returns only if something fails. What it needs was made before the fork.
void Execute(const ProcessUser& user, const ProcessOptions& options, char* const* arguments,
             char* const* environment, pid_t parent) {
  constexpr unsigned kDescriptorsMax = ~0U;
  ::setsid();
  sigset_t none;
  ::sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  for (const int ignored : {SIGPIPE, SIGINT, SIGQUIT}) {  // As a shell leaves them behind `&`.
    ::signal(ignored, SIG_DFL);
  }
  ::umask(0077);
  // As the user, in whose folders root must not be led astray.
  if (!Become(user)) {
    return;
  }
  const int input = ::open("/dev/null", O_RDONLY);
  const int output = ::open(options.output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (output < 0 || input < 0 || ::dup2(input, 0) < 0 || ::dup2(output, 1) < 0 ||
      ::dup2(output, 2) < 0 || ::close_range(3, kDescriptorsMax, 0) != 0 ||
      ::chdir(options.directory.c_str()) != 0) {
    return;
  }
  // After the change of user, which forgets it. The parent may have ended before.
  if (::prctl(PR_SET_PDEATHSIG, SIGINT) != 0 || ::getppid() != parent) {
    return;
  }
  ::execve(arguments[0], arguments, environment);
}

}  // namespace

Result<ProcessUser> UserOfCluster() {
  const bool is_root = ::geteuid() == 0;
  constexpr std::size_t kEntryMax = 16 << 10;
  std::array<char, kEntryMax> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  const int failed =
      is_root ? ::getpwnam_r(kRootsSubstitute, &entry, buffer.data(), buffer.size(), &found)
              : ::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) {
    return Error(
        ErrorCode::kUnavailable,
        is_root ? "PostgreSQL does not run as root and there is no user `postgres`: install "
                  "postgresql-15 (ops/install), or name a server with --postgres"
                : fmt::format("PostgreSQL wants a user with a name; {} has none{}", ::geteuid(),
                              failed == 0 ? "" : ": " + std::generic_category().message(failed)));
  }
  ProcessUser user{.name = entry.pw_name, .uid = entry.pw_uid, .gid = entry.pw_gid, .groups = {}};
  if (is_root) {
    constexpr int kGroupsMax = 1024;
    int count = kGroupsMax;
    user.groups.resize(kGroupsMax);
    if (::getgrouplist(entry.pw_name, entry.pw_gid, user.groups.data(), &count) < 0) {
      count = 0;
    }
    user.groups.resize(static_cast<std::size_t>(count));
  }
  return user;
}

Result<pid_t> Spawn(const ProcessUser& user, const ProcessOptions& options) {
  std::vector<std::string> texts = options.arguments;
  std::vector<std::string> settings = {"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"};
  const auto pointers = [](std::vector<std::string>& strings) {
    std::vector<char*> list;
    list.reserve(strings.size() + 1);
    for (std::string& text : strings) {
      list.push_back(text.data());
    }
    list.push_back(nullptr);
    return list;
  };
  const std::vector<char*> arguments = pointers(texts);
  const std::vector<char*> environment = pointers(settings);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) {
    return SystemError("fork", errno);
  }
  if (child == 0) {
    Execute(user, options, arguments.data(), environment.data(), parent);
    ::_exit(kExecFailed);
  }
  return child;
}

Result<int> RunToEnd(const ProcessUser& user, const ProcessOptions& options) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const pid_t child, Spawn(user, options));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) {
      return SystemError("waitpid", errno);
    }
  }
  return ExitCodeOf(status);
}

std::optional<int> Ended(pid_t child) {
  int status = 0;
  const pid_t ended = ::waitpid(child, &status, WNOHANG);
  if (ended == 0) {
    return std::nullopt;
  }
  return ended == child ? ExitCodeOf(status) : 0;
}

bool MayEnter(const ProcessUser& user, const std::string& directory) {
  const auto ran = RunToEnd(
      user,
      {.arguments = {"/usr/bin/test", "-x", directory}, .directory = "/", .output = "/dev/null"});
  return ran.ok() && ran.value() == 0;
}

}  // namespace alertstream::postgres

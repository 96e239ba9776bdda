#include "ops/postgres/cluster.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>
#include <vector>

#include "processor/base/crypto.h"

namespace alertstream::postgres {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr std::string_view kInstalled = "/usr/lib/postgresql";
constexpr std::string_view kElsewhere = "/var/lib/alertstream";
constexpr std::string_view kOurs = "alertstream";  // Database and role.
// $0 is PostgreSQL, $1 the data directory; in single-user mode a line is a statement.
constexpr const char* kBootstrap =
    "printf 'CREATE ROLE alertstream LOGIN CREATEROLE CREATEDB\\n"
    "CREATE DATABASE alertstream OWNER alertstream\\n' | \"$0\" --single -F -D \"$1\" postgres";
constexpr int kVersionMin = 15;
// sockaddr_un holds 107 bytes and a NUL; PostgreSQL's socket is DIRECTORY/.s.PGSQL.5432.
constexpr std::size_t kSocketPathMax = 107;
constexpr std::string_view kSocketName = "/.s.PGSQL.5432";
constexpr milliseconds kPause{10};
constexpr milliseconds kStartMax{60'000};  // Recovery reads up to max_wal_size.
constexpr milliseconds kStopMax{10'000};   // A checkpoint; then it is told to leave without.
constexpr milliseconds kQuitMax{5000};
constexpr std::uintmax_t kServerLogBytesMax = 1 << 20;
constexpr std::size_t kLastWordsMax = 4096;

std::string HashOf(const std::string& text) {
  constexpr std::size_t kHashBytes = 8;
  return ToHex(AsView(Sha256::Of(text)).substr(0, kHashBytes));
}

Error PathError(const std::string& path, int code) {
  return {ErrorCode::kUnavailable,
          fmt::format("{} cannot be used: {}", path, std::generic_category().message(code))};
}

bool IsNumber(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return std::isdigit(c) != 0; });
}

int NumberOf(const std::string& text) {
  int number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Of the version that made the data, or the newest.
Result<std::string> FindPrograms(const std::string& version_file) {
  const std::string wanted = FirstLine(version_file);
  int newest = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(kInstalled, error)) {
    const std::string name = entry.path().filename().string();
    if (!IsNumber(name) || NumberOf(name) < kVersionMin ||
        !fs::exists(entry.path() / "bin/postgres", error) ||
        !fs::exists(entry.path() / "bin/initdb", error)) {
      continue;
    }
    if (name == wanted) {
      return (entry.path() / "bin").string();
    }
    newest = std::max(newest, NumberOf(name));
  }
  if (newest == 0 || !wanted.empty()) {
    return Error(ErrorCode::kUnavailable,
                 fmt::format("PostgreSQL {} is not installed below {}: install postgresql-{} "
                             "(ops/install), or name a server with --postgres",
                             wanted.empty() ? std::to_string(kVersionMin) : wanted, kInstalled,
                             wanted.empty() ? std::to_string(kVersionMin) : wanted));
  }
  return fmt::format("{}/{}/bin", kInstalled, newest);
}

// A directory that only the user may enter, made if it is missing.
Status EnsurePrivate(const std::string& path, const ProcessUser& user) {
  if (::mkdir(path.c_str(), 0700) == 0) {
    if (user.uid != ::geteuid() && ::chown(path.c_str(), user.uid, user.gid) != 0) {
      return PathError(path, errno);
    }
    return Status::Ok();
  }
  if (errno != EEXIST) {
    return PathError(path, errno);
  }
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) {
    return PathError(path, errno);
  }
  if (!S_ISDIR(found.st_mode) || found.st_uid != user.uid || (found.st_mode & 0077U) != 0) {
    return Error(ErrorCode::kConflict,
                 fmt::format("{} is not a directory of {} alone: a cluster of another user lies "
                             "there, or something else; move it away",
                             path, user.name));
  }
  return Status::Ok();
}

Status SyncFileSystem(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  const bool is_synced = fd >= 0 && ::syncfs(fd) == 0;
  const int failure = errno;
  if (fd >= 0) {
    ::close(fd);
  }
  return is_synced ? Status::Ok() : Status(PathError(path, failure));
}

// Servers and sessions whose data is there: each works in the data directory.
std::vector<pid_t> ProcessesOf(const std::string& data) {
  std::vector<pid_t> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().string();
    if (!IsNumber(name)) {
      continue;
    }
    std::error_code unreadable;
    const fs::path works_in = fs::read_symlink(entry.path() / "cwd", unreadable);
    if (!unreadable && works_in == data) {
      found.push_back(NumberOf(name));
    }
  }
  return found;
}

void SignalAll(const std::vector<pid_t>& processes, int signal) {
  for (const pid_t process : processes) {
    ::kill(process, signal);
  }
}

// Ends what a program that was killed left running.
Status EndLeftovers(const std::string& data, Clock& clock) {
  std::vector<pid_t> left = ProcessesOf(data);
  SignalAll(left, SIGCONT);  // One that is stopped hears nothing else.
  // To the server: end sessions and stop; stop at once. To all: that is enough.
  for (const auto& [signal, patience] :
       {std::pair{SIGINT, kStopMax}, {SIGQUIT, kQuitMax}, {SIGKILL, kQuitMax}}) {
    if (left.empty()) {
      return Status::Ok();
    }
    const pid_t server = NumberOf(FirstLine(data + "/postmaster.pid"));
    const bool knows_server = std::find(left.begin(), left.end(), server) != left.end();
    SignalAll(signal != SIGKILL && knows_server ? std::vector<pid_t>{server} : left, signal);
    const auto end = clock.SinceBoot() + patience;
    while (!left.empty() && clock.SinceBoot() < end) {
      clock.SleepFor(kPause);
      left = ProcessesOf(data);
    }
  }
  return left.empty() ? Status::Ok()
                      : Status(Error(ErrorCode::kConflict,
                                     fmt::format("a PostgreSQL still runs on {}: process {}", data,
                                                 left.front())));
}

std::string UrlPath(const std::string& path) {
  std::string text;
  for (const char c : path) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '/' || c == '-' || c == '_' ||
        c == '.') {
      text.push_back(c);
    } else {
      text += fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
  }
  return text;
}

// Whoever runs PostgreSQL has to pass through it.
Status EnsureElsewhere() {
  std::error_code error;
  if (fs::exists(kElsewhere, error)) {
    return Status::Ok();
  }
  fs::create_directories(kElsewhere, error);
  if (!error) {
    fs::permissions(kElsewhere,
                    fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_exec, error);
  }
  return error ? Status(Error(ErrorCode::kUnavailable,
                              fmt::format("{} cannot be made: {}", kElsewhere, error.message())))
               : Status::Ok();
}

std::string SocketDirectory(const std::string& directory, const ProcessUser& user) {
  std::string sockets = directory + "/socket";
  return sockets.size() + kSocketName.size() <= kSocketPathMax
             ? sockets
             : fmt::format("/tmp/alertstream-{}-{}", user.uid, HashOf(directory));
}

std::string UrlIn(const std::string& sockets, std::string_view database, std::string_view user) {
  return fmt::format("postgres://{}@/{}?host={}", user, database, UrlPath(sockets));
}

}  // namespace

Result<std::string> ClusterUrl(const std::string& directory) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const ProcessUser user, UserOfCluster());
  return UrlIn(SocketDirectory(directory, user), kOurs, kOurs);
}

Result<std::string> ClusterDirectory(const std::string& data_dir) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const ProcessUser user, UserOfCluster());
  std::error_code error;
  fs::create_directories(data_dir, error);
  const std::string absolute = fs::canonical(data_dir, error).string();
  if (error) {
    return Error(ErrorCode::kUnavailable,
                 fmt::format("{} cannot be used: {}", data_dir, error.message()));
  }
  const std::string elsewhere = fmt::format("{}/{}", kElsewhere, HashOf(absolute));
  if (!fs::exists(elsewhere, error) && MayEnter(user, absolute)) {
    return absolute + "/postgres";
  }
  return elsewhere;
}

Result<std::unique_ptr<Cluster>> Cluster::Start(const ClusterOptions& options, Clock& clock) {
  ALERTSTREAM_ASSIGN_OR_RETURN(ProcessUser user, UserOfCluster());
  std::unique_ptr<Cluster> cluster(new Cluster(options, std::move(user), clock));
  ALERTSTREAM_RETURN_IF_ERROR(cluster->Prepare());
  ALERTSTREAM_RETURN_IF_ERROR(cluster->Launch());
  return cluster;
}

Cluster::Cluster(ClusterOptions options, ProcessUser user, Clock& clock)
    : options_(std::move(options)), user_(std::move(user)), clock_(clock) {}

Cluster::~Cluster() { Stop(); }

std::string Cluster::UrlOf(const std::string& database, const std::string& user) const {
  return UrlIn(sockets_, database, user);
}

Error Cluster::Failed(std::string_view what) const {
  std::ifstream log(In("server.log"), std::ios::binary | std::ios::ate);
  std::string words;
  if (log) {
    const auto size = static_cast<std::size_t>(log.tellg());
    words.resize(std::min(size, kLastWordsMax));
    log.seekg(static_cast<std::streamoff>(size - words.size()));
    log.read(words.data(), static_cast<std::streamsize>(words.size()));
  }
  while (!words.empty() && words.back() == '\n') {
    words.pop_back();
  }
  const std::size_t line = words.rfind('\n');
  return {
      ErrorCode::kUnavailable,
      fmt::format("{}: {} (see {})", what,
                  line == std::string::npos ? words : words.substr(line + 1), In("server.log"))};
}

Status Cluster::Prepare() {
  if (fs::path(options_.directory).parent_path() == kElsewhere) {
    ALERTSTREAM_RETURN_IF_ERROR(EnsureElsewhere());
  }
  ALERTSTREAM_RETURN_IF_ERROR(EnsurePrivate(options_.directory, user_));
  ALERTSTREAM_ASSIGN_OR_RETURN(programs_, FindPrograms(In("data/PG_VERSION")));
  sockets_ = SocketDirectory(options_.directory, user_);
  ALERTSTREAM_RETURN_IF_ERROR(EnsurePrivate(sockets_, user_));
  url_ = UrlIn(sockets_, kOurs, kOurs);
  std::error_code error;
  if (fs::file_size(In("server.log"), error) > kServerLogBytesMax && !error) {
    fs::remove(In("server.log"), error);
  }
  return fs::exists(In("data"), error) ? Status::Ok() : Make();
}

// Complete or not there: it gets its name at the end.
Status Cluster::Make() {
  const std::string draft = In("data.new");
  std::error_code error;
  fs::remove_all(draft, error);
  std::vector<std::string> arguments = {programs_ + "/initdb", "--pgdata=" + draft,
                                        "--username=postgres", "--encoding=UTF8", "--lc-collate=C",
                                        "--lc-ctype=C.UTF-8", "--lc-messages=C", "--lc-monetary=C",
                                        "--lc-numeric=C", "--lc-time=C", "--auth=trust",
                                        // All at once below, not a thousand files one by one.
                                        "--no-sync"};
  if (!options_.durable) {
    arguments.emplace_back("--wal-segsize=1");
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(const int made, RunToEnd(user_, {.arguments = std::move(arguments),
                                                                .directory = options_.directory,
                                                                .output = In("server.log")}));
  if (made != 0) {
    return Failed("initdb could not make a PostgreSQL cluster");
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(
      const int prepared,
      RunToEnd(user_, {.arguments = {"/bin/sh", "-c", kBootstrap, programs_ + "/postgres", draft},
                       .directory = options_.directory,
                       .output = In("server.log")}));
  if (prepared != 0) {
    return Failed("the new PostgreSQL cluster could not be prepared");
  }
  if (options_.durable) {
    ALERTSTREAM_RETURN_IF_ERROR(SyncFileSystem(draft));
  }
  return std::rename(draft.c_str(), In("data").c_str()) == 0 ? Status::Ok()
                                                             : Status(PathError(In("data"), errno));
}

Status Cluster::Launch() {
  const std::string data = In("data");
  ALERTSTREAM_RETURN_IF_ERROR(EndLeftovers(data, clock_));
  // Nobody works there; a process that has got the number since would keep the server from
  // starting.
  std::error_code error;
  fs::remove(data + "/postmaster.pid", error);
  std::vector<std::string> arguments = {programs_ + "/postgres", "-D", data};
  const std::string sockets = fmt::format("unix_socket_directories={}", sockets_);
  for (const std::string_view setting :
       {std::string_view(sockets), std::string_view("listen_addresses="),
        std::string_view("port=5432"), std::string_view("unix_socket_permissions=0700"),
        std::string_view("max_connections=60"), std::string_view("shared_buffers=64MB"),
        std::string_view("max_wal_size=256MB"), std::string_view("min_wal_size=32MB"),
        std::string_view("jit=off"),
        // What a statement or its error says may hold personal data.
        std::string_view("log_min_messages=log"), std::string_view("log_min_error_statement=panic"),
        std::string_view("log_error_verbosity=terse"),
        std::string_view("log_parameter_max_length=0"), std::string_view("log_checkpoints=off"),
        std::string_view("timezone=UTC"), std::string_view("log_timezone=UTC")}) {
    arguments.insert(arguments.end(), {"-c", std::string(setting)});
  }
  if (!options_.durable) {
    arguments.insert(arguments.end(), {"-c", "fsync=off", "-c", "full_page_writes=off"});
  }
  ALERTSTREAM_ASSIGN_OR_RETURN(process_, Spawn(user_, {.arguments = std::move(arguments),
                                                       .directory = data,
                                                       .output = In("server.log")}));
  return AwaitReady();
}

// The server writes its state into the eighth line of its lock file.
Status Cluster::AwaitReady() {
  constexpr int kStateLine = 8;
  const auto end = clock_.SinceBoot() + kStartMax;
  while (Running()) {
    std::ifstream lock(In("data/postmaster.pid"));
    std::string line;
    int number = 0;
    bool is_ours = false;
    while (number < kStateLine && std::getline(lock, line)) {
      ++number;
      is_ours = is_ours || (number == 1 && NumberOf(line) == process_);
    }
    if (is_ours && number == kStateLine && line.starts_with("ready")) {
      return Status::Ok();
    }
    if (clock_.SinceBoot() >= end) {
      return Failed("PostgreSQL is not ready in time");
    }
    clock_.SleepFor(kPause);
  }
  return Failed("PostgreSQL does not start");
}

bool Cluster::Running() {
  if (process_ > 0 && Ended(process_)) {
    process_ = -1;
  }
  return process_ > 0;
}

Status Cluster::Restart() {
  Stop();
  ALERTSTREAM_RETURN_IF_ERROR(Prepare());
  return Launch();
}

bool Cluster::AwaitEnd(milliseconds timeout) {
  const auto end = clock_.SinceBoot() + timeout;
  while (Running()) {
    if (clock_.SinceBoot() >= end) {
      return false;
    }
    clock_.SleepFor(kPause);
  }
  return true;
}

void Cluster::Stop() {
  if (!Running()) {
    return;
  }
  Resume();
  ::kill(process_, SIGINT);
  if (AwaitEnd(kStopMax)) {
    return;
  }
  ::kill(process_, SIGQUIT);
  if (!AwaitEnd(kQuitMax)) {
    Kill();
  }
}

void Cluster::Kill() {
  // The server first, or it would start over those it has lost.
  const std::vector<pid_t> all = ProcessesOf(In("data"));
  if (Running()) {
    ::kill(process_, SIGKILL);
  }
  SignalAll(all, SIGKILL);
  AwaitEnd(kQuitMax);
}

void Cluster::Suspend() { SignalAll(ProcessesOf(In("data")), SIGSTOP); }

void Cluster::Resume() { SignalAll(ProcessesOf(In("data")), SIGCONT); }

Status RemoveCluster(const std::string& directory, Clock& clock) {
  std::error_code error;
  if (!fs::exists(directory, error)) {
    return Status::Ok();
  }
  ALERTSTREAM_RETURN_IF_ERROR(EndLeftovers(directory + "/data", clock));
  ALERTSTREAM_ASSIGN_OR_RETURN(const ProcessUser user, UserOfCluster());
  fs::remove_all(SocketDirectory(directory, user), error);
  fs::remove_all(directory, error);
  return error ? Status(Error(ErrorCode::kUnavailable,
                              fmt::format("{} cannot be removed: {}", directory, error.message())))
               : Status::Ok();
}

}  // namespace alertstream::postgres

#include "ops/cli/dev_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ops/cli/wiring.h"
#include "ops/identity/keys_document.h"
#include "ops/identity/keys_file.h"
#include "ops/postgres/cluster.h"
#include "ops/seed/demo_history.h"
#include "processor/base/crypto.h"

namespace alertstream::cli {
namespace {

// A process that was killed holds its locks until the system has taken its memory back.
constexpr std::chrono::milliseconds kEndingMax{2000};
constexpr std::chrono::milliseconds kPause{20};
// All that ever lies in a data directory of ours, besides the lock.
constexpr std::array<std::string_view, 10> kOurs = {
    "log",       "state",      "state-kafka", "snapshots", "postgres",
    "token.key", "master.key", "keys.toml",   "dev.json",  "seeding"};
constexpr std::string_view kBrowserKey = "demo-browser";
constexpr std::string_view kServerKey = "demo-server";
constexpr std::string_view kOperatorKey = "demo-operator";

std::filesystem::path In(const std::string& data_dir, std::string_view name) {
  return std::filesystem::path(data_dir) / name;
}

bool IsOurs(const std::string& name) {
  // Drafts that a crash left behind.
  const bool draft =
      name.ends_with(".new") && (name.starts_with("dev.json.") || name.starts_with("keys.toml.") ||
                                 name.starts_with("token.key."));
  return draft || std::find(kOurs.begin(), kOurs.end(), name) != kOurs.end();
}

Error DirectoryError(const std::string& data_dir, const std::error_code& error) {
  return {ErrorCode::kUnavailable, fmt::format("{} cannot be used: {}", data_dir, error.message())};
}

Status RemoveAll(const std::string& data_dir, const std::vector<std::filesystem::path>& paths) {
  // The database may lie elsewhere; where there is no user for one there is none.
  if (const auto cluster = postgres::ClusterDirectory(data_dir); cluster.ok()) {
    ALERTSTREAM_RETURN_IF_ERROR(postgres::RemoveCluster(cluster.value(), SystemClock()));
  }
  std::error_code error;
  for (const auto& path : paths) {
    std::filesystem::remove_all(path, error);
    if (error) {
      return DirectoryError(data_dir, error);
    }
  }
  return Status::Ok();
}

std::string Random(std::size_t bytes) { return ToHex(RandomBytes(bytes)); }

std::string DevKeysText() {
  constexpr std::size_t kKeyBytes = 12;
  constexpr std::size_t kSecretBytes = 32;
  constexpr std::size_t kSidBytes = 16;
  std::string text = fmt::format(
      "# Keys of `alertstream dev`, made once; changes are taken while it runs.\n"
      "# Scripts find them in dev.json. What the tables may hold: ops/identity/README.md\n\n"
      "[[tenant]]\nid = \"{}\"\nevents_per_second = 50000\nburst = 50000\n\n"
      "[[key]]\nid = \"{}\"\nkind = \"publishable\"\nkey = \"as_pk_demo_{}\"\n"
      "tenant = \"{}\"\nsite = \"{}\"\norigins = [\"*\"]\n\n",
      seed::kTenant, kBrowserKey, Random(kKeyBytes), seed::kTenant, seed::kSite);
  text += fmt::format(
      "[[key]]\nid = \"{}\"\nkind = \"secret\"\nkey = \"as_sk_demo_{}\"\n"
      "tenant = \"{}\"\nsigning_secrets = [\"{}\"]\n\n",
      kServerKey, Random(kKeyBytes), seed::kTenant, Random(kSecretBytes));
  text += fmt::format("[[key]]\nid = \"{}\"\nkind = \"operator\"\nkey = \"as_op_demo_{}\"\n\n",
                      kOperatorKey, Random(kKeyBytes));
  text += fmt::format(
      "# These two addresses mean the simulator inside dev and dev itself.\n"
      "[[account]]\nprovider = \"{}\"\nname = \"{}\"\naccount_sid = \"AC{}\"\n"
      "auth_tokens = [\"{}\"]\nbase_url = \"{}\"\npublic_url = \"{}\"\n"
      "sends_per_second = 5000\nburst = 5000\n\n",
      seed::kProvider, seed::kAccount, Random(kSidBytes), Random(kSidBytes), kDevProviderUrl,
      kDevPublicUrl);
  text += fmt::format(
      "[[number]]\nprovider = \"{}\"\naccount = \"{}\"\nnumber = \"{}\"\ntenant = \"{}\"\n",
      seed::kProvider, seed::kAccount, seed::kNumber, seed::kTenant);
  return text;
}

}  // namespace

Result<std::unique_ptr<DevLock>> DevLock::Take(const std::string& data_dir, Clock& clock) {
  std::error_code error;
  std::filesystem::create_directories(data_dir, error);
  if (error) {
    return DirectoryError(data_dir, error);
  }
  const std::string path = DevLockPath(data_dir);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    return DirectoryError(data_dir, std::error_code(errno, std::generic_category()));
  }
  const auto end = clock.SinceBoot() + kEndingMax;
  for (;;) {
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) {
      return std::unique_ptr<DevLock>(new DevLock(fd));
    }
    if (clock.SinceBoot() >= end) {
      break;
    }
    clock.SleepFor(kPause);
  }
  ::close(fd);
  const auto holder = ReadDevFile(data_dir);
  return Error(ErrorCode::kConflict,
               holder.ok()
                   ? fmt::format("an `alertstream dev` runs on {} already: process {}, {}",
                                 data_dir, holder.value().pid, holder.value().api_url)
                   : fmt::format("another `alertstream dev` starts or ends on {}", data_dir));
}

DevLock::~DevLock() { ::close(fd_); }

bool HoldsData(const std::string& data_dir) {
  std::error_code error;
  return std::any_of(kOurs.begin(), kOurs.end(), [&](std::string_view name) {
    return std::filesystem::exists(In(data_dir, name), error);
  });
}

bool HasLog(const std::string& data_dir) {
  std::error_code error;
  return std::filesystem::exists(In(data_dir, "log"), error);
}

Status EmptyDataDirectory(const std::string& data_dir) {
  std::error_code error;
  std::vector<std::filesystem::path> found;
  for (std::filesystem::directory_iterator entry(data_dir, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (entry->path() == DevLockPath(data_dir)) {
      continue;
    }
    if (!IsOurs(name)) {
      return Error(ErrorCode::kConflict,
                   fmt::format("--reset: {} is no file of AlertStream's; nothing was removed",
                               entry->path().string()));
    }
    found.push_back(entry->path());
  }
  if (error) {
    return DirectoryError(data_dir, error);
  }
  if (!HasLog(data_dir)) {
    return RemoveAll(data_dir, found);
  }
  // A server may run on the log; none begins while it is removed.
  bool is_free = false;
  Status removed = WhileNobodyOwnsLog(In(data_dir, "log").string(), [&] {
    is_free = true;
    return RemoveAll(data_dir, found);
  });
  if (!is_free) {
    return Error(removed.error().code(),
                 "--reset: nothing was removed: " + removed.error().message());
  }
  return removed;
}

Status EnsureDevKeys(const std::string& path) {
  std::error_code error;
  if (std::filesystem::exists(path, error)) {
    return Status::Ok();
  }
  return WritePrivateFile(path, DevKeysText());
}

Status ReadDevKeys(const std::string& path, DevFile* file) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const std::string text,
                               identity::ReadPrivateFile(path, identity::kKeysFileBytesMax));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto keys, identity::ReadKeyTexts(text, path));
  for (const std::string_view id : {kBrowserKey, kServerKey, kOperatorKey}) {
    if (!keys.contains(id)) {
      return Error(
          ErrorCode::kInvalid,
          fmt::format("{}: there is no key {}; put it back, or begin anew with --reset", path, id));
    }
  }
  file->publishable_key = keys.find(kBrowserKey)->second.key.Reveal();
  file->secret_key = keys.find(kServerKey)->second.key.Reveal();
  file->signing_secret = keys.find(kServerKey)->second.signing_secret.Reveal();
  file->operator_key = keys.find(kOperatorKey)->second.key.Reveal();
  file->tenant_id = seed::kTenant;
  file->site_id = seed::kSite;
  return Status::Ok();
}

}  // namespace alertstream::cli

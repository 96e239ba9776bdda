#include "ops/cli/dev_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include "ops/cli/json_object.h"
#include "ops/identity/keys_file.h"
#include "schemas/json.h"

namespace alertstream::cli {
namespace {

constexpr std::size_t kDevFileBytesMax = 64 << 10U;

Error FileError(const std::string& path, int error) {
  return {ErrorCode::kUnavailable,
          fmt::format("{} cannot be written: {}", path, std::generic_category().message(error))};
}

Status WriteAll(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) {
      continue;
    }
    if (wrote < 0) {
      return FileError(path, errno);
    }
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return ::fsync(fd) == 0 ? Status::Ok() : Status(FileError(path, errno));
}

bool IsRunning(std::int64_t pid) {
  return pid > 0 && (::kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM);
}

// After a kill -9 another process may have the pid; the lock is then free. A shared lock is had at
// once or not at all, and a dev that starts meanwhile tries again.
bool IsLockHeld(const std::string& data_dir) {
  const int fd = ::open(DevLockPath(data_dir).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return false;
  }
  const bool held = ::flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(fd);
  return held;
}

}  // namespace

std::string DevFilePath(const std::string& data_dir) {
  return (std::filesystem::path(data_dir) / "dev.json").string();
}

std::string DevLockPath(const std::string& data_dir) {
  return (std::filesystem::path(data_dir) / "dev.lock").string();
}

std::string DevFileJson(const DevFile& file) {
  JsonObject object;
  object.Text("api_url", file.api_url);
  object.Text("tenant_id", file.tenant_id);
  object.Text("site_id", file.site_id);
  object.Text("publishable_key", file.publishable_key);
  object.Text("secret_key", file.secret_key);
  object.Text("signing_secret", file.signing_secret);
  object.Text("operator_key", file.operator_key);
  object.Text("log", file.log);
  object.Text("provider_url", file.provider_url);
  object.Text("postgres_url", file.postgres_url);
  object.Text("user_email", file.user_email);
  object.Text("user_password", file.user_password);
  object.Integer("pid", file.pid);
  return object.Take() + "\n";
}

Status WritePrivateFile(const std::string& path, const std::string& bytes) {
  const std::string draft = fmt::format("{}.{}.new", path, ::getpid());
  const int fd = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) {
    return FileError(draft, errno);
  }
  // A draft that a crash left behind keeps its mode.
  Status written =
      ::fchmod(fd, 0600) == 0 ? WriteAll(fd, bytes, draft) : Status(FileError(draft, errno));
  ::close(fd);
  if (written.ok() && std::rename(draft.c_str(), path.c_str()) != 0) {
    written = FileError(path, errno);
  }
  if (!written.ok()) {
    ::unlink(draft.c_str());
  }
  return written;
}

Status WriteDevFile(const std::string& data_dir, const DevFile& file) {
  return WritePrivateFile(DevFilePath(data_dir), DevFileJson(file));
}

void RemoveDevFile(const std::string& data_dir) { ::unlink(DevFilePath(data_dir).c_str()); }

Result<DevFile> ReadDevFile(const std::string& data_dir) {
  const std::string path = DevFilePath(data_dir);
  const Error none(ErrorCode::kNotFound,
                   fmt::format("no `alertstream dev` runs on {}: start one, or name a server with "
                               "--api-url and its keys with ALERTSTREAM_SECRET_KEY, "
                               "ALERTSTREAM_SIGNING_SECRET, ALERTSTREAM_OPERATOR_KEY",
                               data_dir));
  const auto bytes = identity::ReadPrivateFile(path, kDevFileBytesMax);
  if (!bytes.ok()) {
    return bytes.error().code() == ErrorCode::kNotFound ? none : bytes.error();
  }
  schemas::JsonDocument document;
  if (!document.Parse(bytes.value()).ok() || document.root().type() != schemas::JsonType::kObject) {
    return Error(ErrorCode::kInvalid, fmt::format("{} is not what dev writes", path));
  }
  const auto text = [&](std::string_view name) {
    const auto value = document.root().Find(name);
    return value && value->type() == schemas::JsonType::kString ? std::string(value->AsString())
                                                                : std::string();
  };
  const auto pid = document.root().Find("pid");
  DevFile file{.api_url = text("api_url"),
               .tenant_id = text("tenant_id"),
               .site_id = text("site_id"),
               .publishable_key = text("publishable_key"),
               .secret_key = text("secret_key"),
               .signing_secret = text("signing_secret"),
               .operator_key = text("operator_key"),
               .log = text("log"),
               .provider_url = text("provider_url"),
               .postgres_url = text("postgres_url"),
               .user_email = text("user_email"),
               .user_password = text("user_password"),
               .pid = pid && pid->type() == schemas::JsonType::kInt ? pid->AsInt() : 0};
  if (!IsRunning(file.pid) || !IsLockHeld(data_dir)) {
    return none;
  }
  return file;
}

}  // namespace alertstream::cli

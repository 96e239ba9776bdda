#include "ops/cli/token_key.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <system_error>
#include <utility>

#include "processor/base/base64.h"
#include "processor/base/crypto.h"

namespace alertstream::cli {
namespace {

constexpr std::string_view kMasterKeyFile = "master.key";

constexpr std::size_t kBase64Digits = 43;  // Of 32 bytes, without padding.

// A descriptor that is closed at the end of its scope.
class File {
 public:
  File(const std::string& path, int flags, mode_t mode)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~File() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int fd() const { return fd_; }

 private:
  int fd_;
};

Error FileError(const std::string& path, std::string_view what, int error) {
  return Error(ErrorCode::kUnavailable, "key file: cannot " + std::string(what) + " " + path +
                                            ": " + std::generic_category().message(error));
}

// 43 digits of either alphabet, and perhaps a '=', hold 32 bytes; "" if they do not.
std::string FromEitherBase64(std::string_view text) {
  if (text.size() == kBase64Digits + 1 && text.back() == '=') {
    text.remove_suffix(1);
  }
  if (text.size() != kBase64Digits) {
    return {};
  }
  const bool is_standard = text.find_first_of("+/") != std::string_view::npos;
  return (is_standard ? FromBase64(std::string(text) + "=") : FromBase64Url(text)).value_or("");
}

Status SyncDirectory(const std::string& directory) {
  const File handle(directory, O_RDONLY | O_DIRECTORY, 0);
  if (handle.fd() < 0 || ::fsync(handle.fd()) != 0) {
    return FileError(directory, "sync", errno);
  }
  return Status::Ok();
}

// What stands in a file that only its owner may read, without the line feed at its end.
Result<Redacted<std::string>> ReadKeyText(const std::string& path) {
  const File file(path, O_RDONLY, 0);
  struct stat info {};
  if (file.fd() < 0 || ::fstat(file.fd(), &info) != 0) {
    return FileError(path, "open", errno);
  }
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return Error(ErrorCode::kDenied,
                 "key file: " + path + " may be read by others; run: chmod 600 " + path);
  }
  std::array<char, 512> buffer{};
  const ssize_t got = ::read(file.fd(), buffer.data(), buffer.size());
  if (got < 0) {
    return FileError(path, "read", errno);
  }
  std::string_view text(buffer.data(), static_cast<std::size_t>(got));
  if (text.ends_with('\n')) {
    text.remove_suffix(1);
  }
  return Redacted<std::string>(std::string(text));
}

// Writes a new key under a name of its own, then links it to `path`: two programs that start at the
// same time end with one key, and a crash leaves no half of one.
Status CreateKey(const std::string& directory, const std::string& path) {
  const std::string draft = path + "." + std::to_string(::getpid()) + ".new";
  {
    const File file(draft, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file.fd() < 0) {
      return FileError(draft, "create", errno);
    }
    const std::string text = ToHex(RandomBytes(kTokenKeyBytes)) + "\n";
    const ssize_t wrote = ::write(file.fd(), text.data(), text.size());
    if (wrote != static_cast<ssize_t>(text.size()) || ::fsync(file.fd()) != 0) {
      const int error = wrote < 0 ? errno : ENOSPC;
      ::unlink(draft.c_str());
      return FileError(draft, "write", error);
    }
  }
  const int linked = ::link(draft.c_str(), path.c_str());
  const int error = errno;
  ::unlink(draft.c_str());
  if (linked != 0 && error != EEXIST) {
    return FileError(path, "create", error);
  }
  return SyncDirectory(directory);
}

// The path of the key file `name` in `data_dir`; draws a key if there is none.
Result<std::string> EnsureKeyFile(const std::string& data_dir, std::string_view name) {
  const std::string path = (std::filesystem::path(data_dir) / name).string();
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    std::filesystem::create_directories(data_dir, error);
    if (error) {
      return FileError(data_dir, "make", error.value());
    }
    ALERTSTREAM_RETURN_IF_ERROR(CreateKey(data_dir, path));
  }
  return path;
}

}  // namespace

Result<Redacted<std::string>> ParseTokenKey(std::string_view text) {
  std::string bytes = text.size() == 2 * kTokenKeyBytes ? FromHex(text) : FromEitherBase64(text);
  if (bytes.size() != kTokenKeyBytes) {
    return Error(ErrorCode::kInvalid,
                 "token_key: expected 32 bytes as 64 hexadecimal digits or as base64");
  }
  return Redacted<std::string>(std::move(bytes));
}

Result<std::vector<Redacted<std::string>>> ParseMasterKeys(std::string_view text) {
  const Error malformed(ErrorCode::kInvalid,
                        "master_key: expected one to four keys of 32 bytes, each on a line, as 64 "
                        "hexadecimal digits or as base64");
  std::vector<Redacted<std::string>> keys;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    auto key = ParseTokenKey(text.substr(0, end));
    if (!key.ok() || keys.size() == kMasterKeysMax) {
      return malformed;
    }
    keys.push_back(std::move(key).value());
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return keys.empty() ? Result<std::vector<Redacted<std::string>>>(malformed) : keys;
}

Result<Redacted<std::string>> LoadOrCreateTokenKey(const std::string& data_dir) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const std::string path, EnsureKeyFile(data_dir, "token.key"));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto text, ReadKeyText(path));
  auto key = ParseTokenKey(text.Reveal());
  return key.ok() ? std::move(key)
                  : Error(ErrorCode::kInvalid, path + ": " + key.error().message());
}

Result<std::vector<Redacted<std::string>>> LoadOrCreateMasterKeys(const std::string& data_dir) {
  ALERTSTREAM_ASSIGN_OR_RETURN(const std::string path,
                               EnsureKeyFile(data_dir, std::string(kMasterKeyFile)));
  ALERTSTREAM_ASSIGN_OR_RETURN(const auto text, ReadKeyText(path));
  auto keys = ParseMasterKeys(text.Reveal());
  return keys.ok() ? std::move(keys)
                   : Error(ErrorCode::kInvalid, path + ": " + keys.error().message());
}

bool HasMasterKeys(const std::string& data_dir) {
  std::error_code error;
  return std::filesystem::exists(std::filesystem::path(data_dir) / kMasterKeyFile, error);
}

}  // namespace alertstream::cli

#include "ops/identity/keys_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "ops/identity/keys_document.h"

namespace alertstream::identity {
namespace {

// Says of a file whether it is the one that was read.
struct Stamp {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t size = -1;  // -1: there is none.
  std::int64_t modified_s = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_s = 0;  // The mode's last change too.
  std::int64_t changed_ns = 0;

  friend bool operator==(const Stamp&, const Stamp&) = default;
};

// Of no file, so that it has always changed since.
constexpr Stamp kNeverRead = {.size = -2};

Stamp StampOf(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    return {};
  }
  return {.device = info.st_dev,
          .inode = info.st_ino,
          .size = info.st_size,
          .modified_s = info.st_mtim.tv_sec,
          .modified_ns = info.st_mtim.tv_nsec,
          .changed_s = info.st_ctim.tv_sec,
          .changed_ns = info.st_ctim.tv_nsec};
}

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) {
      ::close(fd);
    }
  }
};

// A name in the document is relative to the document.
std::string Beside(const std::string& document, const std::string& path) {
  return (std::filesystem::path(document).parent_path() / path).string();
}

}  // namespace

Result<std::string> ReadPrivateFile(const std::string& path, std::size_t bytes_max) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat info {};
  if (file.fd < 0 || ::fstat(file.fd, &info) != 0) {
    const int error = errno;
    return Error(
        error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kUnavailable,
        fmt::format("{} cannot be opened: {}", path, std::generic_category().message(error)));
  }
  if (!S_ISREG(info.st_mode)) {
    return Error(ErrorCode::kInvalid, fmt::format("{} is no file", path));
  }
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return Error(ErrorCode::kDenied,
                 fmt::format("{0} may be read by others; run: chmod 600 {0}", path));
  }
  std::string bytes;
  std::array<char, 65536> buffer{};
  for (;;) {
    const ssize_t got = ::read(file.fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return Error(ErrorCode::kUnavailable, fmt::format("{} cannot be read: {}", path,
                                                        std::generic_category().message(errno)));
    }
    if (got == 0) {
      return bytes;
    }
    bytes.append(buffer.data(), static_cast<std::size_t>(got));
    if (bytes.size() > bytes_max) {
      return Error(ErrorCode::kInvalid, fmt::format("{} is longer than {} bytes", path, bytes_max));
    }
  }
}

struct KeysFile::Impl {
  explicit Impl(KeysFileOptions with) : options(std::move(with)) {}

  std::shared_ptr<const KeysContent> Content() const {
    const std::scoped_lock lock(mutex);
    return content;
  }

  using Stamps = std::vector<std::pair<std::string, Stamp>>;

  Status Read();
  // What the files are now if they are not as they were read; nothing: they are.
  std::optional<Stamps> Changed();
  // None of what changed since the files were read is still being written.
  bool IsSettled(const Stamps& now, const std::optional<Stamps>& before);
  void Take();
  void Watch();

  const KeysFileOptions options;

  mutable std::mutex mutex;
  std::shared_ptr<const KeysContent> content;  // Shared with look-ups under way.

  // The file, then its secret files, as they were when they were read last.
  std::mutex read_mutex;
  Stamps stamps;     // Guarded by read_mutex.
  std::string told;  // The fault that on_reload heard of last; of the thread that looks.

  std::mutex stop_mutex;
  std::condition_variable stopped;
  bool stop = false;  // Guarded by stop_mutex.
  std::thread watcher;
};

Status KeysFile::Impl::Read() {
  const std::scoped_lock read_lock(read_mutex);
  // Before the bytes: a change while they are read is seen the next time.
  Stamps seen{{options.path, StampOf(options.path)}};
  const auto read = [&](const std::string& path, std::size_t bytes_max) -> Result<std::string> {
    auto got = ReadPrivateFile(path, bytes_max);
    if (!got.ok() && got.error().code() == ErrorCode::kUnavailable) {
      // May pass with the file as it is: the next look tries again.
      seen.back().second = kNeverRead;
    }
    return got;
  };
  const auto bytes = read(options.path, kKeysFileBytesMax);
  const SecretReader read_secret = [&](const std::string& path) -> Result<Redacted<std::string>> {
    const std::string file = Beside(options.path, path);
    seen.emplace_back(file, StampOf(file));
    ALERTSTREAM_ASSIGN_OR_RETURN(std::string secret, read(file, kKeySecretBytesMax + 2));
    while (secret.ends_with('\n') || secret.ends_with('\r')) {
      secret.pop_back();
    }
    return Redacted<std::string>(std::move(secret));
  };
  auto parsed = bytes.ok()
                    ? ParseKeys(bytes.value(), options.path, read_secret, options.adjust_account)
                    : Result<KeysContent>(bytes.error());
  stamps = std::move(seen);
  for (const auto& [path, stamp] : stamps) {
    if (!(stamp == kNeverRead) && !(StampOf(path) == stamp)) {
      return Error(ErrorCode::kConflict, fmt::format("{} changed while it was read", path));
    }
  }
  if (!parsed.ok()) {
    return parsed.error();
  }
  if (bytes.value().empty() && Content() != nullptr) {
    // What is left by who truncates a file and writes it anew.
    return Error(ErrorCode::kInvalid,
                 fmt::format("{} is empty; a comment says that it is meant to be", options.path));
  }
  auto fresh = std::make_shared<const KeysContent>(std::move(parsed).value());
  const std::scoped_lock lock(mutex);
  content = std::move(fresh);
  return Status::Ok();
}

std::optional<KeysFile::Impl::Stamps> KeysFile::Impl::Changed() {
  const std::scoped_lock lock(read_mutex);
  Stamps now;
  for (const auto& [path, stamp] : stamps) {
    now.emplace_back(path, StampOf(path));
  }
  return now == stamps ? std::nullopt : std::optional(std::move(now));
}

bool KeysFile::Impl::IsSettled(const Stamps& now, const std::optional<Stamps>& before) {
  if (before == now) {
    return true;
  }
  const std::scoped_lock lock(read_mutex);
  for (std::size_t i = 0; i < now.size() && i < stamps.size(); ++i) {
    const Stamp& fresh = now[i].second;
    const Stamp& read = stamps[i].second;
    const bool is_another_file = fresh.inode != read.inode || fresh.device != read.device;
    const bool is_content = fresh.size != read.size || fresh.modified_s != read.modified_s ||
                            fresh.modified_ns != read.modified_ns;
    if (is_content && !is_another_file) {
      return false;
    }
  }
  return true;
}

void KeysFile::Impl::Take() {
  const Status status = Read();
  const std::string fault = status.ok() ? "" : status.error().message();
  if (!options.on_reload || (!status.ok() && fault == told)) {
    return;
  }
  told = fault;
  options.on_reload(status);
}

void KeysFile::Impl::Watch() {
  std::optional<Stamps> before;
  std::unique_lock lock(stop_mutex);
  while (!stopped.wait_for(lock, options.look_every, [this] { return stop; })) {
    lock.unlock();
    auto now = Changed();
    if (now && IsSettled(*now, before)) {
      Take();
      now.reset();
    }
    before = std::move(now);
    lock.lock();
  }
}

KeysFile::KeysFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

KeysFile::~KeysFile() {
  {
    const std::scoped_lock lock(impl_->stop_mutex);
    impl_->stop = true;
  }
  impl_->stopped.notify_all();
  if (impl_->watcher.joinable()) {
    impl_->watcher.join();
  }
}

Result<std::unique_ptr<KeysFile>> KeysFile::Open(const KeysFileOptions& options) {
  auto impl = std::make_unique<Impl>(options);
  ALERTSTREAM_RETURN_IF_ERROR(impl->Read());
  Impl* watched = impl.get();
  std::unique_ptr<KeysFile> file(new KeysFile(std::move(impl)));
  if (options.look_every.count() > 0) {
    watched->watcher = std::thread([watched] { watched->Watch(); });
  }
  return file;
}

Status KeysFile::Reload() { return impl_->Read(); }

std::shared_ptr<const api::ApiKey> KeysFile::FindKey(std::string_view presented) const {
  if (presented.size() > api::kApiKeyBytesMax) {
    return nullptr;
  }
  // Digests are compared: how far one agrees with another says nothing about a key.
  const auto content = impl_->Content();
  const auto found = content->keys.find(Sha256::Of(presented));
  return found == content->keys.end() ? nullptr : found->second;
}

api::EventRate KeysFile::RateOf(std::string_view tenant) const {
  const auto content = impl_->Content();
  const auto found = content->rates.find(tenant);
  return found == content->rates.end() ? api::EventRate() : found->second;
}

bool KeysFile::OriginAllowed(std::string_view origin) const {
  const auto content = impl_->Content();
  return content->origins.contains("*") || content->origins.contains(origin);
}

std::optional<std::string> KeysFile::TenantOfNumber(std::string_view provider,
                                                    std::string_view account,
                                                    std::string_view number) const {
  const auto content = impl_->Content();
  const auto found = content->numbers.find(NumberKey(provider, account, number));
  return found == content->numbers.end() ? std::nullopt : std::optional(found->second);
}

bool KeysFile::HasNumber(std::string_view provider, std::string_view number) const {
  return impl_->Content()->known_numbers.contains({std::string(provider), std::string(number)});
}

std::shared_ptr<const api::Identity::WebhookAccount> KeysFile::FindWebhookAccount(
    std::string_view provider, std::string_view account) const {
  const auto content = impl_->Content();
  const auto found = content->webhook_accounts.find({std::string(provider), std::string(account)});
  return found == content->webhook_accounts.end() ? nullptr : found->second;
}

std::shared_ptr<const dispatch::ProviderAccount> KeysFile::Find(std::string_view provider,
                                                                std::string_view name) const {
  const auto content = impl_->Content();
  const auto found = content->accounts.find({std::string(provider), std::string(name)});
  return found == content->accounts.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<const dispatch::ProviderAccount>> KeysFile::All() const {
  const auto content = impl_->Content();
  std::vector<std::shared_ptr<const dispatch::ProviderAccount>> all;
  all.reserve(content->accounts.size());
  for (const auto& [key, account] : content->accounts) {
    all.push_back(account);
  }
  return all;
}

}  // namespace alertstream::identity

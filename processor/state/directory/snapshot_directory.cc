#include "processor/state/directory/snapshot_directory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "processor/base/crypto.h"

namespace alertstream::state {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kManifest = "manifest";
constexpr std::string_view kState = "state";
// What is being made, and is deleted when it was not finished.
constexpr std::string_view kUnfinished = ".unfinished";
// The form of the manifest: "name value" lines, in this order.
constexpr std::string_view kFormat = "alertstream-snapshot 1";
constexpr std::size_t kManifestBytesMax = 4096;
constexpr std::size_t kHashBytes = sizeof(Digest);

Error Failed(std::string_view what, const fs::path& path, const std::error_code& code) {
  return Error(ErrorCode::kUnavailable,
               fmt::format("{} {}: {}", what, path.string(), code.message()));
}

// What a file of a snapshot, or the medium below it, is: no later attempt would read it.
bool IsDamage(const std::error_code& code) {
  return code == std::errc::no_such_file_or_directory || code == std::errc::not_a_directory ||
         code == std::errc::is_a_directory || code == std::errc::io_error ||
         code == std::error_code(EUCLEAN, std::generic_category()) ||
         code == std::errc::bad_message;
}

Error CannotRead(const fs::path& path, const std::error_code& code) {
  return {IsDamage(code) ? ErrorCode::kCorrupt : ErrorCode::kUnavailable,
          fmt::format("snapshot {}: {}", path.string(), code.message())};
}

std::string NameOf(const Snapshot& snapshot) {
  return fmt::format("{:020}-{}", snapshot.seq, ToHex(snapshot.journal_hash).substr(0, 16));
}

std::string ManifestOf(const Snapshot& snapshot) {
  return fmt::format("{}\npartition {}\nseq {}\njournal_hash {}\nstate_root {}\nkeys {}\n", kFormat,
                     snapshot.partition, snapshot.seq, ToHex(snapshot.journal_hash),
                     ToHex(snapshot.root.ToBytes()), snapshot.keys);
}

template <typename Number>
bool ParseNumber(std::string_view text, Number* number) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), *number);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

std::optional<Snapshot> ParseManifest(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  if (!std::getline(lines, line) || line != kFormat) {
    return std::nullopt;
  }
  Snapshot snapshot;
  std::string root;
  std::string name;
  std::string value;
  int known = 0;
  while (lines >> name >> value) {
    const bool ok = (name == "partition" && ParseNumber(value, &snapshot.partition)) ||
                    (name == "seq" && ParseNumber(value, &snapshot.seq)) ||
                    (name == "keys" && ParseNumber(value, &snapshot.keys));
    if (name == "journal_hash") {
      snapshot.journal_hash = FromHex(value);
    } else if (name == "state_root") {
      root = FromHex(value);
    } else if (!ok) {
      return std::nullopt;
    }
    ++known;
  }
  const auto parsed = StateRoot::FromBytes(root);
  if (!parsed || known != 5 || snapshot.journal_hash.size() != kHashBytes) {
    return std::nullopt;
  }
  snapshot.root = *parsed;
  return snapshot;
}

// Nothing: there is none, or it is damaged.
Result<std::optional<Snapshot>> ReadManifest(const fs::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  std::string text(kManifestBytesMax, '\0');
  const ssize_t bytes = descriptor < 0 ? -1 : ::read(descriptor, text.data(), text.size());
  const std::error_code code(errno, std::generic_category());
  if (descriptor >= 0) {
    ::close(descriptor);
  }
  if (bytes < 0) {
    return IsDamage(code) ? Result<std::optional<Snapshot>>(std::nullopt) : CannotRead(file, code);
  }
  text.resize(static_cast<std::size_t>(bytes));
  return ParseManifest(text);
}

// What lies in a directory.
Result<std::vector<fs::path>> EntriesOf(const fs::path& directory) {
  std::vector<fs::path> found;
  std::error_code code;
  fs::directory_iterator entry(directory, code);
  for (; !code && entry != fs::directory_iterator(); entry.increment(code)) {
    found.push_back(entry->path());
  }
  if (code) {
    return CannotRead(directory, code);
  }
  return found;
}

// What was renamed or written is on the disk when this returns.
Status SyncPath(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool ok = descriptor >= 0 && ::fsync(descriptor) == 0;
  const int code = errno;
  if (descriptor >= 0) {
    ::close(descriptor);
  }
  return ok ? Status::Ok()
            : Status(Failed("sync of", path, std::error_code(code, std::generic_category())));
}

Status WriteManifest(const fs::path& file, const Snapshot& snapshot) {
  std::ofstream stream(file, std::ios::binary | std::ios::trunc);
  stream << ManifestOf(snapshot);
  stream.close();
  if (!stream) {
    return Error(ErrorCode::kUnavailable, fmt::format("{} cannot be written", file.string()));
  }
  return SyncPath(file);
}

// A sorted file never changes, so two directories may share it; everything else is copied, since a
// store that opens writes to it.
Status LinkOrCopy(const fs::path& from, const fs::path& to) {
  std::error_code code;
  if (from.extension() == ".sst") {
    fs::create_hard_link(from, to, code);
    if (!code) {
      return Status::Ok();
    }
  }
  fs::copy_file(from, to, code);
  return code ? Status(CannotRead(from, code)) : SyncPath(to);
}

class SnapshotDirectory final : public SnapshotStore {
 public:
  explicit SnapshotDirectory(SnapshotDirectoryOptions options) : options_(std::move(options)) {}

  Status Save(const Snapshot& snapshot, StateStore& store) override {
    const fs::path parent = Of(snapshot.partition);
    const fs::path whole = parent / NameOf(snapshot);
    fs::path making = whole;
    making += kUnfinished;
    std::error_code code;
    fs::create_directories(parent, code);
    if (!code && fs::exists(whole, code)) {
      return Status::Ok();  // The same point of the same history.
    }
    fs::remove_all(making, code);
    fs::create_directory(making, code);
    if (code) {
      return Failed("a snapshot cannot be made in", parent, code);
    }
    Status made = store.CheckpointTo((making / kState).string());
    if (made.ok()) {
      made = WriteManifest(making / kManifest, snapshot);
    }
    if (made.ok()) {
      made = SyncPath(making);
    }
    if (!made.ok()) {
      fs::remove_all(making, code);
      return made;
    }
    fs::rename(making, whole, code);
    return code ? Status(Failed("rename to", whole, code)) : SyncPath(parent);
  }

  Result<std::vector<Snapshot>> List(std::int32_t partition) override {
    std::vector<Snapshot> found;
    std::error_code code;
    const fs::path parent = Of(partition);
    if (!fs::exists(parent, code)) {
      return code ? Result<std::vector<Snapshot>>(Failed("snapshots in", parent, code)) : found;
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto entries, EntriesOf(parent));
    for (const auto& entry : entries) {
      ALERTSTREAM_ASSIGN_OR_RETURN(auto snapshot, ReadManifest(entry / kManifest));
      if (snapshot && snapshot->partition == partition && entry.filename() == NameOf(*snapshot)) {
        found.push_back(std::move(*snapshot));
      }
    }
    std::sort(found.begin(), found.end(),
              [](const Snapshot& a, const Snapshot& b) { return a.seq > b.seq; });
    return found;
  }

  Status Restore(const Snapshot& snapshot) override {
    const fs::path from = Of(snapshot.partition) / NameOf(snapshot) / kState;
    const fs::path to = StateOf(snapshot.partition);
    fs::path making = to;
    making += kUnfinished;
    std::error_code code;
    fs::remove_all(making, code);
    Status made = Copy(from, making);
    if (made.ok()) {
      made = PutAside(snapshot.partition);
    }
    if (made.ok()) {
      fs::rename(making, to, code);
      made = code ? Status(Failed("rename to", to, code)) : SyncPath(to.parent_path());
    }
    if (!made.ok()) {
      fs::remove_all(making, code);
    }
    return made;
  }

  Status PutAside(std::int32_t partition) override {
    const fs::path from = StateOf(partition);
    std::error_code code;
    if (!fs::exists(from, code)) {
      return Status::Ok();
    }
    fs::path to = from;
    to += ".aside";
    fs::remove_all(to, code);
    if (!code) {
      fs::rename(from, to, code);
    }
    return code ? Status(Failed("a state cannot be put aside as", to, code)) : Status::Ok();
  }

  Status Discard(std::int32_t partition) override {
    std::error_code code;
    fs::remove_all(StateOf(partition), code);
    return code ? Status(Failed("cannot be deleted:", StateOf(partition), code)) : Status::Ok();
  }

  Status Trim(std::int32_t partition, std::size_t kept) override {
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto snapshots, List(partition));
    std::error_code code;
    const fs::path parent = Of(partition);
    for (std::size_t i = kept; i < snapshots.size(); ++i) {
      // The manifest first: what is half deleted is no snapshot any more.
      const fs::path old = parent / NameOf(snapshots[i]);
      fs::remove(old / kManifest, code);
      fs::remove_all(old, code);
      if (code) {
        return Failed("an old snapshot cannot be deleted:", old, code);
      }
    }
    if (!fs::exists(parent, code)) {
      return Status::Ok();
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto entries, EntriesOf(parent));
    for (const auto& entry : entries) {
      // Where it cannot be told whether there is a manifest, there may be a snapshot.
      const bool without = !fs::exists(entry / kManifest, code) && !code;
      if (without || entry.string().ends_with(kUnfinished)) {
        fs::remove_all(entry, code);
      }
    }
    return Status::Ok();
  }

 private:
  // The files of `from` in `to`, which is made.
  static Status Copy(const fs::path& from, const fs::path& to) {
    std::error_code code;
    fs::create_directories(to, code);
    if (code) {
      return Failed("a state cannot be restored to", to, code);
    }
    ALERTSTREAM_ASSIGN_OR_RETURN(const auto entries, EntriesOf(from));
    for (const auto& entry : entries) {
      if (fs::is_regular_file(entry, code)) {
        ALERTSTREAM_RETURN_IF_ERROR(LinkOrCopy(entry, to / entry.filename()));
      }
      if (code) {
        return CannotRead(entry, code);
      }
    }
    return SyncPath(to);
  }

  fs::path Of(std::int32_t partition) const {
    return fs::path(options_.directory) / std::to_string(partition);
  }
  fs::path StateOf(std::int32_t partition) const {
    return fs::path(options_.state_directory) / std::to_string(partition);
  }

  const SnapshotDirectoryOptions options_;
};

}  // namespace

std::unique_ptr<SnapshotStore> OpenSnapshotDirectory(SnapshotDirectoryOptions options) {
  return std::make_unique<SnapshotDirectory>(std::move(options));
}

}  // namespace alertstream::state

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

std::optional<Snapshot> ReadManifest(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string text(kManifestBytesMax, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  return ParseManifest(text);
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
  return code ? Status(Failed("copy to", to, code)) : SyncPath(to);
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
      return found;
    }
    fs::directory_iterator entries(parent, code);
    if (code) {
      return Failed("snapshots in", parent, code);
    }
    for (const auto& entry : entries) {
      auto snapshot = ReadManifest(entry.path() / kManifest);
      if (snapshot && snapshot->partition == partition &&
          entry.path().filename() == NameOf(*snapshot)) {
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
    fs::create_directories(making, code);
    if (code) {
      return Failed("a state cannot be restored to", making, code);
    }
    fs::directory_iterator entries(from, code);
    if (code) {
      return Failed("snapshot", from, code);
    }
    for (const auto& entry : entries) {
      if (entry.is_regular_file(code)) {
        ALERTSTREAM_RETURN_IF_ERROR(LinkOrCopy(entry.path(), making / entry.path().filename()));
      }
    }
    ALERTSTREAM_RETURN_IF_ERROR(SyncPath(making));
    ALERTSTREAM_RETURN_IF_ERROR(PutAside(snapshot.partition));
    fs::rename(making, to, code);
    return code ? Status(Failed("rename to", to, code)) : SyncPath(to.parent_path());
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
    std::vector<fs::path> left;
    for (const auto& entry : fs::directory_iterator(parent, code)) {
      if (!fs::exists(entry.path() / kManifest, code) ||
          entry.path().string().ends_with(kUnfinished)) {
        left.push_back(entry.path());
      }
    }
    for (const auto& path : left) {
      fs::remove_all(path, code);
    }
    return Status::Ok();
  }

 private:
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

#include "ops/cli/audit_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "ops/cli/wiring.h"
#include "processor/state/directory/snapshot_directory.h"

namespace alertstream::cli {

namespace fs = std::filesystem;

Result<std::unique_ptr<AuditDirectory>> AuditDirectory::Create(const Options& options) {
  std::error_code error;
  std::string path = options.resume + ".state";
  if (options.resume.empty()) {
    const auto parent = fs::temp_directory_path(error);
    path = (parent / "alertstream-audit-XXXXXX").string();
    if (error || ::mkdtemp(path.data()) == nullptr) {
      return Error(ErrorCode::kUnavailable,
                   fmt::format("no directory can be made in {}; set TMPDIR", parent.string()));
    }
  } else if (fs::create_directories(path, error); error) {
    return Error(ErrorCode::kUnavailable,
                 fmt::format("{} cannot be made: {}", path, error.message()));
  }
  auto directory =
      std::unique_ptr<AuditDirectory>(new AuditDirectory(path, !options.resume.empty()));
  ALERTSTREAM_RETURN_IF_ERROR(directory->Lock());
  if (!options.snapshots.empty()) {
    directory->snapshots_ = state::OpenSnapshotDirectory(
        {.directory = options.snapshots, .state_directory = directory->path_});
  }
  return directory;
}

AuditDirectory::~AuditDirectory() {
  std::error_code error;
  if (lasts_) {
    fs::remove(path_, error);  // If nothing is in it.
  } else {
    fs::remove_all(path_, error);
  }
  if (lock_ >= 0) {
    ::close(lock_);
  }
}

Status AuditDirectory::Lock() {
  lock_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_ < 0 || ::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    return Error(ErrorCode::kConflict,
                 fmt::format("{}: another audit verify uses it; wait for its end, or name another "
                             "file with --resume",
                             path_));
  }
  return Status::Ok();
}

Status AuditDirectory::Clear(std::int32_t partition) const {
  for (const char* suffix : {"", ".aside"}) {
    const fs::path path = fs::path(path_) / (std::to_string(partition) + suffix);
    std::error_code error;
    fs::remove_all(path, error);
    if (error) {
      return Error(ErrorCode::kUnavailable,
                   fmt::format("{} cannot be removed: {}", path.string(), error.message()));
    }
  }
  return Status::Ok();
}

AuditStates AuditDirectory::states() {
  return {.open = [this](std::int32_t partition) { return OpenStateFor(path_, partition); },
          .clear = [this](std::int32_t partition) { return Clear(partition); },
          .snapshots = snapshots_.get()};
}

}  // namespace alertstream::cli

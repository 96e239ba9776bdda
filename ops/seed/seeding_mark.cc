#include "ops/seed/seeding_mark.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

namespace alertstream::seed {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kDatabaseDirectory = "postgres";

fs::path MarkIn(const std::string& data_dir) { return fs::path(data_dir) / "seeding"; }

Error Failed(const fs::path& path, std::string_view what, int number) {
  return {ErrorCode::kUnavailable,
          fmt::format("{} cannot be {}: {}", path.string(), what,
                      std::error_code(number, std::generic_category()).message())};
}

// Waits until a file, or the names in a directory, are on disk.
Status Sync(const fs::path& path, int flags = O_RDONLY) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    return Failed(path, "opened", errno);
  }
  const int synced = ::fsync(descriptor);
  const int number = errno;
  ::close(descriptor);
  if (synced != 0) {
    return Failed(path, "written to disk", number);
  }
  return Status::Ok();
}

}  // namespace

Status CheckNotSeeding(const std::string& data_dir) {
  std::error_code error;
  if (!fs::exists(MarkIn(data_dir), error)) {
    return Status::Ok();
  }
  return Error(ErrorCode::kConflict,
               fmt::format("the demo history in {} is not whole: its seeding was interrupted, or "
                           "is under way; start again with an empty directory, or with dev --reset",
                           data_dir));
}

Status BeginSeeding(const std::string& data_dir) {
  std::error_code error;
  fs::create_directories(data_dir, error);
  if (error) {
    return Failed(data_dir, "made", error.value());
  }
  ALERTSTREAM_RETURN_IF_ERROR(CheckNotSeeding(data_dir));
  ALERTSTREAM_RETURN_IF_ERROR(Sync(MarkIn(data_dir), O_WRONLY | O_CREAT | O_EXCL));
  return Sync(data_dir);
}

Status AbandonSeeding(const std::string& data_dir) {
  std::error_code error;
  fs::remove(MarkIn(data_dir), error);
  if (error) {
    return Failed(MarkIn(data_dir), "removed", error.value());
  }
  return Sync(data_dir);
}

Status FinishSeeding(const std::string& data_dir) {
  std::error_code error;
  for (fs::recursive_directory_iterator at(data_dir, error), end; !error && at != end;
       at.increment(error)) {
    // A database is made there meanwhile, which holds nothing of the history and cares for itself.
    if (at->path().filename() == kDatabaseDirectory) {
      at.disable_recursion_pending();
      continue;
    }
    if (at->is_regular_file(error) || at->is_directory(error)) {
      Status synced = Sync(at->path());
      if (!synced.ok() && fs::exists(at->path())) {  // Else it was somebody's draft.
        return synced;
      }
    }
  }
  if (error) {
    return Failed(data_dir, "read", error.value());
  }
  ALERTSTREAM_RETURN_IF_ERROR(Sync(data_dir));
  return AbandonSeeding(data_dir);
}

}  // namespace alertstream::seed

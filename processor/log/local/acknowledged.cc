#include "processor/log/local/acknowledged.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace alertstream::log {
namespace {

// Stored, in the byte order of the machine: the file never leaves it.
struct Slot {
  std::uint64_t number;
  std::uint64_t checksum;
};

constexpr std::uint64_t kSeed = 0x616c6572746c6f67;  // Zeros are no valid slot.

std::uint64_t ChecksumOf(std::uint64_t number) {
  return XXH3_64bits_withSeed(&number, sizeof(number), kSeed);
}

Error Failed(const std::string& path, const std::string& what) {
  return {ErrorCode::kUnavailable,
          path + ": " + what + ": " + std::generic_category().message(errno)};
}

}  // namespace

Result<std::unique_ptr<AcknowledgedFile>> AcknowledgedFile::Open(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    return Failed(path, "cannot be opened");
  }
  std::unique_ptr<AcknowledgedFile> file(new AcknowledgedFile(descriptor, path));
  std::array<Slot, 2> slots{};
  const auto bytes = ::pread(descriptor, slots.data(), sizeof(slots), 0);
  if (bytes < 0) {
    return Failed(path, "cannot be read");
  }
  if (bytes == 0) {
    // Takes the space now, so that no later store needs any.
    if (::pwrite(descriptor, slots.data(), sizeof(slots), 0) != ssize_t{sizeof(slots)}) {
      return Failed(path, "cannot be written");
    }
    return file;
  }
  bool all_zero = true;
  bool any_valid = false;
  for (const auto& slot : slots) {
    all_zero = all_zero && slot.number == 0 && slot.checksum == 0;
    if (slot.checksum == ChecksumOf(slot.number)) {
      any_valid = true;
      file->number_ = std::max(file->number_, slot.number);
    }
  }
  if (!any_valid && !all_zero) {
    return Error(ErrorCode::kCorrupt,
                 path +
                     " is damaged, so it cannot be told whether the newest records are all "
                     "there; restore the directory from a backup, or remove this file to open "
                     "the log as it is");
  }
  // The next store goes to the slot that does not hold the newest number.
  file->writes_ =
      slots[0].checksum == ChecksumOf(slots[0].number) && slots[0].number == file->number_ ? 1 : 0;
  return file;
}

AcknowledgedFile::~AcknowledgedFile() { ::close(descriptor_); }

Status AcknowledgedFile::Store(std::uint64_t number) {
  const Slot slot{.number = number, .checksum = ChecksumOf(number)};
  const auto at = static_cast<off_t>((writes_ % 2) * sizeof(Slot));
  if (::pwrite(descriptor_, &slot, sizeof(slot), at) != ssize_t{sizeof(slot)}) {
    return Failed(path_, "cannot be written");
  }
  ++writes_;
  number_ = number;
  return Status::Ok();
}

}  // namespace alertstream::log

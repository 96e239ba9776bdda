// The file `acknowledged` beside the store: the number of the newest commit whose caller has been
// told so. Opening the log compares it with what was recovered, so that a damaged tail of the
// write-ahead log is noticed instead of dropped. Written to the page cache only (it survives the
// end of the process, and can only be too low after that of the machine). One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "processor/base/result.h"

namespace alertstream::log {

class AcknowledgedFile {
 public:
  // Creates the file if it is missing, with number 0.
  static Result<std::unique_ptr<AcknowledgedFile>> Open(const std::string& path);
  ~AcknowledgedFile();
  AcknowledgedFile(const AcknowledgedFile&) = delete;
  AcknowledgedFile& operator=(const AcknowledgedFile&) = delete;

  std::uint64_t number() const { return number_; }
  // Two slots are written in turn, so that an end in the middle of a write leaves the other.
  Status Store(std::uint64_t number);

 private:
  AcknowledgedFile(int descriptor, std::string path)
      : descriptor_(descriptor), path_(std::move(path)) {}

  const int descriptor_;
  const std::string path_;
  std::uint64_t number_ = 0;
  std::uint64_t writes_ = 0;
};

}  // namespace alertstream::log

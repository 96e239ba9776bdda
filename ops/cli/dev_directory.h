// The data directory of a dev: who holds it, its keys, and how it is emptied. Used by dev; belongs
// to one thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "ops/cli/dev_file.h"
#include "processor/base/clock.h"
#include "processor/base/result.h"

namespace alertstream::cli {

// Where an account of keys.toml is that means the dev itself: its simulator, its webhooks.
inline constexpr std::string_view kDevProviderUrl = "http://provider.invalid";
inline constexpr std::string_view kDevPublicUrl = "http://dev.invalid";

// Held as long as it lives; the system frees it with the process.
class DevLock {
 public:
  // Makes the directory if it is missing. kConflict: another dev holds it, and did not just end;
  // says which.
  static Result<std::unique_ptr<DevLock>> Take(const std::string& data_dir, Clock& clock);
  ~DevLock();
  DevLock(const DevLock&) = delete;
  DevLock& operator=(const DevLock&) = delete;

 private:
  explicit DevLock(int fd) : fd_(fd) {}
  int fd_;
};

// Removes the log, the state and the keys in a data directory; the directory and the lock stay.
// kConflict: it holds something that is not ours, or another process owns the log; which is named,
// and nothing was removed.
Status EmptyDataDirectory(const std::string& data_dir);
// Whether there is anything that EmptyDataDirectory would remove.
bool HoldsData(const std::string& data_dir);

bool HasLog(const std::string& data_dir);

// Makes `path` with the keys of the demo, its account and its number, unless it is there.
Status EnsureDevKeys(const std::string& path);
// Fills the keys of `file` from there. kInvalid: one of them is missing.
Status ReadDevKeys(const std::string& path, DevFile* file);

}  // namespace alertstream::cli

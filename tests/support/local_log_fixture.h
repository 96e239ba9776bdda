// The local log under the conformance suite, in a temporary directory of each case.
#pragma once

#include <memory>
#include <string>

#include "tests/conformance/log_conformance.h"

namespace alertstream::log {

// A directory below the system's temporary one, removed with all it holds at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::unique_ptr<LogFixture> MakeLocalLogFixture();

}  // namespace alertstream::log

#include "tests/support/local_log_fixture.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "processor/base/check.h"
#include "processor/base/clock.h"
#include "processor/log/local/local_log.h"

namespace alertstream::log {

TemporaryDirectory::TemporaryDirectory()
    : path_((std::filesystem::temp_directory_path() / "alertstream-test-XXXXXX").string()) {
  ALERTSTREAM_CHECK(::mkdtemp(path_.data()) != nullptr);
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

namespace {

class LocalLogFixture final : public LogFixture {
 public:
  Result<std::unique_ptr<EventLog>> Open() override {
    return OpenLocalLog({.directory = directory_.path() + "/log", .clock = SystemClock()});
  }

 private:
  TemporaryDirectory directory_;
};

}  // namespace

std::unique_ptr<LogFixture> MakeLocalLogFixture() { return std::make_unique<LocalLogFixture>(); }

}  // namespace alertstream::log

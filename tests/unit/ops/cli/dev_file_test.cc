#include "ops/cli/dev_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/ops/cli/scratch_directory.h"

namespace alertstream::cli {
namespace {

using ::testing::HasSubstr;

DevFile Some(std::int64_t pid) {
  return {.api_url = "http://127.0.0.1:1",
          .tenant_id = "demo",
          .site_id = "site",
          .publishable_key = "as_pk_x",
          .secret_key = "as_sk_x",
          .signing_secret = "a \"secret\"",
          .operator_key = "as_op_x",
          .log = "local",
          .provider_url = "http://127.0.0.1:2",
          .postgres_url = "postgres://a@/b?host=/c",
          .user_email = "demo@alertstream.local",
          .user_password = "p",
          .pid = pid};
}

// As a running dev does.
class HeldLock {
 public:
  explicit HeldLock(const std::string& data_dir)
      : fd_(::open(DevLockPath(data_dir).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    EXPECT_EQ(::flock(fd_, LOCK_EX | LOCK_NB), 0);
  }
  ~HeldLock() { ::close(fd_); }
  HeldLock(const HeldLock&) = delete;
  HeldLock& operator=(const HeldLock&) = delete;

 private:
  const int fd_;
};

TEST(DevFileTest, IsReadBackAsItWasWrittenAndIsPrivate) {
  const ScratchDirectory scratch;
  const HeldLock lock(scratch.path());
  ASSERT_TRUE(WriteDevFile(scratch.path(), Some(::getpid())).ok());
  const auto read = ReadDevFile(scratch.path());
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_EQ(DevFileJson(read.value()), DevFileJson(Some(::getpid())));
  EXPECT_EQ(read.value().signing_secret, "a \"secret\"");
  struct stat info {};
  ASSERT_EQ(::stat(DevFilePath(scratch.path()).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST(DevFileTest, IsNotFoundWithoutOneAfterItsEndAndWhenItsProcessHasGone) {
  const ScratchDirectory scratch;
  const HeldLock lock(scratch.path());
  const auto code = [&] {
    const auto read = ReadDevFile(scratch.path());
    return read.ok() ? std::string("ok") : std::string(ErrorCodeName(read.error().code()));
  };
  EXPECT_EQ(code(), "not_found");
  ASSERT_TRUE(WriteDevFile(scratch.path(), Some(::getpid())).ok());
  EXPECT_EQ(code(), "ok");
  RemoveDevFile(scratch.path());
  EXPECT_EQ(code(), "not_found");
  ASSERT_TRUE(WriteDevFile(scratch.path(), Some(0x3FFFFFFF)).ok());
  EXPECT_EQ(code(), "not_found");
  scratch.Write("dev.json", "[1]");
  EXPECT_EQ(code(), "invalid");
  ::chmod(DevFilePath(scratch.path()).c_str(), 0644);
  EXPECT_EQ(code(), "denied");
}

TEST(DevFileTest, IsNotFoundWhenItsPidBelongsToAnotherProcessNow) {
  const ScratchDirectory scratch;
  ASSERT_TRUE(WriteDevFile(scratch.path(), Some(::getpid())).ok());
  EXPECT_FALSE(ReadDevFile(scratch.path()).ok());
  {
    const HeldLock lock(scratch.path());
    EXPECT_TRUE(ReadDevFile(scratch.path()).ok());
  }
  const auto read = ReadDevFile(scratch.path());
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code(), ErrorCode::kNotFound);
  // Looking took nothing over.
  const HeldLock again(scratch.path());
}

}  // namespace
}  // namespace alertstream::cli

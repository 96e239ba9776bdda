#include "ops/cli/dev_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "ops/identity/keys_file.h"
#include "processor/log/local/store.h"
#include "tests/unit/ops/cli/scratch_directory.h"

namespace alertstream::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// Its time passes where somebody waits.
class SteppedClock : public Clock {
 public:
  LogTime Now() const override { return LogTime{now_}; }
  std::chrono::microseconds SinceBoot() const override { return now_; }
  void SleepFor(std::chrono::milliseconds duration) override { now_ += duration; }

 private:
  std::chrono::microseconds now_{0};
};

TEST(DevLockTest, OneHoldsTheDirectoryAndTheNextIsToldWho) {
  const ScratchDirectory scratch;
  const std::string directory = scratch / "new";
  SteppedClock clock;
  auto first = DevLock::Take(directory, clock);
  ASSERT_TRUE(first.ok()) << first.error().message();
  auto second = DevLock::Take(directory, clock);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), ErrorCode::kConflict);
  ASSERT_TRUE(WriteDevFile(directory, {.api_url = "http://127.0.0.1:9", .pid = ::getpid()}).ok());
  second = DevLock::Take(directory, clock);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().message(), HasSubstr(std::to_string(::getpid())));
  EXPECT_THAT(second.error().message(), HasSubstr("http://127.0.0.1:9"));
  first = Error(ErrorCode::kInvalid, "");
  EXPECT_TRUE(DevLock::Take(directory, clock).ok());
}

TEST(EmptyDataDirectoryTest, RemovesWhatIsOursAndNothingIfThereIsMore) {
  const ScratchDirectory scratch;
  EXPECT_FALSE(HoldsData(scratch.path()));
  scratch.Write("log/000001.sst", "x");
  scratch.Write("state/0/CURRENT", "x");
  scratch.Write("keys.toml", "x");
  scratch.Write("keys.toml.123.new", "x");
  scratch.Write("dev.lock", "");
  const std::string other = scratch.Write("thesis.txt", "x");
  EXPECT_TRUE(HoldsData(scratch.path()));
  EXPECT_TRUE(HasLog(scratch.path()));
  const Status refused = EmptyDataDirectory(scratch.path());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(refused.error().message(), HasSubstr("thesis.txt"));
  EXPECT_TRUE(std::filesystem::exists(scratch / "log/000001.sst"));
  std::filesystem::remove(other);
  EXPECT_TRUE(EmptyDataDirectory(scratch.path()).ok());
  EXPECT_FALSE(HoldsData(scratch.path()));
  EXPECT_TRUE(std::filesystem::exists(scratch / "dev.lock"));
  EXPECT_FALSE(std::filesystem::exists(scratch / "keys.toml.123.new"));
}

TEST(EmptyDataDirectoryTest, KeepsALogThatAnotherProcessOwns) {
  const ScratchDirectory scratch;
  scratch.Write("log/000001.sst", "x");
  scratch.Write("keys.toml", "x");
  {
    const auto owner = log::DirectoryLock::Take(scratch / "log");
    ASSERT_TRUE(owner.ok());
    const Status refused = EmptyDataDirectory(scratch.path());
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code(), ErrorCode::kConflict);
    EXPECT_THAT(refused.error().message(), HasSubstr(std::to_string(::getpid())));
    EXPECT_TRUE(std::filesystem::exists(scratch / "log/000001.sst"));
    EXPECT_TRUE(std::filesystem::exists(scratch / "keys.toml"));
  }
  EXPECT_TRUE(EmptyDataDirectory(scratch.path()).ok());
  EXPECT_FALSE(HasLog(scratch.path()));
}

TEST(DevKeysTest, AreMadeOnceAndAreWhatTheKeysFileTakes) {
  const ScratchDirectory scratch;
  const std::string path = scratch / "keys.toml";
  ASSERT_TRUE(EnsureDevKeys(path).ok());
  DevFile file;
  ASSERT_TRUE(ReadDevKeys(path, &file).ok());
  EXPECT_THAT(file.publishable_key, StartsWith("as_pk_demo_"));
  EXPECT_THAT(file.secret_key, StartsWith("as_sk_demo_"));
  EXPECT_THAT(file.operator_key, StartsWith("as_op_demo_"));
  EXPECT_EQ(file.signing_secret.size(), 64U);
  EXPECT_EQ(file.tenant_id, "demo");
  const std::string secret = file.signing_secret;
  ASSERT_TRUE(EnsureDevKeys(path).ok());
  ASSERT_TRUE(ReadDevKeys(path, &file).ok());
  EXPECT_EQ(file.signing_secret, secret);

  const auto keys = identity::KeysFile::Open(
      {.path = path, .look_every = {}, .adjust_account = [](dispatch::ProviderAccount* account) {
         EXPECT_EQ(account->base_url, kDevProviderUrl);
         EXPECT_EQ(account->public_url, kDevPublicUrl);
         account->base_url = "http://127.0.0.1:1";
       }});
  ASSERT_TRUE(keys.ok()) << keys.error().message();
  ASSERT_NE(keys.value()->FindKey(file.secret_key), nullptr);
  EXPECT_EQ(keys.value()->FindKey(file.secret_key)->signing_secrets.front().Sign("x"),
            HmacKey(secret).Sign("x"));
  EXPECT_EQ(keys.value()->RateOf(file.tenant_id).per_second, 50'000);
  ASSERT_EQ(keys.value()->All().size(), 1U);
  EXPECT_EQ(keys.value()->All().front()->base_url, "http://127.0.0.1:1");
}

TEST(DevKeysTest, AMissingKeyIsNamed) {
  const ScratchDirectory scratch;
  const std::string path = scratch.Write("keys.toml", "[[key]]\nid = \"demo-browser\"\n");
  ::chmod(path.c_str(), 0600);
  DevFile file;
  const Status read = ReadDevKeys(path, &file);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(read.error().message(), HasSubstr("demo-server"));
}

}  // namespace
}  // namespace alertstream::cli

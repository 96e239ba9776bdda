#include "ops/postgres/cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include "ops/postgres/process.h"
#include "tests/support/postgres_fixture.h"

namespace alertstream::postgres {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr sql::Statement kUser{"test.user", "SELECT current_user::text"};
constexpr sql::Statement kCount{"test.count", "SELECT count(*) FROM kept"};

// A directory that whoever runs PostgreSQL may enter; the clusters lie below it.
class ClusterTest : public ::testing::Test {
 protected:
  ClusterTest() {
    std::string name = "/tmp/alertstream_cl_XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    EXPECT_EQ(::chmod(name.c_str(), 0755), 0);
    root_ = name;
  }
  ~ClusterTest() override {
    std::error_code error;
    fs::remove_all(root_, error);
  }

  std::unique_ptr<Cluster> Start(const std::string& directory) {
    auto started = Cluster::Start({.directory = directory, .durable = false}, SystemClock());
    EXPECT_TRUE(started.ok()) << started.error().message();
    return std::move(started).value();
  }
  std::string Run(Cluster& cluster, const sql::Statement& statement) {
    const auto database = OpenTestDatabase(cluster.url());
    auto session = database->Open({});
    EXPECT_TRUE(session.ok()) << session.error().message();
    const auto rows = session.value()->Run(statement);
    return rows.ok() ? std::string(rows.value().Text(0, 0)) : rows.error().message();
  }
  void Script(Cluster& cluster, const std::string& script) {
    const auto database = OpenTestDatabase(cluster.url());
    auto session = database->Open({});
    EXPECT_TRUE(session.ok()) << session.error().message();
    EXPECT_TRUE(session.value()->RunScript(script).ok());
  }

  std::string root_;
};

TEST_F(ClusterTest, IsMadeOnceAndKeepsItsData) {
  const std::string directory = root_ + "/pg";
  {
    const auto cluster = Start(directory);
    EXPECT_EQ(Run(*cluster, kUser), "alertstream");
    EXPECT_EQ(cluster->url(), ClusterUrl(directory).value());
    Script(*cluster, "CREATE TABLE kept (a int); INSERT INTO kept VALUES (1), (2)");
    struct stat info {};
    for (const char* name : {"", "/data", "/socket"}) {
      ASSERT_EQ(::stat((directory + name).c_str(), &info), 0);
      EXPECT_EQ(info.st_mode & 0777U, 0700U) << name;
    }
    // No TCP: the lock file's line of addresses is empty.
    std::ifstream lock(directory + "/data/postmaster.pid");
    std::string line;
    for (int i = 0; i < 6; ++i) {
      std::getline(lock, line);
    }
    EXPECT_EQ(line, "");
  }
  EXPECT_FALSE(fs::exists(directory + "/data/postmaster.pid"));
  const auto cluster = Start(directory);
  EXPECT_EQ(Run(*cluster, kCount), "2");
}

TEST_F(ClusterTest, AKilledServerRecovers) {
  const auto cluster = Start(root_ + "/pg");
  Script(*cluster, "CREATE TABLE kept (a int); INSERT INTO kept VALUES (1)");
  cluster->Kill();
  EXPECT_FALSE(cluster->Running());
  const Status restarted = cluster->Restart();
  ASSERT_TRUE(restarted.ok()) << restarted.error().message();
  EXPECT_EQ(Run(*cluster, kCount), "1");
}

TEST_F(ClusterTest, AProgramThatIsKilledTakesItsServerAlongAndTheNextFindsTheData) {
  const std::string directory = root_ + "/pg";
  {
    const auto cluster = Start(directory);
    Script(*cluster, "CREATE TABLE kept (a int); INSERT INTO kept VALUES (1)");
  }
  const pid_t program = ::fork();
  if (program == 0) {
    auto started = Cluster::Start({.directory = directory, .durable = false}, SystemClock());
    ::kill(::getpid(), SIGKILL);
  }
  ASSERT_EQ(::waitpid(program, nullptr, 0), program);
  // Its server may still be ending.
  const auto cluster = Start(directory);
  EXPECT_EQ(Run(*cluster, kCount), "1");
}

TEST_F(ClusterTest, AServerThatIsStoppedIsEndedAllTheSame) {
  const std::string directory = root_ + "/pg";
  const auto left = Start(directory);
  left->Suspend();
  // What another program does that finds it.
  const Status removed = RemoveCluster(directory, SystemClock());
  EXPECT_TRUE(removed.ok()) << removed.error().message();
  EXPECT_FALSE(fs::exists(directory));
  EXPECT_FALSE(left->Running());
}

TEST_F(ClusterTest, ALongPathGetsItsSocketElsewhere) {
  const std::string directory = root_ + "/" + std::string(100, 'd');
  const auto cluster = Start(directory);
  EXPECT_THAT(cluster->url(), HasSubstr("host=/tmp/alertstream-"));
  EXPECT_EQ(Run(*cluster, kUser), "alertstream");
  const std::string sockets = cluster->url().substr(cluster->url().find("/tmp/"));
  EXPECT_TRUE(fs::exists(sockets));
  EXPECT_TRUE(RemoveCluster(directory, SystemClock()).ok());
  EXPECT_FALSE(fs::exists(sockets));
}

TEST_F(ClusterTest, SomebodyElsesDirectoryIsLeftAlone) {
  const std::string directory = root_ + "/theirs";
  ASSERT_TRUE(fs::create_directory(directory));
  ASSERT_EQ(::chmod(directory.c_str(), 0755), 0);
  const auto started = Cluster::Start({.directory = directory}, SystemClock());
  ASSERT_FALSE(started.ok());
  EXPECT_EQ(started.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(started.error().message(), HasSubstr(directory));
  EXPECT_TRUE(fs::is_empty(directory));
}

TEST_F(ClusterTest, LiesBelowTheDataDirectoryOrWhereItsUserMayGo) {
  EXPECT_EQ(ClusterDirectory(root_ + "/data").value(), root_ + "/data/postgres");
  if (::geteuid() != 0) {
    return;  // Whoever is not root runs PostgreSQL itself, and enters what it made.
  }
  ASSERT_EQ(::chmod(root_.c_str(), 0700), 0);
  const std::string elsewhere = ClusterDirectory(root_ + "/data").value();
  EXPECT_THAT(elsewhere, ::testing::MatchesRegex("/var/lib/alertstream/[0-9a-f]+"));
  EXPECT_EQ(elsewhere, ClusterDirectory(root_ + "/data").value());
}

}  // namespace
}  // namespace alertstream::postgres
